"""Which callable answers for a replica: it is asked with the requests of a turn, all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidemill.spec.frame import Frame
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import Container
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.answers import Answer, Answers
from tidemill.workers.serve.model import open_model

Answering = Callable[[Sequence[Frame]], Sequence[Answer]]
"""Answers request frames, in their order, and never raises."""


def choose(
    home: WorkerHome, buckets: Buckets, task: Mapping[str, Any], complain: Callable[[str], None]
) -> tuple[Answering, str]:
    """Who answers, and what is served, in words. task: the replica's task.json

    Raises NotFound, or Invalid for an artifact that is damaged or of another algorithm.
    """
    [container] = containers(task)
    model, declaration = open_model(home.model, buckets, container.model_uri, container.image)
    said = f"{declaration.title} from {container.model_uri}"
    return Answers(model, declaration, complain), said


def containers(task: Mapping[str, Any]) -> tuple[Container, ...]:
    """Of a task; one that was written before there were several has its one."""
    told = task.get("containers")
    if told:
        return tuple(Container(**one) for one in told)
    return (Container(task["image"], task.get("model_uri"), task.get("environment", {})),)

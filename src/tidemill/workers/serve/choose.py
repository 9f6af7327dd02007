"""Which callable answers for a replica: it is asked with the requests of a turn, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.algorithms.base import Declaration
from tidemill.spec.home import WorkerHome
from tidemill.spec.learning import is_wanted
from tidemill.spec.model import DIRECT, MULTI, Container, names
from tidemill.spec.route import TIMEOUT
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.answers import DEFAULT_ACCEPT, Answering, Answers
from tidemill.workers.serve.by_row import by_row
from tidemill.workers.serve.chain import Chain
from tidemill.workers.serve.direct import Direct
from tidemill.workers.serve.learning.learner import learner
from tidemill.workers.serve.model import open_model
from tidemill.workers.serve.shelf import Shelf
from tidemill.workers.serve.shelved import shelved

Complain = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A container that answers. name: among those of its model"""

    name: str
    answers: Answering
    declaration: Declaration


def choose(
    home: WorkerHome,
    buckets: Buckets,
    task: Mapping[str, Any],
    complain: Complain,
    ring: Callable[[], None] = lambda: None,
) -> tuple[Answering | Shelf, str]:
    """Who answers, and what is served, in words.

    task: the replica's task.json · ring: wakes who asks a shelf for answers that are due
    Raises NotFound, or Invalid for an artifact that is damaged or of another algorithm.
    """
    wanted = containers(task)
    if any(is_wanted(container.environment) for container in wanted):
        return learner(home, buckets, task, wanted, complain)
    if wanted[0].mode == MULTI:
        timeout = float(task.get("timeout", TIMEOUT))
        return shelved(home, buckets, wanted[0], timeout, complain, ring)
    is_direct = task.get("execution") == DIRECT
    opened = list(open_all(wanted, home.model, buckets, complain, is_read=not is_direct))
    pairs = zip(opened, wanted, strict=True)
    said = ", ".join(f"{each.declaration.title} from {c.model_uri}" for each, c in pairs)
    return (directly(opened) if is_direct else in_turn(opened)), said


def containers(task: Mapping[str, Any]) -> tuple[Container, ...]:
    """Of a task; one that was written before there were several has its one."""
    told = task.get("containers")
    if told:
        return tuple(Container(**one) for one in told)
    return (Container(task["image"], task.get("model_uri"), task.get("environment", {})),)


def open_all(
    wanted: Sequence[Container],
    into: Path,
    buckets: Buckets,
    complain: Complain,
    *,
    is_read: bool,
    last_too: bool = False,
) -> Iterator[Opened]:
    """Every container, its model unpacked below a directory.

    is_read: each but the last is read by the one after it, and answers a line a row
    last_too: so does the last one
    """
    for place, (name, container) in enumerate(zip(names(wanted), wanted, strict=True), 1):
        directory = into / name if len(wanted) > 1 else into
        model, declaration = open_model(directory, buckets, container.model_uri, container.image)
        if last_too or (is_read and place < len(wanted)):
            declaration = by_row(declaration)
        accept = container.environment.get(DEFAULT_ACCEPT, "")
        yield Opened(name, Answers(model, declaration, complain, accept), declaration)


def in_turn(opened: Sequence[Opened]) -> Answering:
    """One after another, each reading what the one before it answers."""
    if len(opened) == 1:
        return opened[0].answers
    return Chain({each.name: each.answers for each in opened})


def directly(opened: Sequence[Opened]) -> Answering:
    """Each when a request names it."""
    return Direct({each.name: each.answers for each in opened})

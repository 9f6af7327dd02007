"""Which callable answers for a replica: it is asked with the requests of a turn, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidemill.spec.home import WorkerHome
from tidemill.spec.hosting import of_serving
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
from tidemill.workers.serve.user.bodies import JSON
from tidemill.workers.serve.user.hosted import Deferred, Hosted, deferred, host, one_at_a_time

Complain = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A container that answers. name: among those of its model · title: what it is, in words
    default_type: of requests that name none
    """

    name: str
    answers: Answering
    title: str
    default_type: str

    def close(self) -> None:
        """End what it has started."""
        if isinstance(self.answers, Hosted):
            self.answers.close()


def choose(
    home: WorkerHome,
    buckets: Buckets,
    task: Mapping[str, Any],
    complain: Complain,
    ring: Callable[[], None] = lambda: None,
) -> tuple[Answering | Shelf | Deferred, str]:
    """Who answers, and what is served, in words.

    task: the replica's task.json · ring: wakes who asks for answers that have become due
    Raises NotFound, or Invalid for an artifact that is damaged or of another algorithm, and for
    user code that does not start.
    """
    wanted = containers(task)
    if any(is_wanted(container.environment) for container in wanted):
        return learner(home, buckets, task, wanted, complain)
    timeout = float(task.get("timeout", TIMEOUT))
    if wanted[0].mode == MULTI:
        return shelved(home, buckets, wanted[0], timeout, complain, ring)
    is_direct = task.get("execution") == DIRECT
    place = Place(home.model, buckets, timeout, task.get("region", ""))
    opened = list(open_all(wanted, place, complain, is_read=not is_direct))
    pairs = zip(opened, wanted, strict=True)
    said = ", ".join(f"{each.title} from {c.model_uri}" for each, c in pairs)
    hosted = [one.answers for one in opened if isinstance(one.answers, Hosted)]
    if hosted and len(opened) > 1:
        opened = [_for_threads(one) for one in opened]
    answers = directly(opened) if is_direct else in_turn(opened)
    return (deferred(answers, hosted, ring) if hosted else answers), said


def containers(task: Mapping[str, Any]) -> tuple[Container, ...]:
    """Of a task; one that was written before there were several has its one."""
    told = task.get("containers")
    if told:
        return tuple(Container(**one) for one in told)
    return (Container(task["image"], task.get("model_uri"), task.get("environment", {})),)


@dataclass(frozen=True, slots=True)
class Place:
    """Where containers are opened. models: the directory they are unpacked to, of one alone; of
    several, each in a directory of its own below it · patience: seconds that a request may take
    """

    models: Path
    buckets: Buckets
    patience: float = TIMEOUT
    region: str = ""


def open_all(
    wanted: Sequence[Container],
    place: Place,
    complain: Complain,
    *,
    is_read: bool,
    last_too: bool = False,
) -> Iterator[Opened]:
    """Every container, its model unpacked.

    is_read: each but the last is read by the one after it, and answers a line a row
    last_too: so does the last one
    """
    for number, (name, container) in enumerate(zip(names(wanted), wanted, strict=True), 1):
        directory = place.models / name if len(wanted) > 1 else place.models
        hosting = of_serving(container.image, container.environment)
        if hosting is not None:
            # Its directory for models is below what it sees as /opt/ml.
            base = directory if len(wanted) > 1 else directory.parent
            hosted = host(
                container,
                hosting,
                base,
                place.buckets,
                complain,
                patience=place.patience,
                region=place.region,
            )
            yield Opened(name, hosted, f"user code for {hosting.framework.name}", JSON)
            continue
        model, declared = open_model(directory, place.buckets, container.model_uri, container.image)
        if last_too or (is_read and number < len(wanted)):
            declared = by_row(declared)
        accept = container.environment.get(DEFAULT_ACCEPT, "")
        answers = Answers(model, declared, complain, accept)
        yield Opened(name, answers, declared.title, declared.default_content_type)


def _for_threads(opened: Opened) -> Opened:
    """The same: where user code is asked by several threads, algorithms are asked by one."""
    if isinstance(opened.answers, Hosted):
        return opened
    return replace(opened, answers=one_at_a_time(opened.answers))


def in_turn(opened: Sequence[Opened]) -> Answering:
    """One after another, each reading what the one before it answers."""
    if len(opened) == 1:
        return opened[0].answers
    return Chain({each.name: each.answers for each in opened})


def directly(opened: Sequence[Opened]) -> Answering:
    """Each when a request names it."""
    return Direct({each.name: each.answers for each in opened})

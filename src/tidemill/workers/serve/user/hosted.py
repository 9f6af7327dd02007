"""A container of user code as one that answers, whole turns at a time or as answers come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from tidemill.data import content_type as types
from tidemill.spec.frame import Frame
from tidemill.spec.home import Home
from tidemill.spec.hosting import Hosting
from tidemill.spec.model import Container
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.answers import Answer, Answering
from tidemill.workers.serve.refused import BUSY, failure, refusal
from tidemill.workers.serve.user.launch import prepare
from tidemill.workers.serve.user.pool import Deliver, Pool, ask_all, settings
from tidemill.workers.serve.user.process import Process

MOST_WAITING, MOST_WAITING_BYTES = 2000, 256 << 20
"""Requests of a replica, and bytes of their bodies, that may wait for user code."""
_PROTOCOL = types.TENSORS.encode()


class Hosted:
    """Answers request frames by user code, in their order; never raises. ``close`` it."""

    def __init__(self, pool: Pool, processes: int) -> None:
        self._pool, self.processes = pool, processes

    def __call__(self, frames: Sequence[Frame]) -> list[Answer]:
        return ask_all(self._pool, frames)

    def submit(self, frame: Frame, deliver: Deliver) -> None:
        """Have one answered later."""
        self._pool.submit(frame, deliver)

    def close(self) -> None:
        """End its processes."""
        self._pool.close()


def host(
    container: Container,
    hosting: Hosting,
    base: Path,
    buckets: Buckets,
    complain: Callable[[str], None],
    *,
    patience: float,
    region: str,
) -> Hosted:
    """Start the user code of a container, its files below ``base``.

    patience: seconds that a request may take. Raises Invalid, NotFound, Missing.
    """
    wanted = settings(container.environment, patience)
    platform = Home(buckets.layout.root.parent)
    launch = prepare(container, hosting, base, buckets, platform, region)
    pool = Pool(lambda: Process(launch.command, launch.variables), wanted, complain)
    pool.open()
    return Hosted(pool, wanted.processes)


class Deferred:
    """Answers later, so that a replica's loop goes on meanwhile (``server.Server``).

    submit: has one request answered, in other threads · ring: called there when ``later`` has
    something · close: ends who answers
    """

    def __init__(
        self,
        submit: Callable[[Frame, Deliver], None],
        ring: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self._submit, self._ring, self.close = submit, ring, close
        self._due: SimpleQueue[tuple[Frame, Answer]] = SimpleQueue()
        self._waiting = self._waiting_bytes = 0

    def __call__(self, frames: Sequence[Frame]) -> list[Answer | None]:
        """None for each that is answered later; the others are refused."""
        return [self._take(frame) for frame in frames]

    def later(self) -> list[tuple[Frame, Answer]]:
        """The answers that have come."""
        found: list[tuple[Frame, Answer]] = []
        while True:
            try:
                frame, answer = self._due.get_nowait()
            except Empty:
                return found
            self._waiting -= 1
            self._waiting_bytes -= len(frame.body)
            found.append((frame, answer))

    def _take(self, frame: Frame) -> Answer | None:
        if frame.head.startswith(_PROTOCOL):
            return failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, _NOT_OF_PROTOCOL)
        size = len(frame.body)
        if self._waiting >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
            return refusal(BUSY, _too_many(self._waiting))
        self._waiting += 1
        self._waiting_bytes += size
        self._submit(frame, partial(self._deliver, frame))
        return None

    def _deliver(self, frame: Frame, answer: Answer) -> None:
        self._due.put((frame, answer))
        self._ring()


def deferred(answering: Answering, hosted: Sequence[Hosted], ring: Callable[[], None]) -> Deferred:
    """What answers by user code, alone or with others, as one that answers later.

    hosted: the user code in it
    """
    if isinstance(answering, Hosted):
        return Deferred(answering.submit, ring, answering.close)
    threads = ThreadPoolExecutor(sum(one.processes for one in hosted), "turn")

    def submit(frame: Frame, deliver: Deliver) -> None:
        threads.submit(lambda: deliver(answering([frame])[0]))

    def close() -> None:
        for one in hosted:
            one.close()
        threads.shutdown()

    return Deferred(submit, ring, close)


def one_at_a_time(answering: Answering) -> Answering:
    """The same, for several threads."""
    lock = Lock()

    def answer(frames: Sequence[Frame]) -> Sequence[Answer]:
        with lock:
            return answering(frames)

    return answer


def _too_many(waiting: int) -> str:
    return f"{waiting} requests wait for the model already. Try again later, or add replicas."


_NOT_OF_PROTOCOL = (
    "The Open Inference Protocol asks models by the names of their tensors, which user code does "
    "not tell. Use InvokeEndpoint."
)

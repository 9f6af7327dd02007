"""Many models behind one callable: loaded when first asked for, unloaded when room is short.

Models come in the background, and requests for them wait meanwhile; those for models that are here
are answered at once. All notes are kept by the one thread that answers, so there are no locks:
others only unpack and open, and tell it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from tidemill.errors import Invalid
from tidemill.spec.frame import Frame
from tidemill.workers.serve.answers import Answer, streamed
from tidemill.workers.serve.refused import BUSY, INVALID, NOT_READY, Refused, failure, refusal
from tidemill.workers.serve.storeroom import (
    INSUFFICIENT_STORAGE,
    SERVER_ERROR,
    Opened,
    Unpacked,
    canonical,
    too_large,
)

MOST_WAITING, MOST_WAITING_BYTES = 2000, 256 << 20
"""Requests of a replica, and bytes of their bodies, that may wait for their models."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """memory, disk: bytes of models loaded, and of models unpacked · patience: seconds that a
    request waits for its model · keeps: whether models stay once they have answered"""

    memory: int
    disk: int
    patience: float = 54.0
    keeps: bool = True


class Source(Protocol):
    """Where models come from: ``storeroom.Storeroom``. The first two may take long."""

    def unpack(self, name: str) -> Unpacked: ...
    def open(self, name: str, files: Unpacked) -> Opened: ...
    def discard(self, files: Unpacked) -> None: ...


class Ledger(Protocol):
    """Is told what happens; times in seconds."""

    def asked(self, requests: int, *, hit: bool) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def downloaded(self, seconds: float) -> None: ...
    def loaded(self, seconds: float, models: int) -> None: ...
    def unloaded(self, seconds: float, models: int) -> None: ...
    def tick(self) -> None: ...


@dataclass(slots=True)
class _Book:
    """A model that is here or comes. size: bytes of memory that are set aside for it
    waiters: requests for it, each with when it came"""

    name: str
    size: int = 0
    opened: Opened | None = None
    waiters: list[tuple[Frame, float]] = field(default_factory=list)


class Shelf:
    """Answers request frames by the model that each names.

    start: runs a job some time, in another thread · ring: called there when ``later`` has something
    """

    def __init__(
        self,
        source: Source,
        bounds: Bounds,
        ledger: Ledger,
        clock: Callable[[], float],
        start: Callable[[Callable[[], None]], None],
        ring: Callable[[], None],
    ) -> None:
        self._source, self._bounds, self._ledger = source, bounds, ledger
        self._clock, self._start, self._ring = clock, start, ring
        self._here: OrderedDict[str, _Book] = OrderedDict()  # used longest ago first
        self._coming: dict[str, _Book] = {}
        self._unpacked: OrderedDict[str, Unpacked] = OrderedDict()  # used longest ago first
        self._in_line: deque[_Book] = deque()  # unpacked, waiting for room
        self._news: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._answered: list[tuple[Frame, Answer]] = []
        self._memory = self._disk = self._waiting = self._waiting_bytes = 0

    @property
    def models(self) -> Sequence[str]:
        """Those in memory, used longest ago first."""
        return list(self._here)

    @property
    def memory(self) -> int:
        """Bytes that models take, or that are set aside for those being opened."""
        return self._memory

    @property
    def disk(self) -> int:
        """Bytes of the files of unpacked models."""
        return self._disk

    def __call__(self, frames: Sequence[Frame]) -> list[Answer | None]:
        """An answer for each request frame, in their order; None where it comes ``later``."""
        groups: dict[str, list[int]] = {}
        for index, frame in enumerate(frames):
            groups.setdefault(frame.target, []).append(index)
        found: list[Answer | None] = [None] * len(frames)
        for target, indices in groups.items():
            asked = [frames[i] for i in indices]
            for index, answer in zip(indices, self._ask(target, asked), strict=True):
                found[index] = answer
        return found

    def stream(self, frame: Frame) -> Iterator[Answer] | None:
        """The answer in parts, by a model that is here and can give it so."""
        book = self._here.get(frame.target)
        parts = streamed(book.opened.answers, frame) if book and book.opened else None
        if parts is not None:
            self._ledger.asked(1, hit=True)
            self._here.move_to_end(frame.target)
        return parts

    def later(self) -> list[tuple[Frame, Answer]]:
        """The answers that have become due: of models that came, or do not come."""
        while True:
            try:
                told = self._news.get_nowait()
            except Empty:
                break
            told()
            self._admit()
            self._tidy_disk()
        self._give_up()
        self._ledger.tick()
        due, self._answered = self._answered, []
        return due

    def _ask(self, target: str, frames: Sequence[Frame]) -> Sequence[Answer | None]:
        try:
            name = canonical(target)
        except Invalid as error:
            return [refusal(INVALID, str(error))] * len(frames)
        book = self._here.get(name)
        self._ledger.asked(len(frames), hit=book is not None)
        if book is None or book.opened is None:
            return [self._wait(name, frame) for frame in frames]
        self._here.move_to_end(name)
        return book.opened.answers(frames)

    # Requests that wait

    def _wait(self, name: str, frame: Frame) -> Answer | None:
        size = len(frame.body)
        if self._waiting >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
            return refusal(BUSY, _too_many(self._waiting))
        self._waiting += 1
        self._waiting_bytes += size
        if (book := self._coming.get(name)) is None:
            book = self._coming[name] = _Book(name)
            self._fetch(book)
        book.waiters.append((frame, self._clock()))
        return None

    def _take(self, book: _Book, over: float) -> list[Frame]:
        """The requests for a model that came before ``over``; they wait no longer."""
        now = self._clock()
        taken = [(frame, since) for frame, since in book.waiters if since <= over]
        book.waiters = [(frame, since) for frame, since in book.waiters if since > over]
        for frame, since in taken:
            self._waiting -= 1
            self._waiting_bytes -= len(frame.body)
            self._ledger.waited(now - since)
        return [frame for frame, _ in taken]

    def _give_up(self) -> None:
        """Tell those that have waited for too long; their models go on coming."""
        over = self._clock() - self._bounds.patience
        for book in self._coming.values():
            if book.waiters and book.waiters[0][1] <= over:
                late = refusal(NOT_READY, _not_ready(book.name, self._bounds.patience))
                self._answered += [(frame, late) for frame in self._take(book, over)]

    # Models that come

    def _fetch(self, book: _Book) -> None:
        if book.name in self._unpacked:
            self._unpacked.move_to_end(book.name)
            self._in_line.append(book)
            self._admit()
        else:
            self._begin(partial(self._source.unpack, book.name), partial(self._unpack, book))

    def _begin(self, work: Callable[[], Any], then: Callable[[Any, float], None]) -> None:
        """Do the work in another thread; ``then`` gets what came of it, here, with the seconds."""

        def job() -> None:
            began = self._clock()
            try:
                outcome = work()
            except Exception as error:
                outcome = error
            self._news.put(partial(then, outcome, self._clock() - began))
            self._ring()

        self._start(job)

    def _unpack(self, book: _Book, files: Unpacked | Exception, seconds: float) -> None:
        if isinstance(files, Exception):
            self._fail(book, files)
            return
        self._ledger.downloaded(seconds)
        self._unpacked[book.name] = files
        self._disk += files.bytes
        self._in_line.append(book)

    def _admit(self) -> None:
        """Open the models that are next in line, as far as room can be made for them."""
        while self._in_line:
            book = self._in_line[0]
            files = self._unpacked[book.name]
            if files.expected > self._bounds.memory:
                self._in_line.popleft()
                self._fail(book, self._too_large(book))
            elif self._make_room(files.expected):
                self._in_line.popleft()
                self._set_aside(book, files.expected)
                self._begin(partial(self._source.open, book.name, files), partial(self._open, book))
            else:  # until others, which are being opened, are open
                return

    def _open(self, book: _Book, opened: Opened | Exception, seconds: float) -> None:
        if isinstance(opened, Exception):
            self._fail(book, opened)
            self._discard(book.name)  # the next request finds what is in S3 then
            return
        self._set_aside(book, opened.weigh())
        if book.size > self._bounds.memory:
            self._fail(book, self._too_large(book))
            return
        self._make_room(0)
        del self._coming[book.name]
        self._here[book.name] = book
        book.opened = opened
        self._ledger.loaded(seconds, len(self._here))
        frames = self._take(book, self._clock())
        if frames:
            self._answered += zip(frames, opened.answers(frames), strict=True)
            self._set_aside(book, opened.weigh())  # the first answer may lay out tables
        self._make_room(0)
        if not self._bounds.keeps and book.name in self._here:
            self._unload(book.name)
            self._discard(book.name)

    def _fail(self, book: _Book, error: Exception) -> None:
        self._coming.pop(book.name, None)
        self._set_aside(book, 0)
        if isinstance(error, Refused):
            answer = error.answer
        else:
            what = f"{type(error).__name__}: {error}"
            answer = failure(SERVER_ERROR, f"Model {book.name} does not load: {what}")
        self._answered += [(frame, answer) for frame in self._take(book, self._clock())]

    def _too_large(self, book: _Book) -> Refused:
        what = f"this endpoint's replicas, {self._bounds.memory} bytes"
        return Refused(failure(INSUFFICIENT_STORAGE, too_large(book.name, what)))

    # Room

    def _set_aside(self, book: _Book, size: int) -> None:
        self._memory += size - book.size
        book.size = size

    def _make_room(self, size: int) -> bool:
        """Unload what was used longest ago until so many bytes are free; whether that works."""
        most = self._bounds.memory - size
        if self._memory - sum(book.size for book in self._here.values()) > most:
            return False
        while self._memory > most:
            self._unload(next(iter(self._here)))
        return True

    def _unload(self, name: str) -> None:
        began = self._clock()
        book = self._here.pop(name)
        self._set_aside(book, 0)
        book.opened = None
        if name in self._unpacked:
            self._unpacked.move_to_end(name)
        self._ledger.unloaded(self._clock() - began, len(self._here))

    def _tidy_disk(self) -> None:
        """Remove files that were used longest ago, those of models in memory last.

        Until they are loaded, models that come may take more than the bound.
        """
        if self._disk <= self._bounds.disk:
            return
        idle = [n for n in self._unpacked if n not in self._here and n not in self._coming]
        for name in [*idle, *(n for n in self._here if n in self._unpacked)]:
            if self._disk <= self._bounds.disk:
                return
            self._discard(name)

    def _discard(self, name: str) -> None:
        files = self._unpacked.pop(name)
        self._disk -= files.bytes
        self._source.discard(files)


def _too_many(waiting: int) -> str:
    return f"{waiting} requests wait for their models already. Try again later, or add replicas."


def _not_ready(name: str, seconds: float) -> str:
    return (
        f"Model {name} is not ready to serve inference requests: it has been loading for "
        f"{seconds:g} s, and goes on. Try again in a moment."
    )

"""Data capture: a sample of the requests and their answers, written down beside the hot path.

The path of a request only appends references to a queue of bounded length and size; what does not
fit is dropped and counted. A thread makes lines of them, in slices so short that the event loop
never waits long for the interpreter.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

from tidemill.errors import TidemillError
from tidemill.router.captured_files import CapturedFiles, Place
from tidemill.spec.capture import UNTYPED, Capture, Event, Form, is_full, least_free
from tidemill.spec.frame import HEADER
from tidemill.spec.route import Route
from tidemill.storage.bucket import Buckets
from tidemill.storage.uri import parse

MOST_WAITING = 65_536
MOST_BYTES = 64 * 2**20
PAUSE_SECONDS = 0.1
SLICE_SECONDS, BREATH_SECONDS = 0.0005, 0.001
LOOK_SECONDS = 2.0
SILENT_SECONDS = 10.0
CLOSE_SECONDS = 2.5

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A request as the hot path left it.

    frame: as sent to the replica · at: epoch seconds · sent_type: its content type, where the
    frame tells the replica another one, else empty
    """

    tap: Tap
    at: float
    frame: bytes
    inference_id: str
    answered_type: bytes
    answered: bytes
    sent_type: bytes


class Tap:
    """Where the requests of one variant are offered."""

    __slots__ = ("_random", "_recorder", "_share", "form", "place")

    def __init__(self, capture: Capture, place: Place, recorder: Recorder, random: Random) -> None:
        self.form = Form(capture)
        self.place = place
        self._recorder = recorder
        self._random = random.random
        self._share = capture.percentage / 100

    def offer(
        self,
        frame: bytes,
        inference_id: str,
        answered_type: bytes,
        answered: bytes,
        sent_type: bytes = b"",
    ) -> None:
        """An answered request, of which the sample takes its share."""
        if self._random() < self._share:
            self._recorder.take(
                Taken(self, time.time(), frame, inference_id, answered_type, answered, sent_type),
                len(frame) + len(answered),
            )

    def draws(self) -> bool:
        """Whether a request whose answer has begun is of the sample: its parts are to be kept."""
        return self._random() < self._share

    def keep(
        self, frame: bytes, inference_id: str, answered_type: bytes, answered: bytes | None
    ) -> None:
        """A request that was drawn, with all of its answer, or None if that was too long."""
        if answered is None:
            self._recorder.refuse()
            return
        taken = Taken(self, time.time(), frame, inference_id, answered_type, answered, b"")
        self._recorder.take(taken, len(frame) + len(answered))


class Recorder:
    """The queue and the thread behind all taps. The thread starts with the first tap.

    buckets: root of S3 · free: (total, free) bytes of its disk · random: draws the sample
    """

    def __init__(
        self,
        buckets: Path,
        *,
        random: Random | None = None,
        free: Callable[[Path], tuple[int, int]] | None = None,
    ) -> None:
        self._root = buckets
        self._random = random or Random()  # noqa: S311 - a sample, no secret
        self._free = free or _disk
        self._least_free = least_free(os.environ)
        self._queue: deque[Taken] = deque()
        self._ids = _event_ids()
        # Each side counts what it does: one number that both change would lose some of it.
        self._bytes_in = self._bytes_out = 0
        self._refused = self._failed = 0
        self._full = False
        self._looked = self._told_at = float("-inf")
        self._told = 0
        self._files: CapturedFiles | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def written(self) -> int:
        """Requests that lie in S3."""
        return self._files.written if self._files else 0

    @property
    def dropped(self) -> int:
        """Requests of the sample that were not written: too many at a time, a full disk, no
        bucket.
        """
        return self._refused + self._failed + (self._files.lost if self._files else 0)

    def tap(self, route: Route, variant: str) -> Tap | None:
        """Where to offer the requests of a variant; None when none are wanted."""
        capture = route.capture
        if capture is None or not capture.enabled:
            return None
        try:
            bucket, prefix = parse(capture.destination)
        except TidemillError as error:
            log.warning("endpoint %s captures nothing: %s", route.endpoint, error)
            return None
        self._start()
        place = Place(bucket, prefix, route.endpoint, variant)
        return Tap(capture, place, self, self._random)

    def take(self, taken: Taken, size: int) -> None:
        """Keep a request for the thread, if there is room."""
        waiting = self._bytes_in - self._bytes_out
        if self._full or len(self._queue) >= MOST_WAITING or waiting + size > MOST_BYTES:
            self._refused += 1
            return
        self._bytes_in += size
        self._queue.append(taken)

    def refuse(self) -> None:
        """A request of the sample was too large to keep."""
        self._refused += 1

    def close(self) -> None:
        """Write what is here; for at most CLOSE_SECONDS."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None and not self._closing.is_set():
            self._files = CapturedFiles(Buckets(self._root))
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()

    # In the thread

    def _run(self) -> None:
        while not self._closing.wait(PAUSE_SECONDS):
            self._guarded(self._round)
        while self._queue:
            self._guarded(self._drain)
        self._guarded(lambda files: files.flush(time.monotonic()))
        self._tell(time.monotonic())

    def _guarded(self, work: Callable[[CapturedFiles], None]) -> None:
        """Nothing that one request holds ends the capture of the others."""
        try:
            if self._files is not None:
                work(self._files)
        except Exception:
            self._failed += 1
            log.exception("a captured request could not be written")

    def _round(self, files: CapturedFiles) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look(now)
        until = time.perf_counter() + SLICE_SECONDS
        while self._queue:
            self._next(files)
            if time.perf_counter() > until:
                if self._closing.wait(BREATH_SECONDS):
                    return
                until = time.perf_counter() + SLICE_SECONDS
        files.due(time.monotonic())

    def _drain(self, files: CapturedFiles) -> None:
        while self._queue:
            self._next(files)

    def _next(self, files: CapturedFiles) -> None:
        taken = self._queue.popleft()
        self._bytes_out += len(taken.frame) + len(taken.answered)
        text = taken.tap.form.line(_event(taken, next(self._ids)))
        files.add(taken.tap.place, taken.at, text, time.monotonic())

    def _look(self, now: float) -> None:
        """Does the disk have room? Was anything dropped?"""
        total, free = self._free(self._root)
        full = is_full(total, free, self._least_free)
        if full and not self._full:
            log.warning(
                "data capture stops: %.0f %% of the disk of %s is free, less than %.0f %%",
                100 * free / total,
                self._root,
                100 * self._least_free,
            )
        elif self._full and not full:
            log.warning("data capture goes on: the disk of %s has room again", self._root)
        self._full = full
        if now - self._told_at >= SILENT_SECONDS and not full:
            self._tell(now)

    def _tell(self, now: float) -> None:
        dropped = self.dropped
        if dropped > self._told:
            log.warning("%d captured requests were dropped, %d were written", dropped, self.written)
            self._told, self._told_at = dropped, now


def _event_ids() -> Iterator[str]:
    """Version 4 UUIDs, random but for their end, which counts: to draw each anew takes longer than
    all else that is done for a line.
    """
    start = str(uuid.uuid4())[:24]
    return (f"{start}{number:012x}" for number in count())


def _event(taken: Taken, id: str) -> Event:
    frame = taken.frame
    end = HEADER.size + HEADER.unpack_from(frame)[5]
    sent_type, attributes = _read_head(frame[HEADER.size : end])
    return Event(
        id,
        taken.at,
        taken.sent_type.decode("latin-1") or sent_type or UNTYPED,
        frame[end:],
        taken.answered_type.decode("latin-1") or UNTYPED,
        taken.answered,
        taken.inference_id,
        attributes,
    )


@lru_cache(maxsize=64)
def _read_head(head: bytes) -> tuple[str, str]:
    """The content type and the custom attributes of a request."""
    sent_type, _, attributes, *_ = head.decode("latin-1").split("\n")
    return sent_type, attributes


def _disk(path: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(path)
    return usage.total, usage.free

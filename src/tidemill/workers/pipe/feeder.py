"""The writing end of a channel's FIFO: a thread that streams one epoch through it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import threading
from collections.abc import Iterable
from pathlib import Path

from tidemill.errors import InvalidData
from tidemill.workers.pipe.segment import Piece, Segment

CAPACITY = 1 << 20
"""Bytes that a FIFO holds; more needs a privilege."""
PATIENCE = 0.05
"""Seconds between looks at whether the epoch was called off, while no reader takes anything."""


class Feeder:
    """Makes a FIFO and, once started, streams segments through it to whoever opens it first.

    It ends when all was read, when the reader closes its end early, or with ``close``; never does
    it outlive that call, nor wait for a reader that is gone.

    ends: byte after each segment's last, known before the first byte of the next can be read
    fault: why it gave up, known before the FIFO's end can be read
    """

    def __init__(self, path: Path, segments: Iterable[Segment]) -> None:
        self.path = path
        self.ends: list[int] = []
        self.fault: Exception | None = None
        self._segments = segments
        self._called_off = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"feed {path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # what a killed attempt left
        os.mkfifo(path, 0o600)

    def start(self) -> None:
        """Begin to wait for a reader."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was never started."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Call the epoch off if it is not over, and remove the FIFO."""
        self._called_off.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        file = -1
        try:
            file = self._wait_for_reader()
            mouth = _Mouth(file, self._called_off)
            for segment in self._segments:
                for piece in segment.pieces():
                    mouth.put(piece, segment.name)
                self.ends.append(mouth.sent)
        except (BrokenPipeError, _CalledOff):
            pass  # the reader has seen enough
        except Exception as error:
            self.fault = error
        finally:
            if file >= 0:
                os.close(file)

    def _wait_for_reader(self) -> int:
        """The writing end, once somebody has the reading end open."""
        pause = 0.001
        while True:
            try:
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            if self._called_off.wait(pause):
                raise _CalledOff
            pause = min(2 * pause, PATIENCE)


class _CalledOff(Exception):
    pass


class _Mouth:
    """Puts pieces into a pipe that does not block. sent: bytes so far"""

    def __init__(self, file: int, called_off: threading.Event) -> None:
        self.sent = 0
        self._file, self._called_off = file, called_off
        self._room = select.poll()
        self._room.register(file, select.POLLOUT)
        with contextlib.suppress(OSError):  # beyond what a user's pipes may hold in all
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, CAPACITY)

    def put(self, piece: Piece, name: str) -> None:
        """Raises BrokenPipeError when the reader is gone."""
        if isinstance(piece, bytes):
            self._write(piece)
            self.sent += len(piece)
        else:
            size = os.fstat(piece.fileno()).st_size
            self._splice(piece.fileno(), size, name)
            self.sent += size

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except BlockingIOError:
                self._wait()

    def _splice(self, source: int, size: int, name: str) -> None:
        """All of a file, whose pages go into the pipe without a copy."""
        at = 0
        while at < size:
            try:
                done = os.splice(source, self._file, size - at, offset_src=at)
            except BlockingIOError:
                self._wait()
                continue
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                done = self._copy(source, at)  # from a file system that cannot splice
            if done == 0:
                raise InvalidData(
                    f"{name}: must keep its {size} bytes while it is read",
                    got=f"an end at byte {at}",
                    do="Do not change a channel's objects while a job reads them.",
                )
            at += done

    def _copy(self, source: int, at: int) -> int:
        data = os.pread(source, CAPACITY, at)
        self._write(data)
        return len(data)

    def _wait(self) -> None:
        while not self._room.poll(1000 * PATIENCE):
            if self._called_off.is_set():
                raise _CalledOff

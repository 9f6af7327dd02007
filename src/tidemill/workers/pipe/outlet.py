"""The reading end of a channel's FIFO: the bytes of one segment after another."""

from __future__ import annotations

import os
import select
from types import TracebackType

from tidemill.errors import InvalidData
from tidemill.workers.pipe.feeder import Feeder

GLANCE = 50
"""Milliseconds between looks at whether the feeder still lives, until it has opened its end."""
SCRATCH = 256 << 10
"""Bytes passed over in one go."""


class Outlet:
    """Reads what a feeder of this process sends; it learns from it where segments end.

    Use it as a context: leaving it early closes the FIFO, which ends the epoch.
    """

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._file, self._is_fed = -1, False
        self._segment, self._at = 0, 0
        self._rest = memoryview(b"")
        self._scratch = memoryview(bytearray(SCRATCH))

    def __enter__(self) -> Outlet:
        self._file = os.open(self._feeder.path, os.O_RDONLY | os.O_NONBLOCK)
        self._feeder.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)
        self._feeder.close()

    def turn_to(self, segment: int) -> Outlet:
        """Go on to where a segment begins; what was not read until there is passed over."""
        while self._segment < segment:
            while self.readinto(self._scratch):
                pass
            self._segment += 1
        return self

    def readinto(self, view: memoryview) -> int:
        """The next bytes of the segment; 0 at its end. Raises what made the feeder give up."""
        end = self._end()
        if end is not None:
            view = view[: end - self._at]
        if len(view) == 0:
            return 0
        if self._rest:
            got = self._from_rest(view)
        elif (got := self._read(view)) == 0:
            self._check_end()
        return got

    def _from_rest(self, view: memoryview) -> int:
        got = min(len(view), len(self._rest))
        view[:got], self._rest = self._rest[:got], self._rest[got:]
        self._at += got
        return got

    def _read(self, view: memoryview) -> int:
        """From the FIFO; what turns out to be of later segments is kept for them."""
        if not self._is_fed:
            self._wait_for_feeder()
        got = os.readv(self._file, [view])
        end = self._end()
        if end is not None and self._at + got > end:
            mine = end - self._at
            self._rest = memoryview(bytes(view[mine:got]))
            got = mine
        self._at += got
        return got

    def _wait_for_feeder(self) -> None:
        # Before it has opened its end, the FIFO would look as if it were over.
        first = select.poll()
        first.register(self._file, select.POLLIN)
        while not first.poll(GLANCE) and not self._feeder.is_over:
            pass
        os.set_blocking(self._file, True)
        self._is_fed = True

    def _check_end(self) -> None:
        """At the FIFO's end: is it the segment's? What went wrong later is for the next one."""
        if self._end() == self._at:
            return
        if self._feeder.fault is not None:
            raise self._feeder.fault
        raise InvalidData(
            f"{self._feeder.path.name}: must be fed to its end",
            got=f"an end after {self._at} bytes",
            do="Let nothing else read the FIFO of a built-in algorithm's channel.",
        )

    def _end(self) -> int | None:
        """The byte after the segment's last one, once it is known."""
        ends = self._feeder.ends
        return ends[self._segment] if self._segment < len(ends) else None

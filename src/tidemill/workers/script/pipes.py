"""Channels in Pipe mode for a program: a FIFO an epoch, ``<channel>_0``, ``<channel>_1``, …"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tidemill.spec.channel import Channel
from tidemill.storage.bucket import Buckets
from tidemill.workers.pipe.contents import Contents, Share, contents
from tidemill.workers.pipe.feeder import Feeder
from tidemill.workers.pipe.segment import Segment

_GLANCE = 0.02


class Pipe:
    """Feeds one channel, epoch after epoch, for as long as the program wants.

    An epoch's FIFO is there once the one before was read, or closed by its reader.
    directory: where the FIFOs appear · trouble: told why the feeding ended, if it had to
    """

    def __init__(
        self, name: str, what: Contents, directory: Path, trouble: Callable[[str], None]
    ) -> None:
        self._name, self._contents, self._directory = name, what, directory
        self._trouble = trouble
        self._over = threading.Event()
        self._first = Feeder(*self._epoch(0))
        self._thread = threading.Thread(target=self._run, name=f"pipe {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, wherever it is."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        feeder, epoch = self._first, 0
        while True:
            feeder.start()
            while not feeder.is_over and not self._over.is_set():
                self._over.wait(_GLANCE)
            feeder.close()
            if feeder.fault is not None:
                self._trouble(f"Pipe of channel {self._name!r} has ended: {feeder.fault}")
                return
            if self._over.is_set():
                return
            epoch += 1
            feeder = Feeder(*self._epoch(epoch))

    def _epoch(self, number: int) -> tuple[Path, Sequence[Segment]]:
        return self._directory / f"{self._name}_{number}", self._contents.segments(number)


def open_pipe(
    channel: Channel,
    files: Sequence[Path],
    buckets: Buckets,
    directory: Path,
    share: tuple[int, int],
    trouble: Callable[[str], None],
) -> Pipe:
    """Begin to feed a channel. files: of its objects · share: which one of how many hosts' it is"""
    what = contents(
        channel,
        files,
        buckets,
        is_compressed=channel.compression == "Gzip",
        share=Share(*share),
    )
    return Pipe(channel.name, what, directory, trouble)

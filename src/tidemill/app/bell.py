"""Wait for a signal or a time, whichever comes first."""

from __future__ import annotations

import os
import select
import signal


class Bell:
    """Rings at every signal that has a handler, and when a child ends."""

    def __init__(self) -> None:
        self._hear, self._ring = os.pipe()
        os.set_blocking(self._ring, False)
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def wait(self, seconds: float | None) -> None:
        """Return after that time (None: never), or at the first signal."""
        if select.select([self._hear], [], [], seconds)[0]:
            os.read(self._hear, 4096)

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._hear)
        os.close(self._ring)

"""Control's bell: a datagram that ends its pause, at best; it looks by itself from time to time."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from tidemill.router.clock import Clock

PAUSE_SECONDS = 0.02
_LOG = logging.getLogger(__name__)


class Bell:
    """control: the socket of the control plane"""

    def __init__(self, control: Path, clock: Clock) -> None:
        self._control, self._clock = str(control), clock
        self._rung = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self) -> None:
        """Now."""
        try:
            self._socket.sendto(b"wake", self._control)
        except OSError:
            _LOG.debug("the control plane is away")

    def remind(self) -> None:
        """As ``ring``, for what is noticed again and again: not so often."""
        if self._clock.now - self._rung >= PAUSE_SECONDS:
            self._rung = self._clock.now
            self.ring()

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

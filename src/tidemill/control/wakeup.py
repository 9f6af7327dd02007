"""A Unix datagram socket that wakes the reconciler: any datagram will do, none is needed."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path


class Wakeup:
    """The reconciler's ear. path: of the socket, taken over from whoever had it."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def wait(self, seconds: float) -> None:
        """Return at the first datagram, or after that time; many at once count as one."""
        self._socket.settimeout(seconds)
        with suppress(OSError):
            self._socket.recv(64)
            self._socket.setblocking(False)
            while True:
                self._socket.recv(64)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def ring(path: Path) -> None:
    """Wake whoever listens there; nobody need."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller, suppress(OSError):
        caller.setblocking(False)
        caller.sendto(b"wake", str(path))

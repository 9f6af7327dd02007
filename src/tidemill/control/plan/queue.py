"""Which jobs may begin: so many workers at once as the machine bears, first come, first served."""

from __future__ import annotations


class Room:
    """One round's view: first ``take`` what runs, then ask for those that wait, oldest first.

    workers: of training jobs that may run at once. A job of more than that runs alone.
    """

    def __init__(self, workers: int) -> None:
        self._most = workers
        self._taken = 0
        self._closed = False

    def take(self, workers: int) -> None:
        """So many run."""
        self._taken += workers

    def fits(self, workers: int) -> bool:
        """Whether a job may begin. After one that may not, none may: else it would wait for ever.

        >>> room = Room(4)
        >>> room.take(3)
        >>> room.fits(2), room.fits(1)
        (False, False)
        """
        self._closed = self._closed or (self._taken > 0 and self._taken + workers > self._most)
        return not self._closed

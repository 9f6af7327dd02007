"""What waits at one endpoint: for a replica to come up or have room, or to be tried alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from tidemill.router.call import Call
from tidemill.router.replica import Replica
from tidemill.spec.route import Route


class Line:
    """First come, first served, for each variant asked for; bounded by the route.

    waiting: target → requests, longest waiting first · suspects: requests whose replica died, to
    be tried alone · ward: the replica that takes them and no other
    size, load: how many wait in all, and their bytes
    """

    __slots__ = ("load", "size", "suspects", "waiting", "ward")

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Call]] = {}
        self.suspects: deque[Call] = deque()
        self.ward: Replica | None = None
        self.size = self.load = 0

    def has_room(self, call: Call, route: Route) -> bool:
        """May this request wait, too?"""
        return (
            self.size < route.most_waiting
            and self.load + len(call.frame) <= route.most_waiting_bytes
        )

    def add(self, call: Call) -> None:
        """To the end of those that ask for the same variant."""
        queue = self.waiting.get(call.target)
        if queue is None:
            queue = self.waiting[call.target] = deque()
        queue.append(call)
        self._count(call, 1)

    def suspect(self, call: Call) -> None:
        """To the end of those that are tried alone; they have been let in before."""
        self.suspects.append(call)
        self._count(call, 1)

    def next_suspect(self) -> Call | None:
        """Who is to be tried now, if anybody still waits for the answer."""
        while self.suspects:
            if not self.suspects[0].gone:
                return self.suspects[0]
            self.take(self.suspects)
        return None

    def take(self, queue: deque[Call]) -> Call:
        """Remove the first."""
        call = queue.popleft()
        self._count(call, -1)
        return call

    def weed(self, over: Callable[[Call], bool]) -> Iterator[Call]:
        """Remove what is gone, and what is over, and tell the latter."""
        for queue in [*self.waiting.values(), self.suspects]:
            for _ in range(len(queue)):
                call = self.take(queue)
                if call.gone:
                    continue
                if over(call):
                    yield call
                else:
                    queue.append(call)
                    self._count(call, 1)
        self.waiting = {target: queue for target, queue in self.waiting.items() if queue}

    def _count(self, call: Call, one: int) -> None:
        self.size += one
        self.load += one * len(call.frame)

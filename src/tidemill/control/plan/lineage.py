"""Which lineage entities are reached from one: breadth first, as far as is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["Ascendants", "Descendants"]


@dataclass(frozen=True, slots=True)
class Edge:
    """From what was used, or from what made, to what came of it. how: the AssociationType"""

    source: str
    destination: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """vertices: by breadth, the start first · edges: those walked, in the order of walking"""

    vertices: Sequence[str] = ()
    edges: Sequence[Edge] = field(default_factory=tuple)

    def leading_to(self, wanted: Iterable[str]) -> Reached:
        """What of it lies on the ways from the start to these."""
        into: dict[str, list[Edge]] = {}
        places = {vertex: place for place, vertex in enumerate(self.vertices)}
        for edge in self.edges:
            last = max(edge.source, edge.destination, key=places.__getitem__)
            into.setdefault(last, []).append(edge)
        kept: set[str] = set()
        left = [vertex for vertex in wanted if vertex in places]
        while left:
            vertex = left.pop()
            if vertex not in kept:
                kept.add(vertex)
                left += [end for e in into.get(vertex, ()) for end in (e.source, e.destination)]
        vertices = [vertex for vertex in self.vertices if vertex in kept]
        edges = [e for e in self.edges if e.source in kept and e.destination in kept]
        return Reached(vertices, edges)


def reach(
    start: str,
    directions: Sequence[Direction],
    neighbours: Callable[[str, Direction], Iterable[Edge]],
    *,
    depth: int,
    most: int,
) -> Reached:
    """Walk from a start in each direction, at most so deep, to at most so many vertices.

    neighbours: the edges that leave a vertex in a direction

    >>> told = {"data": [Edge("data", "job")], "job": [Edge("job", "model")], "model": []}
    >>> found = reach("data", ["Descendants"], lambda v, _: told[v], depth=9, most=9)
    >>> found.vertices
    ['data', 'job', 'model']
    >>> reach("data", ["Descendants"], lambda v, _: told[v], depth=1, most=9).vertices
    ['data', 'job']
    """
    seen: dict[str, None] = {start: None}
    walked: dict[Edge, None] = {}
    for direction in directions:
        ring = [start]
        here = {start}
        for _ in range(depth):
            ring = _next(ring, direction, neighbours, here, seen, walked, most)
    edges = [edge for edge in walked if edge.source in seen and edge.destination in seen]
    return Reached(list(seen), edges)


def _next(
    ring: Sequence[str],
    direction: Direction,
    neighbours: Callable[[str, Direction], Iterable[Edge]],
    here: set[str],
    seen: dict[str, None],
    walked: dict[Edge, None],
    most: int,
) -> list[str]:
    found = []
    for vertex in ring:
        for edge in neighbours(vertex, direction):
            other = edge.source if direction == "Ascendants" else edge.destination
            if other not in seen and len(seen) >= most:
                continue
            walked[edge] = None
            seen[other] = None
            if other not in here:
                here.add(other)
                found.append(other)
    return found

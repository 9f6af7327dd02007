"""Walking the lineage, against plain reachability."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tidemill.control.plan.lineage import Direction, Edge, Reached, reach

VERTICES = "abcdefg"
EDGES = st.lists(st.tuples(st.sampled_from(VERTICES), st.sampled_from(VERTICES)), max_size=20)
MANY = 1_000


def walk(edges: list[tuple[str, str]], direction: Direction, depth: int, most: int) -> Reached:
    def neighbours(vertex: str, direction: Direction) -> Iterable[Edge]:
        here = 1 if direction == "Ascendants" else 0
        return [Edge(*edge) for edge in edges if edge[here] == vertex]

    return reach("a", [direction], neighbours, depth=depth, most=most)


def within(edges: list[tuple[str, str]], depth: int) -> set[str]:
    """All that is reached from ``a`` in so many steps, by repeated union."""
    found = {"a"}
    for _ in range(depth):
        found |= {end for start, end in edges if start in found}
    return found


@given(EDGES, st.integers(0, 8))
def test_a_walk_reaches_what_can_be_reached(edges: list[tuple[str, str]], depth: int) -> None:
    found = walk(edges, "Descendants", depth, MANY)
    assert set(found.vertices) == within(edges, depth)
    assert len(found.vertices) == len(set(found.vertices))
    assert all((edge.source, edge.destination) in edges for edge in found.edges)
    turned = [(end, start) for start, end in edges]
    assert set(walk(turned, "Ascendants", depth, MANY).vertices) == set(found.vertices)


@given(EDGES, st.integers(1, 4))
def test_a_walk_is_bounded(edges: list[tuple[str, str]], most: int) -> None:
    found = walk(edges, "Descendants", 10, most)
    assert len(found.vertices) <= most
    ends = {end for edge in found.edges for end in (edge.source, edge.destination)}
    assert ends <= set(found.vertices)


@given(EDGES, st.sampled_from(VERTICES))
def test_the_ways_to_a_vertex_begin_at_the_start(edges: list[tuple[str, str]], to: str) -> None:
    found = walk(edges, "Descendants", 10, MANY)
    way = found.leading_to([to])
    assert set(way.vertices) <= set(found.vertices)
    if to not in found.vertices:
        assert way == Reached([], [])
    else:
        assert {"a", to} <= set(way.vertices)
        pairs = [(edge.source, edge.destination) for edge in way.edges]
        assert to in within(pairs, 10)

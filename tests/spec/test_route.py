"""The routing table is the same to the router as it was to control."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.capture import Capture
from tidemill.spec.route import Route, RoutingTable, Variant, from_json

NAMES = st.text(min_size=1, max_size=12)
VARIANTS = st.builds(
    Variant, NAMES, st.floats(0, 100), st.dictionaries(NAMES, NAMES.map("unix:/{}".format))
)
CAPTURES = st.builds(
    Capture, st.integers(0, 100), NAMES, csv=st.lists(NAMES, max_size=2).map(tuple)
)
ROUTES = st.builds(
    Route,
    NAMES,
    NAMES,
    st.lists(VARIANTS, max_size=3).map(tuple),
    capture=st.none() | CAPTURES,
)


@given(st.lists(ROUTES, max_size=4))
def test_a_table_is_read_as_it_was_written(routes: list[Route]) -> None:
    table = RoutingTable("123456789012", {(r.region, r.endpoint): r for r in routes})
    assert from_json(table.to_json()) == table

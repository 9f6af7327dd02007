"""While an update moves the traffic, a variant has two fleets behind its one name."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.router.test_live import NOW, replica, variant
from tidemill.router.line import Line
from tidemill.router.live import LiveRoute, choose
from tidemill.spec.frame import REQUEST, pack
from tidemill.spec.route import Route


@pytest.mark.parametrize("target", ["", "v"])
def test_both_fleets_take_their_shares_whether_the_variant_is_named_or_not(target: str) -> None:
    old, new = variant(replica(), weight=0.9), variant(replica(), weight=0.1)
    live = LiveRoute(Route("e", "r", ()), [old, new], Line())
    taking = live.variants(target)
    drawn = Counter(one[0] is new for _ in range(2000) if (one := choose(taking, NOW)))
    assert drawn.total() == 2000
    assert 120 < drawn[True] < 280


def test_a_fleet_that_is_down_leaves_its_share_to_the_other() -> None:
    old, new = variant(replica(up=False), weight=0.9), variant(replica(), weight=0.1)
    live = LiveRoute(Route("e", "r", ()), [old, new], Line())
    assert live.is_up("v")
    chosen = choose(live.variants("v"), NOW)
    assert chosen is not None
    assert chosen[0] is new


def test_requests_go_to_the_fleet_that_has_what_they_name() -> None:
    one, two = variant(replica()), variant(replica(), targets=("a", "b"))
    many = variant(replica(), multi_model=True)
    for fleets, heads in (
        ([one, two], {b"t\n\n": one, b"t\n\n\na": two, b"t\n\n\nb": two, b"t\n\n\nc": None}),
        ([one, many], {b"t\n\n": one, b"t\n\n\nc.tar.gz": many}),
        ([two], {b"t\n\n\na": two}),
    ):
        live = LiveRoute(Route("e", "r", ()), fleets, Line())
        for head, wanted in heads.items():
            frame = pack(REQUEST, 1, 0, head, b"1")
            for chosen in (choose(fleets, NOW, frame) for _ in range(20)):
                assert (chosen and chosen[0]) is wanted
        assert live.is_up("v")


def test_a_target_that_is_not_there_has_no_variants() -> None:
    live = LiveRoute(Route("e", "r", ()), [variant(replica())], Line())
    assert live.variants("other") == []
    assert not live.is_up("other")

"""Which replica is next: the shares of those that are new, hang, are full or reserved."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from tidemill.router.live import LiveVariant, choose
from tidemill.router.meter import Meter
from tidemill.spec.meters import Counted
from tidemill.spec.route import RANDOM, Variant

NOW = 1000.0


def replica(**more: Any) -> Any:
    plain = {"up": True, "reserved": False, "hung": False, "since": 0.0, "load": 0}
    return SimpleNamespace(**{**plain, "in_flight": {}, **more})


def variant(*replicas: Any, weight: float = 1.0, **more: Any) -> LiveVariant:
    meter = Meter(Counted("r", "e", "v"))
    return LiveVariant(Variant("v", weight, {}, **more), replicas, 10, meter)


def shares(one: LiveVariant, now: float = NOW) -> Counter[int]:
    at = {id(replica): index for index, replica in enumerate(one.replicas)}
    return Counter(at[id(one.pick(now))] for _ in range(2000))


def test_the_least_busy_is_next_unless_the_config_says_at_random() -> None:
    busy, free = replica(in_flight={1: 1, 2: 2}), replica()
    assert shares(variant(busy, free)) == {1: 2000}
    drawn = shares(variant(busy, free, routing=RANDOM))
    assert 800 < drawn[0] < 1200


def test_one_that_has_just_come_up_takes_a_share_that_grows() -> None:
    old, new = replica(in_flight={1: 1}), replica(since=NOW)
    both = variant(old, new)
    at_first, later = shares(both, NOW), shares(both, NOW + 2)
    assert 100 < at_first[1] < 300
    assert 900 < later[1] < 1300
    assert shares(both, NOW + 4) == {1: 2000}


def test_where_all_are_new_they_share_as_ever() -> None:
    assert 800 < shares(variant(replica(since=NOW), replica(since=NOW)))[0] < 1200


def test_those_that_hang_are_the_last_resort_and_the_reserved_are_none() -> None:
    well, hung, reserved = replica(), replica(hung=True), replica(reserved=True)
    assert shares(variant(well, hung, reserved)) == {0: 2000}
    assert shares(variant(hung, reserved)) == {0: 2000}
    assert variant(reserved).pick(NOW) is None


def test_the_full_take_nothing() -> None:
    full, heavy = replica(in_flight=dict.fromkeys(range(10))), replica(load=2**30)
    assert variant(full, heavy).pick(NOW) is None
    assert shares(variant(full, heavy, replica())) == {2: 2000}


def test_a_variant_without_room_leaves_its_share_to_the_others() -> None:
    full = variant(replica(in_flight=dict.fromkeys(range(10))), weight=99.0)
    other = variant(replica())
    chosen = choose([full, other], NOW)
    assert chosen is not None
    assert chosen[0] is other
    assert choose([full, full], NOW) is None

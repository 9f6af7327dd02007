"""How many replicas a serverless variant needs: properties that hold of any demand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.serverless import MOST_CONCURRENT, Serverless
from tidemill.traffic.serverless import EACH, Policy, wanted, warm

at_once = st.integers(0, 3 * MOST_CONCURRENT)
seconds = st.floats(0, 1e9)
policies = st.builds(Policy, idle=st.floats(1, 3600), most=st.integers(1, 64))


@st.composite
def bounds(draw: st.DrawFn) -> Serverless:
    most = draw(st.integers(1, MOST_CONCURRENT))
    return Serverless(1024, most, draw(st.integers(0, most)))


@given(bounds(), policies, at_once, st.none() | seconds, seconds)
def test_there_are_never_more_than_the_machine_has_cores(
    one: Serverless, policy: Policy, peak: int, used: float | None, now: float
) -> None:
    count = wanted(one, policy, peak=peak, used=used, now=now)
    assert warm(one, policy) <= count <= policy.most


@given(bounds(), policies, at_once, seconds)
def test_whatever_has_just_been_used_has_a_replica(
    one: Serverless, policy: Policy, peak: int, used: float
) -> None:
    for now in (used - 5.0, used, used + 0.9):  # clocks may be set back, too
        assert wanted(one, policy, peak=peak, used=used, now=now) >= 1


@given(bounds(), policies, at_once, seconds, st.floats(1, 1e6))
def test_idle_variants_keep_only_what_is_provisioned(
    one: Serverless, policy: Policy, peak: int, used: float, more: float
) -> None:
    now = used + policy.idle + more
    assert wanted(one, policy, peak=peak, used=used, now=now) == warm(one, policy)
    assert wanted(one, policy, peak=peak, used=None, now=now) == warm(one, policy)
    assert (warm(one, policy) > 0) == (one.provisioned > 0)


@given(bounds(), policies, at_once, at_once)
def test_more_requests_never_get_fewer_replicas(
    one: Serverless, policy: Policy, few: int, more: int
) -> None:
    low, high = sorted((few, few + more))
    fewer = wanted(one, policy, peak=low, used=1.0, now=1.0)
    assert fewer <= wanted(one, policy, peak=high, used=1.0, now=1.0)


@given(bounds(), at_once)
def test_with_enough_cores_each_replica_has_its_share(one: Serverless, peak: int) -> None:
    count = wanted(one, Policy(most=1000), peak=peak, used=1.0, now=1.0)
    assert count * EACH >= min(peak, one.max_concurrency)

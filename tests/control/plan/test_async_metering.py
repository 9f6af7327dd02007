"""Metrics of asynchronous endpoints by AWS's names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.control.plan.async_metering import backlog, since
from tidemill.control.plan.metering import idle
from tidemill.control.plan.metering import since as requests_since
from tidemill.router.meter import Meter
from tidemill.router.tally import Tally
from tidemill.spec import meters
from tidemill.spec.meters import Counted, Queue

KEY = ("us-east-1", "later", "main")
VARIANT = (("EndpointName", "later"), ("VariantName", "main"))


def tallied() -> meters.Tally:
    """Four requests: an answer, a failure, one without an input, one that expired."""
    tally = Tally(meters.Tally(*KEY))
    for failed in (False, True, True):
        tally.end(failed=failed, waited=2.0, took=3.0)
        tally.put.add(0.001)
    tally.fetched.add(0.002)
    tally.unfetched += 1
    tally.expired += 1
    tally.miss()
    return tally.told()


def test_each_ended_request_is_one_value_of_each_metric() -> None:
    found = list(since(None, tallied()))
    assert {series.dimensions for series, _ in found} == {VARIANT}
    told = {series.name: (summary.count, summary.total) for series, summary in found}
    assert {name: told[name] for name in told if "Lat" not in name and "Time" not in name} == {
        "InvocationsProcesssed": (3, 3),
        "InvocationFailures": (4, 2),
        "ExpiredRequests": (4, 1),
        "RequestDownloadFailures": (4, 1),
        "ResponseUploadFailures": (4, 0),
        "NotificationFailures": (4, 1),
    }
    means = {series.name: (summary.mean, series.unit) for series, summary in found}
    assert means["TimeInBacklog"] == (pytest.approx(2000, rel=1e-4), "Milliseconds")
    assert means["TotalProcessingTime"] == (pytest.approx(3000, rel=1e-4), "Milliseconds")
    assert means["RequestDownloadLatency"] == (pytest.approx(2000, rel=1e-4), "Microseconds")
    assert means["ResponseUploadLatency"] == (pytest.approx(1000, rel=1e-4), "Microseconds")


def test_only_what_is_new_is_told_and_counts_outlive_the_router() -> None:
    before = meters.from_json(meters.Meters("life", 1.0, (), (tallied(),)).to_json()).tallies[0]
    assert before == tallied()
    assert list(since(before, tallied())) == []
    tally = Tally(before)
    tally.miss()  # some seconds after the request has ended
    [(series, summary)] = since(before, tally.told())
    assert (series.name, summary.total) == ("NotificationFailures", 1)
    assert len(list(since(replace(before, processed=9), tallied()))) == 10  # another life


@pytest.mark.parametrize(
    ("queue", "values"),
    [
        (Queue("r", "later"), [0, 0, 0, 0]),
        (Queue("r", "later", 3, 90.0), [3, 3, 10, 1]),
        (Queue("r", "later", 3, 90.0, 2), [3, 1.5, 10, 0]),
        (Queue("r", "later", 1, 101.0, 1), [1, 1, 0, 0]),
    ],
)
def test_a_backlog_is_told_of_the_endpoint(queue: Queue, values: list[float]) -> None:
    found = list(backlog(queue, 100.0))
    assert [summary.mean for _, summary in found] == values
    assert {series.dimensions for series, _ in found} == {(("EndpointName", "later"),)}


def test_less_is_told_of_the_requests_themselves() -> None:
    meter = Meter(Counted(*KEY, is_asynchronous=True))
    meter.add(500, 0.001, 0.001)
    names = {series.name for series, _ in requests_since(None, meter.told())}
    errors = {"Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors"}
    assert names == {"ModelLatency", *errors}
    assert list(idle(meter.told())) == []

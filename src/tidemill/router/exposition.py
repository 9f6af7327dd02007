"""``GET /metrics``: what has been counted, as Prometheus reads it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from math import floor, log

from tidemill.router import answers
from tidemill.router.capture import Recorder
from tidemill.router.http import Connection, Exchange, Request
from tidemill.router.meter import Meters
from tidemill.spec.meters import Counted, Latency, Queue
from tidemill.stats.quantiles import PER_LOG

PATH = b"/metrics"
BOUNDS = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds, of the histograms; a bound is met to within 2 %, the width of a counted bucket."""
_LAST = [floor(log(bound * 1e6) * PER_LOG + 1e-9) for bound in BOUNDS]

_COUNTERS = (
    ("tidemill_invocations_total", "Requests to a variant of an endpoint.", "requests"),
    ("tidemill_invocation_4xx_errors_total", "Requests answered with a 4xx.", "errors_4xx"),
    ("tidemill_invocation_5xx_errors_total", "Requests answered with a 5xx.", "errors_5xx"),
    ("tidemill_model_errors_total", "Requests that the model did not answer.", "model_errors"),
    ("tidemill_shadow_copies_lost_total", "Copies that a shadow had no room for.", "lost"),
)
_GAUGES = (
    ("tidemill_requests_under_way", "Requests that replicas have at this moment.", "under_way"),
    ("tidemill_replicas", "Replicas that take requests.", "replicas"),
)
_HISTOGRAMS = (
    ("tidemill_model_latency_seconds", "From the replica's getting a request on.", "model"),
    ("tidemill_overhead_latency_seconds", "All the rest of a request's time here.", "overhead"),
)


class Exposition(Exchange):
    """The page, for who knows the token (``auth.credentials.Credentials.metrics_token``)."""

    __slots__ = ("_meters", "_recorder", "_token")

    def __init__(
        self,
        connection: Connection,
        request: Request,
        meters: Meters,
        token: str,
        recorder: Recorder,
    ) -> None:
        super().__init__(connection, request)
        self._meters = meters
        self._recorder = recorder
        self._token = b"Bearer " + token.encode()

    def complete(self) -> None:
        request = self.request
        close = not request.keep_alive
        given = request.header(b"authorization") or b""
        if hmac.compare_digest(given, self._token):
            told, recorder = self._meters.told(), self._recorder
            body = page(told.counted, told.queues, (recorder.written, recorder.dropped))
            answer = answers.exposition(body, close=close, with_body=request.method == b"GET")
        else:
            answer = answers.no_token(close=close)
        self.connection.write(self, answer, last=True)


def takes(request: Request) -> bool:
    """Is this a request for the page? A signed one is for a bucket of that name."""
    if request.target != PATH or request.method not in (b"GET", b"HEAD"):
        return False
    given = request.header(b"authorization")
    return given is None or given.startswith(b"Bearer ")


def page(
    counted: Sequence[Counted],
    queues: Sequence[Queue] = (),
    captured: tuple[int, int] = (0, 0),
) -> bytes:
    """The text format, version 0.0.4. captured: requests that data capture has written, and lost"""
    lines = chain(_lines(counted), _queues(queues), _captured(captured))
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(counted: Sequence[Counted]) -> Iterator[str]:
    labels = {one.key: _labels(one) for one in counted}
    for kind, metrics in (("counter", _COUNTERS), ("gauge", _GAUGES)):
        for name, words, field in metrics:
            yield from _head(name, words, kind)
            for one in counted:
                yield f"{name}{{{labels[one.key]}}} {getattr(one, field)}"
    for name, words, field in _HISTOGRAMS:
        yield from _head(name, words, "histogram")
        for one in counted:
            yield from _histogram(name, labels[one.key], getattr(one, field))


def _queues(queues: Sequence[Queue]) -> Iterator[str]:
    name = "tidemill_async_backlog"
    if queues:
        yield from _head(name, "Queued requests that have no answer yet.", "gauge")
    for one in queues:
        yield f'{name}{{region="{one.region}",endpoint="{one.endpoint}"}} {one.size}'


def _captured(counts: tuple[int, int]) -> Iterator[str]:
    for name, words, count in zip(
        ("tidemill_captured_requests_total", "tidemill_captured_requests_lost_total"),
        ("Requests that data capture has written.", "Requests that it had to let go."),
        counts,
        strict=True,
    ):
        yield from _head(name, words, "counter")
        yield f"{name} {count}"


def _head(name: str, words: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def _histogram(name: str, labels: str, latency: Latency) -> Iterator[str]:
    inside = [0] * (len(BOUNDS) + 1)
    for at, count in latency.buckets.items():
        inside[next((n for n, last in enumerate(_LAST) if at <= last), len(BOUNDS))] += count
    for bound, count in zip(BOUNDS, accumulate(inside), strict=False):
        yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {latency.count}'
    yield f"{name}_sum{{{labels}}} {latency.total / 1e6}"
    yield f"{name}_count{{{labels}}} {latency.count}"


def _labels(one: Counted) -> str:
    named = zip(("region", "endpoint", "variant", "config"), one.key, strict=True)
    return ",".join(f'{name}="{value}"' for name, value in named if value)

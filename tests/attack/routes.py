"""Every route there is: all operations of all services spoken, built or not, and what is ours."""

from __future__ import annotations

import re
from functools import lru_cache

from tests.attack.wire import Asking
from tidemill.gateway.services import SPOKEN, Spoken
from tidemill.gateway.wire.model import Operation, service
from tidemill.router.paths import OPERATIONS

FORM = {"content-type": "application/x-www-form-urlencoded"}
_LABEL = re.compile(r"\{(\w+)\+?\}")


@lru_cache(maxsize=1)
def everything() -> dict[str, Asking]:
    """Name → a request to it that lacks nothing but meaning."""
    found: dict[str, Asking] = {}
    for spoken in SPOKEN:
        for name in spoken.description().names:
            operation = spoken.description().operation(name)
            assert operation is not None
            found[f"{spoken.model}.{name}"] = call(spoken, operation, b"{}")
    for name in service("cloudwatch").names:
        found[f"older-cloudwatch.{name}"] = form("monitoring", name, "2010-08-01")
    return found | _buckets() | _runtime()


def call(spoken: Spoken, operation: Operation, body: bytes) -> Asking:
    if spoken.by_path:
        path, _, query = _LABEL.sub("x", operation.uri).partition("?")
        return Asking(operation.method, path, query, {}, body, service=spoken.scope)
    if spoken.target:
        headers = {
            "content-type": f"application/x-amz-json-{spoken.json}",
            "x-amz-target": f"{spoken.target}.{operation.name}",
        }
        return Asking(headers=headers, body=body, service=spoken.scope)
    return form(spoken.scope, operation.name, "2010-05-08")


def form(scope: str, name: str, version: str) -> Asking:
    return Asking(
        headers=dict(FORM), body=f"Action={name}&Version={version}".encode(), service=scope
    )


def _buckets() -> dict[str, Asking]:
    model, found = service("s3"), {}
    for name in model.names:
        operation = model.operation(name)
        assert operation is not None
        path, _, query = _LABEL.sub("attacked", operation.uri).partition("?")
        found[f"s3.{name}"] = Asking(operation.method, path, query, service="s3")
    return found


def _runtime() -> dict[str, Asking]:
    """What the router answers by itself: all but ``/ping`` and ``/health`` need a signature."""
    ways = {f"runtime.{way}": Asking(path=f"/endpoints/e/{way}", body=b"1") for way in OPERATIONS}
    gets = (
        "/endpoints/e/feedback",
        "/v2/models/e",
        "/v2/models/e/ready",
        "/v2/models/e/versions/AllTraffic",
        "/v2/models/e/versions/AllTraffic/ready",
    )
    posts = ("/v2/models/e/infer", "/v2/models/e/versions/AllTraffic/infer", "/v2/nothing")
    return (
        ways
        | {f"GET {path}": Asking("GET", path) for path in gets}
        | {f"POST {path}": Asking("POST", path, body=b"{}") for path in posts}
        | {"metrics": Asking("GET", "/metrics"), "odd": Asking("PATCH", "/a/b")}
    )

"""The Open Inference Protocol over a real router: each endpoint is a model of its name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.router import stand_in
from tests.router.stand_in import REGION, Client, Platform, Replica, raw, route, wait_until
from tidemill.router.v2 import read
from tidemill.spec.route import Route, Variant


@pytest.fixture(scope="module")
def replica(platform: Platform) -> Iterator[Replica]:
    one, two = platform.replica("v1"), platform.replica("v2")
    variants = (
        Variant("blue", 1.0, {"r1": f"unix:{one.path}"}),
        Variant("green", 0.0, {"r2": f"unix:{two.path}"}),
    )
    nobody = Variant("AllTraffic", 1.0, {})
    platform.routes(
        route("mill", one), Route("both", REGION, variants), Route("away", REGION, (nobody,))
    )
    two.answer = lambda head, body: (200, b"application/json\n", b"green")
    yield one
    one.kill()
    two.kill()


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (b"/v2/models/mill/infer", ("mill", "", "infer")),
        (b"/v2/models/m%69ll/versions/blue/infer?x=1", ("mill", "blue", "infer")),
        (b"/v2/models/mill", ("mill", "", "")),
        (b"/v2/models/mill/versions/blue/ready", ("mill", "blue", "ready")),
        (b"/v2/models/mill/versions/blue", ("mill", "blue", "")),
        (b"/v2/models//infer", None),
        (b"/v2/models/mill/versions", None),
        (b"/v2/models/mill/versions/infer", ("mill", "infer", "")),
        (b"/v2/models/mill/infer/x", None),
        (b"/v2", None),
        (b"/v2/models", None),
        (b"/v3/models/mill/infer", None),
    ],
)
def test_paths(target: bytes, wanted: tuple[str, str, str] | None) -> None:
    asked = read(target)
    assert (asked and (asked.invoke.endpoint, asked.version, asked.what)) == wanted


def test_an_inference_reaches_the_replica_as_what_it_is(replica: Replica, client: Client) -> None:
    replica.answer = lambda head, body: (200, b"application/json\n", b'{"outputs":[]}')
    status, headers, body = client.request("POST", "/v2/models/mill/infer", b'{"inputs":[]}')
    assert (status, body) == (200, b'{"outputs":[]}')
    assert headers["content-type"] == "application/json"
    assert replica.requests[-1] == (
        b"application/vnd.oip.v2+json;model=mill\n\n",
        b'{"inputs":[]}',
    )
    client.request("GET", "/v2/models/mill")
    assert replica.requests[-1] == (b"application/vnd.oip.v2+json;model=mill;about=1\n\n", b"")


def test_tensors_behind_the_json_keep_its_length_both_ways(
    replica: Replica, client: Client
) -> None:
    kind = b"application/octet-stream;json=2\n"
    replica.answer = lambda head, body: (200, kind, b"{}abc\r\n")
    sent = {"Inference-Header-Content-Length": "13", "Content-Type": "application/octet-stream"}
    status, headers, body = client.request(
        "POST", "/v2/models/mill/infer", b'{"inputs":[]}\x00\x01', sent
    )
    assert (status, body) == (200, b"{}abc\r\n")
    assert headers["inference-header-content-length"] == "2"
    assert headers["content-type"] == "application/octet-stream"
    head = b"application/vnd.oip.v2+json;model=mill;json=13\n\n"
    assert replica.requests[-1] == (head, b'{"inputs":[]}\x00\x01')


def test_a_variant_is_a_version(replica: Replica, client: Client) -> None:
    replica.answer = lambda head, body: (200, b"application/json\n", b"blue")
    for version in (b"blue", b"green"):
        path = f"/v2/models/both/versions/{version.decode()}/infer"
        assert client.request("POST", path, b"{}")[2] == version
    status, _, body = client.request("POST", "/v2/models/both/versions/red/infer", b"{}")
    assert status == 400
    assert "Variant red not found" in json.loads(body)["error"]


def test_errors_are_in_the_protocol_s_form(replica: Replica, client: Client) -> None:
    replica.answer = lambda head, body: (400, b"text/plain\n", b"must be JSON")
    status, _, body = client.request("POST", "/v2/models/mill/infer", b"{")
    assert (status, json.loads(body)) == (400, {"error": "must be JSON"})
    for path, method in (("/infer", "POST"), ("/ready", "GET"), ("", "GET")):
        status, _, body = client.request(method, f"/v2/models/none{path}")
        assert status == 404
        assert "Endpoint none of account" in json.loads(body)["error"]
    status, _, body = client.request("POST", "/v2/models/mill/infer", b"{}", secret="guess")
    assert status == 403
    assert set(json.loads(body)) == {"error"}


def test_readiness(platform: Platform, replica: Replica, client: Client) -> None:
    # The router may be about to connect to the replica.
    wait_until(lambda: client.request("GET", "/v2/models/mill/ready")[0] == 200)
    status, _, body = client.request("GET", "/v2/models/mill/ready")
    assert (status, json.loads(body)) == (200, {"name": "mill", "ready": True})
    status, _, body = client.request("GET", "/v2/models/away/ready")
    assert (status, json.loads(body)["ready"]) == (503, False)
    for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
        unsigned = raw("GET", path, {"Host": "h", "Connection": "close"})
        assert stand_in.statuses(stand_in.talk(platform.port, unsigned)) == [200]
    unsigned = raw("GET", "/v2/models/mill/ready", {"Host": "h", "Connection": "close"})
    assert stand_in.statuses(stand_in.talk(platform.port, unsigned)) == [403]

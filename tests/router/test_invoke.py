"""InvokeEndpoint over a real router: proved, bounded, routed, answered in AWS's words."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.router import stand_in
from tests.router.stand_in import (
    KEY,
    REGION,
    SECRET,
    Client,
    Platform,
    Replica,
    Wire,
    raw,
    route,
    signed,
)
from tidemill.auth.access import Access
from tidemill.auth.credentials import Credentials
from tidemill.router import invoke as room
from tidemill.router.clock import Clock
from tidemill.router.gate import Gate
from tidemill.router.http import Connection
from tidemill.router.paths import invoke
from tidemill.spec.route import Route, Variant


@pytest.fixture(scope="module", params=["unix", "tcp"])
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Whatever way the replicas are reached, the same holds."""
    with stand_in.platform(tmp_path_factory.mktemp("h"), tcp=request.param == "tcp") as one:
        yield one


@pytest.fixture(scope="module")
def replica(platform: Platform) -> Iterator[Replica]:
    one = platform.replica("r1")
    two = platform.replica("r2")
    variants = (
        Variant("blue", 3.0, {"r1": one.address}),
        Variant("green", 1.0, {"r2": two.address}),
    )
    platform.routes(
        route("echo", one),
        route("small", one, max_body=1000),
        Route("both", REGION, variants),
    )
    yield one
    one.kill()
    two.kill()


def error(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str, str]:
    status, headers, body = answer
    document = json.loads(body)
    assert document["__type"] == headers["x-amzn-errortype"]
    return status, headers["x-amzn-errortype"], document["message"]


def test_boto3_gets_the_model_s_answer(platform: Platform, replica: Replica) -> None:
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{platform.port}",
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}),
    )
    replica.answer = lambda head, body: (200, b"text/csv\nattributes back", body.upper())
    answer = runtime.invoke_endpoint(
        EndpointName="echo",
        Body=b"a,b",
        ContentType="text/csv",
        Accept="text/csv",
        CustomAttributes="c1",
    )
    assert answer["Body"].read() == b"A,B"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "attributes back"
    assert answer["ResponseMetadata"]["RequestId"]
    assert replica.requests[-1] == (b"text/csv\ntext/csv\nc1", b"a,b")
    replica.answer = lambda head, body: (415, b"text/plain\n", b"what is this?")
    with pytest.raises(ClientError) as raised:
        runtime.invoke_endpoint(EndpointName="echo", Body=b"a,b")
    response = raised.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 415
    assert response["OriginalMessage"] == "what is this?"
    assert response["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/echo")
    replica.answer = stand_in.echo
    with pytest.raises(ClientError, match="ValidationError.*Endpoint none of account") as raised:
        runtime.invoke_endpoint(EndpointName="none", Body=b"a,b")
    with pytest.raises(ClientError, match="ValidationError.*echo has no AsyncInferenceConfig"):
        runtime.invoke_endpoint_async(EndpointName="echo", InputLocation="s3://b/k")
    with pytest.raises(ClientError, match="ValidationError.*TargetModel"):
        runtime.invoke_endpoint(EndpointName="echo", Body=b"a,b", TargetModel="m")
    runtime.close()


def test_a_request_without_the_right_signature_is_refused(
    platform: Platform, replica: Replica, client: Client
) -> None:
    status, code, _ = error(client.invoke("echo", b"1", secret="guess"))
    assert (status, code) == (403, "InvalidSignatureException")
    status, code, message = error(client.invoke("echo", b"1", service="s3x"))
    assert (status, code) == (403, "InvalidSignatureException")
    assert "sagemaker" in message
    path = "/endpoints/echo/invocations"
    changed = raw("POST", path, signed(path, b"1", port=platform.port), b"2")
    unsigned = raw("POST", path, {"Host": "h"}, b"1")
    assert stand_in.statuses(stand_in.talk(platform.port, changed)) == [403]
    assert b"MissingAuthenticationTokenException" in stand_in.talk(platform.port, unsigned)


def test_a_percent_encoded_name_reaches_the_same_endpoint(replica: Replica, client: Client) -> None:
    assert client.invoke("%65cho", b"1")[2] == b"1"


def test_traffic_is_shared_by_weight_unless_a_variant_is_named(
    replica: Replica, client: Client
) -> None:
    seen = Counter(
        client.invoke("both", b"1")[1]["x-amzn-invoked-production-variant"] for _ in range(200)
    )
    assert 110 < seen["blue"] < 190
    named = {"X-Amzn-SageMaker-Target-Variant": "green"}
    answers = [client.invoke("both", b"1", named) for _ in range(20)]
    assert {a[1]["x-amzn-invoked-production-variant"] for a in answers} == {"green"}
    status, code, message = error(
        client.invoke("both", b"1", {"X-Amzn-SageMaker-Target-Variant": "red"})
    )
    assert (status, code) == (400, "ValidationError")
    assert "red" in message
    assert "blue, green" in message


def test_a_body_past_the_bound_is_refused_with_both_sizes(
    platform: Platform, replica: Replica, client: Client
) -> None:
    assert client.invoke("small", b"x" * 1000)[0] == 200
    status, code, message = error(client.invoke("small", b"x" * 1001))
    assert (status, code) == (400, "ValidationError")
    assert "1000" in message
    assert "1001" in message
    assert error(Client(platform.port).invoke("echo", b"x" * 6_291_457))[0] == 400
    path = "/endpoints/small/invocations"
    head = raw("POST", path, {"Host": "h", "Transfer-Encoding": "chunked"})
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    assert stand_in.statuses(stand_in.talk(platform.port, head, chunk, chunk)) == [400]


def test_a_body_too_long_is_refused_before_it_is_sent(platform: Platform, replica: Replica) -> None:
    head = b"POST /endpoints/echo/invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n"
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert stand_in.statuses(one.recv(4096)) == [400]


def test_the_bodies_of_all_requests_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Room:
        """A fleet that takes long bodies."""

        def longest_body(self, endpoint: str) -> int:
            return 10_000

    monkeypatch.setattr(room, "MOST_BYTES", 1000)
    gate = Gate(Access(Credentials(KEY, SECRET), stand_in.ACCOUNT), Path("nowhere"))
    desk = room.Desk(Room(), gate, Clock())
    asked = invoke(b"/endpoints/echo/invocations")
    assert asked is not None
    begun = b"POST /endpoints/echo/invocations HTTP/1.1\r\nContent-Length: 900\r\n\r\n" + b"x" * 600

    def connect() -> tuple[Connection, Wire]:
        wire = Wire()
        one = Connection(lambda c, r: room.Invocation(c, r, asked, desk), Clock(), set())
        one.connection_made(wire)
        one.data_received(begun)
        return one, wire

    first, first_wire = connect()
    _, second_wire = connect()
    assert stand_in.statuses(second_wire.written) == [503]
    assert first_wire.written == b""
    first.connection_lost(None)
    assert desk.load == 0
    third, third_wire = connect()
    third.data_received(b"x" * 300)  # whole, and unsigned
    assert stand_in.statuses(third_wire.written) == [403]
    assert desk.load == 0


def test_a_chunked_body_and_one_that_is_expected_are_taken(
    platform: Platform, replica: Replica
) -> None:
    path = "/endpoints/echo/invocations"
    headers = signed(path, b"hello", port=platform.port)
    head = raw("POST", path, {**headers, "Transfer-Encoding": "chunked"})
    got = stand_in.talk(platform.port, head, b"2\r\nhe\r\n3\r\nllo\r\n", b"0\r\n\r\n")
    assert got.endswith(b"\r\n\r\nhello")
    request = raw("POST", path, {**headers, "Expect": "100-continue"}, b"hello")
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(request[:-5])
        assert one.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b"hello")
        assert one.recv(4096).endswith(b"hello")


def test_pipelined_requests_are_answered_in_order(platform: Platform, replica: Replica) -> None:
    path = "/endpoints/echo/invocations"
    bodies = [f"<{i}>".encode() for i in range(150)]
    requests = [raw("POST", path, signed(path, b, port=platform.port), b) for b in bodies]
    requests[7:7] = [b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"]
    got = stand_in.talk(platform.port, b"".join(requests))
    assert stand_in.statuses(got) == [200] * 151
    places = [got.index(body) for body in bodies]
    assert places == sorted(places)
    assert places[6] < got.index(b'"ok"') < places[7]


def test_answers_that_come_out_of_order_are_put_in_order(
    platform: Platform, replica: Replica
) -> None:
    slow = platform.replica("slow", lambda head, body: None)
    platform.routes(route("echo", replica), route("slow", slow))
    requests = []
    for name in ("slow", "echo"):
        path = f"/endpoints/{name}/invocations"
        requests.append(raw("POST", path, signed(path, b"1", port=platform.port), b"1"))
    with socket.create_connection(("127.0.0.1", platform.port), timeout=10) as one:
        one.sendall(b"".join(requests))
        stand_in.wait_until(lambda: bool(slow.requests))
        slow.answer = lambda head, body: (200, b"late\n", b"late")
        slow.kill()
        slow.start()
        got = b""
        while len(stand_in.statuses(got)) < 2:
            got += one.recv(4096)
    assert got.index(b"Content-Type: late") < got.index(b"\r\n\r\n1")
    slow.kill()


def test_a_client_that_leaves_does_no_harm(platform: Platform, client: Client) -> None:
    never = platform.replica("never", lambda head, body: None)
    other = platform.replica("other")
    platform.routes(route("never", never), route("echo", other))
    path = "/endpoints/never/invocations"
    request = raw("POST", path, signed(path, b"1", port=platform.port), b"1")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", platform.port)) as one:
            one.sendall(request)
    stand_in.wait_until(lambda: len(never.requests) == 20)
    never.kill()
    assert client.invoke("echo", b"here")[2] == b"here"
    other.kill()


def test_requests_are_held_until_the_route_names_a_live_replica(
    platform: Platform, client: Client
) -> None:
    platform.routes(Route("later", REGION, (Variant("v", 1.0, {}),)))
    time.sleep(0.1)
    got: list[bytes] = []
    ask = threading.Thread(target=lambda: got.append(client.invoke("later", b"now")[2]))
    ask.start()
    bell = platform.home.socket("control")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.bind(str(bell))
        control.settimeout(10)
        platform.routes(
            Route("later", REGION, (Variant("v", 1.0, {"r": f"unix:{platform.home.root}/no"}),))
        )
        assert control.recv(16) == b"wake"
    bell.unlink()
    late = platform.replica("late")
    platform.routes(route("later", late))
    ask.join(10)
    assert got == [b"now"]
    late.kill()


def test_a_replica_s_death_loses_no_request(platform: Platform) -> None:
    one, two = platform.replica("one"), platform.replica("two")
    platform.routes(route("pair", one, two))
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        client = Client(platform.port)
        while not over.is_set():
            statuses.append(client.invoke("pair", b"x")[0])
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        time.sleep(0.1)
        victim = (one, two)[turn % 2]
        victim.kill()
        victim.start()
    time.sleep(0.1)
    one.kill()
    time.sleep(0.1)  # whoever ends two replicas in a row counts as what ended them
    two.kill()
    time.sleep(0.1)
    one.start()
    time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join(10)
    assert set(statuses) == {200}
    one.kill()


def test_a_deleted_endpoint_is_gone_and_a_new_one_is_there_at_once(
    platform: Platform, client: Client
) -> None:
    one = platform.replica("new")
    for _ in range(5):
        platform.routes()
        stand_in.wait_until(lambda: client.invoke("new", b"1")[0] == 400)
        platform.routes(route("new", one))
        assert client.invoke("new", b"1")[0] == 200
    one.kill()


def test_what_a_model_answers_cannot_end_a_header_line(platform: Platform, client: Client) -> None:
    sly = platform.replica(
        "sly", lambda head, body: (200, b"text/csv\r\nattributes\r\nX-Sly: 1\r\n\r\nbody", body)
    )
    platform.routes(route("sly", sly))
    status, headers, body = client.invoke("sly", b"1")
    assert (status, body) == (200, b"1")
    assert "x-sly" not in headers
    assert headers["x-amzn-sagemaker-custom-attributes"] == "attributes"
    sly.kill()


def test_paths_that_are_no_invocation_are_left_to_the_gateway() -> None:
    assert invoke(b"/endpoints//invocations") is None
    assert invoke(b"/endpoints/a/b/invocations") is None
    assert invoke(b"/endpoints/a/other") is None
    asked = invoke(b"/endpoints/a%20b/invocations?x=1")
    assert asked is not None
    assert (asked.endpoint, asked.query) == ("a b", "x=1")

"""Feedback finds the replica of the variant that answered, with the request that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.router import stand_in
from tests.router.stand_in import Client, Platform, Replica, echo, wait_until
from tidemill.router.feedback import Entry, Malformed, read
from tidemill.router.recall import MOST_BYTES_UNDER_WAY, MOST_SECONDS, MOST_UNDER_WAY, Recall
from tidemill.spec.learning import LABELS, STATUS, read_head, unpack_answered
from tidemill.spec.route import Route, Variant

ID = "x-amzn-sagemaker-inference-id"
KEY = ("us-east-1", "mill")


def learns(head: bytes, body: bytes) -> tuple[int, bytes, bytes]:
    """As a replica that learns: feedback has an id in its head's second line."""
    lines = head.decode().split("\n")
    if len(lines[1]) != 16:
        return echo(head, body)
    if lines[0] == STATUS:
        return 200, b"application/json\n", b'{"Version": 3}'
    if b"bad" in body:
        return 400, b"text/plain\n", b"no such label"
    return 200, b"application/json\n", b'{"Accepted": 1, "Version": 3}'


def fed(replica: Replica) -> list[tuple[str, bytes]]:
    """Content types and bodies of the feedback that a replica got."""
    heads = [(head.decode().split("\n"), body) for head, body in replica.requests]
    return [(head[0], body) for head, body in heads if len(head[1]) == 16]


def learning_route(*variants: tuple[str, Replica, bool], endpoint: str = "mill") -> Route:
    named = tuple(Variant(n, 1.0, {n: r.address}, learns=learns) for n, r, learns in variants)
    return Route(endpoint, "us-east-1", named)


@pytest.fixture
def replica(platform: Platform) -> Iterator[Replica]:
    one = platform.replica("learner", learns)
    platform.routes(learning_route(("blue", one, True)))
    yield one
    one.kill()


def tell(client: Client, said: object, **headers: str) -> tuple[int, dict[str, object]]:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    more = {"Content-Type": "application/json", **headers}
    status, _, answer = client.request("POST", "/endpoints/mill/feedback", body, more)
    return status, json.loads(answer)


def test_a_label_goes_to_where_the_answer_came_from(client: Client, replica: Replica) -> None:
    status, headers, _ = client.invoke("mill", b"1,2", {"Content-Type": "text/csv"})
    assert status == 200
    assert tell(client, {"InferenceId": headers[ID], "Label": 1}) == (200, {"Accepted": 1})
    [(content_type, body)] = fed(replica)
    assert content_type == LABELS
    assert unpack_answered(body) == [("text/csv", b"1,2", [1])]


def test_the_client_may_name_its_requests(client: Client, replica: Replica) -> None:
    for name in ("a", "b"):
        headers = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Inference-Id": name}
        _, answered, _ = client.invoke("mill", name.encode(), headers)
        assert answered[ID] == name
    both = [{"InferenceId": "a", "Label": [0]}, {"InferenceId": "b", "Label": [1, 2]}]
    assert tell(client, {"Feedback": both})[0] == 200
    [(_, body)] = fed(replica)
    assert [(one.body, one.labels) for one in unpack_answered(body)] == [
        (b"a", [0]),
        (b"b", [1, 2]),
    ]


def test_an_answer_has_feedback_once(client: Client, replica: Replica) -> None:
    client.invoke("mill", b"1,2", {ID: "once"})
    label = {"InferenceId": "once", "Label": 1}
    assert tell(client, label)[0] == 200
    status, said = tell(client, label)
    assert (status, said["__type"]) == (404, "ResourceNotFound")
    assert "Send the rows with their labels" in str(said["message"])
    assert len(fed(replica)) == 1


def test_what_a_replica_refuses_may_be_sent_again(client: Client, replica: Replica) -> None:
    client.invoke("mill", b"bad", {ID: "again"})
    for _ in range(2):
        status, said = tell(client, {"InferenceId": "again", "Label": 1})
        assert (status, said["message"]) == (400, "no such label")


def test_rows_bring_their_labels_themselves(client: Client, replica: Replica) -> None:
    status, said = tell(client, b"1,0.5,0.25\n", **{"Content-Type": "text/csv"})
    assert (status, said) == (200, {"Accepted": 1})
    assert fed(replica) == [("text/csv", b"1,0.5,0.25\n")]


def test_feedback_goes_to_the_variant_that_answered(client: Client, platform: Platform) -> None:
    blue, green = (platform.replica(name, learns) for name in ("blue", "green"))
    platform.routes(learning_route(("blue", blue, True), ("green", green, True)))
    wait_until(lambda: client.invoke("mill", b"")[0] == 200)
    ids: dict[str, list[str]] = {"blue": [], "green": []}
    while not all(ids.values()):
        _, headers, _ = client.invoke("mill", b"x")
        ids[headers["x-amzn-invoked-production-variant"]].append(headers[ID])
    both = [{"InferenceId": id, "Label": 1} for group in ids.values() for id in group]
    assert tell(client, {"Feedback": both}) == (200, {"Accepted": 2})
    for name, one in (("blue", blue), ("green", green)):
        [(_, body)] = fed(one)
        assert len(unpack_answered(body)) == len(ids[name])
    green.requests.clear()
    named = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Target-Variant": "green"}
    assert tell(client, b"1,2", **named)[0] == 200
    assert len(fed(green)) == 1
    blue.kill()
    green.kill()


def test_feedback_of_a_replica_that_died_says_so_to_the_next(
    client: Client, platform: Platform
) -> None:
    one = platform.replica("mortal", lambda head, body: None)
    platform.routes(learning_route(("blue", one, True)))

    def cut_then_learn(head: bytes, body: bytes) -> tuple[int, bytes, bytes]:
        one.answer = learns
        platform.loop.loop.call_soon(one.cut)
        return None  # type: ignore[return-value]

    one.answer = cut_then_learn
    assert tell(client, b"1,2", **{"Content-Type": "text/csv"})[0] == 200
    first, second = (read_head(head) for head, _ in one.requests)
    assert first[1] == second[1], "it is the same feedback"
    assert (first[2], second[2]) == (False, True)
    one.kill()


def test_how_learning_goes_is_asked_for_with_get(client: Client, replica: Replica) -> None:
    status, _, body = client.request("GET", "/endpoints/mill/feedback")
    assert (status, json.loads(body)) == (200, {"EndpointName": "mill", "Version": 3})


def test_others_do_not_learn_and_pay_nothing(client: Client, platform: Platform) -> None:
    one = platform.replica("plain")
    platform.routes(learning_route(("blue", one, False)))
    wait_until(lambda: client.invoke("mill", b"")[0] == 200)
    _, headers, _ = client.invoke("mill", b"1", {ID: "told"})
    assert ID not in headers
    status, said = tell(client, {"InferenceId": "told", "Label": 1})
    assert status == 400
    assert "TIDEMILL_LEARN" in str(said["message"])
    one.kill()


def test_feedback_must_be_signed(platform: Platform, replica: Replica) -> None:
    for method in ("GET", "POST"):
        one = stand_in.Client(platform.port)
        how = {"secret": "wrong"}
        status, _, _ = one.request(method, "/endpoints/mill/feedback", b"", {}, **how)
        assert status == 403
        one.close()
    assert fed(replica) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"Feedback": 1}', "must be a list"),
        (b'{"InferenceId": 7}', "a text"),
        (b'{"InferenceId": "a", "Label": "yes"}', "a number"),
        (b'{"InferenceId": "a", "Lable": 1}', "Lable"),
        (b'{"Feedback": [{"InferenceId": "a"}, {"InferenceId": "a"}]}', "once"),
        (b"[]", "1 to"),
    ],
)
def test_feedback_of_another_form_is_told_the_right_one(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read("application/json", body)


@pytest.mark.parametrize("media", [LABELS, STATUS, f"{LABELS.upper()};a=b"])
def test_the_router_s_own_words_are_not_taken_from_others(
    media: str, client: Client, replica: Replica
) -> None:
    status, said = tell(client, b"", **{"Content-Type": media})
    assert (status, said["__type"]) == (400, "ValidationError")
    assert fed(replica) == []


def test_json_lines_are_feedback_each() -> None:
    lines = b'{"InferenceId": "a", "Label": 1}\n\n{"InferenceId": "b"}\n'
    assert read("application/jsonlines", lines) == [Entry("a", [1]), Entry("b", None)]
    assert read("application/jsonlines", b'{"features": [1, 2]}\n') is None, "these are rows"
    assert read("application/json", b'{"instances": [[1, 2]]}') is None


def test_what_is_remembered_is_bounded() -> None:
    recall = Recall(most=10_000)
    for number in range(100):
        recall.keep(KEY, str(number), "blue", b"x" * 700, now=number)
    assert recall.bytes <= 10_000
    assert len(recall) == 9
    assert recall.find(KEY, "0", now=100) is None
    assert recall.find(KEY, "99", now=100) is not None
    assert recall.find(KEY, "99", now=100 + MOST_SECONDS) is None
    recall.trim(now=100 + MOST_SECONDS)
    assert (len(recall), recall.bytes) == (0, 0)


def test_feedback_under_way_is_bounded() -> None:
    recall = Recall()
    assert recall.enter(KEY, 2 * MOST_BYTES_UNDER_WAY), "one that is large goes alone"
    assert not recall.enter(KEY, 1)
    assert recall.enter(("us-east-1", "other"), 1)
    recall.leave(KEY, 2 * MOST_BYTES_UNDER_WAY)
    assert all(recall.enter(KEY, 1) for _ in range(MOST_UNDER_WAY))
    assert not recall.enter(KEY, 1)

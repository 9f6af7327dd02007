"""Captured lines: SageMaker's bytes, for any body."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.capture import (
    LEAST_FREE,
    Capture,
    Event,
    Form,
    from_document,
    is_full,
    key,
    least_free,
)

CAPTURE = Capture(
    100, "s3://mill/seen", csv=("text/csv",), json=("application/json", "application/jsonlines")
)
EVENT = Event(
    "6ebf4a0b-0d1c-4c9b-9f1a-1f8a3c1c1a11",
    datetime(2022, 2, 14, 17, 25, 6, 789000, UTC).timestamp(),
    "text/csv",
    b"1,2\n",
    "text/csv; charset=utf-8",
    b"0.02",
)
HEAD = (
    '{"captureData":{'
    '"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"1,2\\n",'
    '"encoding":"CSV"},'
    '"endpointOutput":{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT",'
    '"data":"0.02","encoding":"CSV"}},'
    '"eventMetadata":{"eventId":"6ebf4a0b-0d1c-4c9b-9f1a-1f8a3c1c1a11",'
)
TAIL = '"inferenceTime":"2022-02-14T17:25:06Z"},"eventVersion":"0"}\n'
TYPES = st.sampled_from(
    ["text/csv", "TEXT/CSV;label_size=0", "application/json", "application/x-npy", "", "text"]
)


def line(capture: Capture, event: Event) -> bytes:
    form = Form(capture)
    first = form.line(event)
    assert form.line(event) == first  # from what it has kept
    return first


def half(text: bytes, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(text)["captureData"][name]
    return found


def body(told: dict[str, str]) -> bytes:
    """The bytes that a half of a line stands for."""
    return b64decode(told["data"]) if told["encoding"] == "BASE64" else told["data"].encode()


def test_a_line_is_sagemaker_s_byte_for_byte() -> None:
    assert line(CAPTURE, EVENT).decode() == HEAD + TAIL


def test_an_inference_id_and_attributes_are_told_where_they_were_given() -> None:
    event = EVENT._replace(inference_id="id-7", attributes="trial=1,arm=b")
    given = '"inferenceId":"id-7","customAttributes":["trial=1,arm=b"],'
    assert line(CAPTURE, event).decode() == HEAD + given + TAIL


def test_bodies_of_types_that_are_not_listed_are_in_base64() -> None:
    event = EVENT._replace(sent_type="application/x-npy", sent=b"\x93NUMPY")
    assert half(line(CAPTURE, event), "endpointInput") == {
        "observedContentType": "application/x-npy",
        "mode": "INPUT",
        "data": "k05VTVBZ",
        "encoding": "BASE64",
    }
    bare = replace(CAPTURE, csv=(), json=())
    assert half(line(bare, EVENT), "endpointInput")["encoding"] == "BASE64"


def test_text_that_is_none_is_in_base64_so_that_nothing_is_lost() -> None:
    told = half(line(CAPTURE, EVENT._replace(sent=b"1,\xff\n")), "endpointInput")
    assert (told["encoding"], body(told)) == ("BASE64", b"1,\xff\n")


def test_one_half_alone_may_be_wanted() -> None:
    for mode, name in (("Input", "endpointInput"), ("Output", "endpointOutput")):
        told = json.loads(line(replace(CAPTURE, modes=(mode,)), EVENT))
        assert list(told["captureData"]) == [name]


@given(
    sent=st.binary(), answered=st.binary() | st.text().map(str.encode), sent_type=TYPES, type=TYPES
)
def test_any_body_comes_back_from_its_line(
    sent: bytes, answered: bytes, sent_type: str, type: str
) -> None:
    event = EVENT._replace(sent_type=sent_type, sent=sent, answered_type=type, answered=answered)
    text = line(CAPTURE, event)
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    for name, observed, original in (
        ("endpointInput", sent_type, sent),
        ("endpointOutput", type, answered),
    ):
        told = half(text, name)
        assert (told["observedContentType"], body(told)) == (observed, original)


@given(
    given=st.builds(
        Capture,
        st.integers(0, 100),
        st.text(),
        modes=st.sampled_from([("Input",), ("Output",), ("Input", "Output")]),
        csv=st.lists(st.text()).map(tuple),
        enabled=st.booleans(),
    )
)
def test_a_capture_survives_json(given: Capture) -> None:
    document: dict[str, Any] = json.loads(json.dumps(asdict(given)))
    assert from_document(document) == given
    assert from_document({**document, "later": 1}) == given


def test_no_capture_is_none() -> None:
    assert from_document(None) is None


@given(at=st.floats(0, 4e9))
def test_files_lie_under_the_hour_of_their_first_request_in_utc(at: float) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    name = key("a/b/", "mill", "one", at, "id")
    assert name.startswith(f"a/b/mill/one/{moment:%Y/%m/%d/%H}/{moment:%M-%S}-")
    assert name.endswith("-id.jsonl")
    assert not key("", "mill", "one", at, "id").startswith("/")


def test_a_disk_is_full_where_the_environment_says() -> None:
    assert is_full(100, 24)
    assert not is_full(100, 25)
    assert not is_full(100, 11, least_free({"TIDEMILL_CAPTURE_LEAST_FREE": "0.1"}))
    assert least_free({"TIDEMILL_CAPTURE_LEAST_FREE": "some"}) == LEAST_FREE

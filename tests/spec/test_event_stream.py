"""What is written is read back, here and by AWS's own reader; what was changed is refused."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

import botocore.session
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as some

from tidemill.errors import InvalidData
from tidemill.spec.event_stream import Decoder, Message, encode, event, exception

TIMES = some.integers(-(10**12), 10**13).map(
    lambda number: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)
)
VALUES = (
    some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.binary(max_size=50)
    | some.text(max_size=50)
    | TIMES
    | some.uuids()
)
NAMES = some.text(min_size=1, max_size=60).filter(lambda name: len(name.encode()) < 256)
MESSAGES = some.builds(
    Message, some.dictionaries(NAMES, VALUES, max_size=5), some.binary(max_size=300)
)


def seen_by_botocore(data: bytes) -> list[tuple[Any, bytes]]:
    reader = EventStreamBuffer()
    reader.add_data(data)
    return [(message.headers, message.payload) for message in reader]


@given(some.lists(MESSAGES, max_size=4), some.lists(some.integers(1, 40), max_size=30))
def test_messages_cut_anywhere_are_read_back(messages: list[Message], cuts: list[int]) -> None:
    data, decoder, found = b"".join(map(encode, messages)), Decoder(), []
    for size in cuts:
        found += decoder.feed(data[:size])
        data = data[size:]
    found += decoder.feed(data)
    assert found == messages
    assert not decoder.has_part


@given(MESSAGES)
def test_botocore_reads_the_same(message: Message) -> None:
    [(headers, payload)] = seen_by_botocore(encode(message))
    assert payload == message.payload
    assert list(headers) == list(message.headers)
    for name, value in message.headers.items():
        match value:
            case datetime():
                wanted: object = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
                    milliseconds=1
                )
            case UUID():
                wanted = value.bytes
            case _:
                wanted = value
        assert headers[name] == wanted


@given(MESSAGES, some.data())
def test_a_changed_byte_is_noticed(message: Message, data: some.DataObject) -> None:
    whole = bytearray(encode(message))
    at = data.draw(some.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(some.integers(1, 255))
    with pytest.raises(InvalidData, match="event stream"):
        Decoder().feed(bytes(whole))


@given(some.binary(max_size=200))
def test_junk_is_refused_or_waits(data: bytes) -> None:
    decoder = Decoder()
    try:
        found = decoder.feed(data)
    except InvalidData:
        return
    assert found or len(data) < 12 or decoder.has_part


def test_small_numbers_of_others_are_read() -> None:
    """We write longs; AWS's services write what is enough."""
    headers = b"\x01a\x02\xff" + b"\x01b\x03\xff\xfe" + b"\x01c\x04\xff\xff\xff\xfd"
    head = struct.pack(">II", 16 + len(headers), len(headers))
    head += struct.pack(">I", crc32(head)) + headers
    found = Decoder().feed(head + struct.pack(">I", crc32(head)))
    assert found == [Message({"a": -1, "b": -2, "c": -3})]


def test_events_and_exceptions_are_what_botocore_s_model_says() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    operation = model.operation_model("InvokeEndpointWithResponseStream")
    assert operation.output_shape is not None
    shape = operation.output_shape.members["Body"]
    parser: Any = vars(create_parser("rest-json"))["_event_stream_parser"]
    data = event("PayloadPart", "application/octet-stream")(b"0.5,\xff")
    data += exception("ModelStreamError", "it ended " * 1000, ErrorCode="StreamBroken")
    reader = EventStreamBuffer()
    reader.add_data(data)
    first, second = reader
    assert parser.parse(first.to_response_dict(), shape) == {"PayloadPart": {"Bytes": b"0.5,\xff"}}
    said = parser.parse(second.to_response_dict(), shape)["Error"]
    assert said["Code"] == "ModelStreamError"
    assert len(said["Message"]) == 2048


@pytest.mark.parametrize(
    "headers", [{"": 1}, {"x" * 256: 1}, {"x": b"y" * 32768}, {"x": "y" * 32768}]
)
def test_headers_that_no_reader_takes_are_refused(headers: dict[str, object]) -> None:
    with pytest.raises(InvalidData, match="event stream"):
        encode(Message(headers))  # type: ignore[arg-type]

"""Messages of application/vnd.amazon.eventstream, as AWS's clients read answers in parts.

A message is a prelude, its headers, the payload and a checksum; integers are big-endian::

    u32 bytes in all · u32 bytes of headers · u32 CRC of these eight bytes
    headers: u8 length, name, u8 type, value · payload · u32 CRC of all before it

Source: "Event stream encoding" in the documentation of Amazon Transcribe, and botocore's reader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

import orjson

from tidemill.errors import InvalidData

CONTENT_TYPE = "application/vnd.amazon.eventstream"
MOST_HEADERS, MOST_PAYLOAD = 128 << 10, 24 << 20
"""Bytes that readers take."""
LONGEST_MESSAGE = 2048
"""Characters of an exception's text."""

Value = bool | int | bytes | str | datetime | UUID

_PRELUDE = struct.Struct(">III")
_LENGTHS, _CRC = struct.Struct(">II"), struct.Struct(">I")
_FRAME = _PRELUDE.size + _CRC.size
_TRUE, _FALSE, _BYTE, _SHORT, _INTEGER, _LONG, _BYTES, _TEXT, _TIME, _UUID = range(10)
_NUMBERS = {
    _BYTE: struct.Struct(">b"),
    _SHORT: struct.Struct(">h"),
    _INTEGER: struct.Struct(">i"),
    _LONG: struct.Struct(">q"),
    _TIME: struct.Struct(">q"),
}
_SIZE = struct.Struct(">H")
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Message:
    """headers: name → value, in order; times are aware, and of whole milliseconds"""

    headers: Mapping[str, Value] = field(default_factory=dict)
    payload: bytes = b""


def encode(message: Message) -> bytes:
    """The bytes of a message.

    >>> encode(Message()).hex()
    '000000100000000005c248eb7d98c8ff'
    """
    headers = b"".join([_header(name, value) for name, value in message.headers.items()])
    return _framed(headers, message.payload)


def event(kind: str, content_type: str) -> Callable[[bytes], bytes]:
    """What makes messages of one event's payloads; its headers are written once.

    >>> decoder = Decoder()
    >>> [message] = decoder.feed(event("PayloadPart", "application/octet-stream")(b"0.5,"))
    >>> message.headers[":event-type"], message.payload
    ('PayloadPart', b'0.5,')
    """
    headers = b"".join(
        [
            _header(":event-type", kind),
            _header(":content-type", content_type),
            _header(":message-type", "event"),
        ]
    )
    return lambda payload: _framed(headers, payload)


def exception(kind: str, message: str, **more: str) -> bytes:
    """An error that the API's model names, with the members of its shape; it ends a stream."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode(Message(headers, orjson.dumps({"Message": message[:LONGEST_MESSAGE], **more})))


class Decoder:
    """Messages out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def has_part(self) -> bool:
        """Whether the beginning of a message waits for its rest."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now. Raises InvalidData for what is no event stream."""
        self._buffer += data
        return list(self._messages())

    def _messages(self) -> Iterator[Message]:
        buffer = self._buffer
        while len(buffer) >= _PRELUDE.size:
            size, headers, crc = _PRELUDE.unpack_from(buffer)
            _check_prelude(size, headers, crc, buffer)
            if len(buffer) < size:
                return
            whole = bytes(buffer[:size])
            del buffer[:size]
            yield _read(whole, _PRELUDE.size + headers)


def _framed(headers: bytes, payload: bytes) -> bytes:
    lengths = _LENGTHS.pack(_FRAME + len(headers) + len(payload), len(headers))
    head = b"%b%b%b" % (lengths, _CRC.pack(crc32(lengths)), headers)
    return b"%b%b%b" % (head, payload, _CRC.pack(crc32(payload, crc32(head))))


def _check_prelude(size: int, headers: int, crc: int, buffer: bytearray) -> None:
    found = crc32(buffer[: _LENGTHS.size])
    if found != crc:
        raise _wrong(
            "the prelude must have the checksum that it names", f"{crc:#010x}, not {found:#x}"
        )
    payload = size - headers - _FRAME
    if headers > MOST_HEADERS or not 0 <= payload <= MOST_PAYLOAD:
        got = f"{headers} bytes of headers in {size} bytes"
        raise _wrong(f"a message must hold {MOST_HEADERS} bytes of headers at most, and fit", got)


def _read(whole: bytes, body_at: int) -> Message:
    end = len(whole) - _CRC.size
    (crc,) = _CRC.unpack_from(whole, end)
    found = crc32(memoryview(whole)[:end])
    if found != crc:
        raise _wrong(
            "a message must have the checksum that it names", f"{crc:#010x}, not {found:#x}"
        )
    headers: dict[str, Value] = {}
    at = _PRELUDE.size
    try:
        while at < body_at:
            name_at, at = at + 1, at + 1 + whole[at]
            name = whole[name_at:at].decode()
            value, at = _value(whole[at], whole, at + 1)
            if name in headers:
                raise _wrong("headers must have different names", f"{name!r} twice")
            headers[name] = value
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise _wrong("headers must be of known types and whole", str(error)) from None
    if at != body_at:
        raise _wrong("headers must end where the prelude says", f"{at - body_at} bytes more")
    return Message(headers, whole[body_at:end])


def _header(name: str, value: Value) -> bytes:
    text = name.encode()
    if not 0 < len(text) < 256:
        raise _wrong("a header's name must have 1 to 255 bytes", f"{len(text)}")
    return bytes([len(text)]) + text + _told(value)


def _told(value: Value) -> bytes:
    match value:
        case bool():
            return bytes([_TRUE if value else _FALSE])
        case int():
            return bytes([_LONG]) + _NUMBERS[_LONG].pack(value)
        case UUID():
            return bytes([_UUID]) + value.bytes
        case datetime():
            return bytes([_TIME]) + _NUMBERS[_TIME].pack((value - _EPOCH) // _MILLISECOND)
        case str():
            kind, data = _TEXT, value.encode()
        case bytes():
            kind, data = _BYTES, value
    if len(data) >= 1 << 15:
        raise _wrong("a header's value must have less than 32768 bytes", f"{len(data)}")
    return bytes([kind]) + _SIZE.pack(len(data)) + data


def _value(kind: int, whole: bytes, at: int) -> tuple[Value, int]:
    """The value of a type at a place, and where it ends."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _NUMBERS:
        (number,) = _NUMBERS[kind].unpack_from(whole, at)
        value: Any = number if kind != _TIME else _EPOCH + number * _MILLISECOND
        return value, at + _NUMBERS[kind].size
    if kind == _UUID:
        return UUID(bytes=whole[at : at + 16]), at + 16
    if kind not in (_BYTES, _TEXT):
        raise ValueError(f"type {kind}")
    (size,) = _SIZE.unpack_from(whole, at)
    begin, end = at + _SIZE.size, at + _SIZE.size + size
    data = whole[begin:end]
    return (data.decode() if kind == _TEXT else data), end


def _wrong(what: str, got: str) -> InvalidData:
    return InvalidData(f"event stream: {what}", got=got, do="Check that nothing changed it.")

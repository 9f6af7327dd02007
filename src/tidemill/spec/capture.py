"""Which requests of an endpoint are written down, and the JSON line that each becomes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

INPUT, OUTPUT = "Input", "Output"
CSV, JSON, BASE64 = "CSV", "JSON", "BASE64"
UNTYPED = "application/octet-stream"
"""What a body without a content type is, by RFC 9110."""
MOST_KNOWN = 256
LEAST_FREE = 0.25
"""Share of the disk that capture leaves free: on fuller disks it stops, as on SageMaker."""
LEAST_FREE_VARIABLE = "TIDEMILL_CAPTURE_LEAST_FREE"


@dataclass(frozen=True, slots=True)
class Capture:
    """A DataCaptureConfig.

    percentage: of the requests, 0 … 100 · destination: S3 URI above all captured files
    modes: ``Input``, ``Output`` or both · csv, json: media types, in lower case, whose bodies are
    written as text; all others are written in base64
    """

    percentage: int
    destination: str
    modes: tuple[str, ...] = (INPUT, OUTPUT)
    csv: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    enabled: bool = True
    kms_key: str = ""

    def encoding(self, content_type: str) -> str:
        """How bodies of this content type are written; its parameters do not matter.

        >>> Capture(100, "s3://mill/seen", csv=("text/csv",)).encoding("Text/CSV; charset=utf-8")
        'CSV'
        """
        media = content_type.partition(";")[0].strip().lower()
        if media in self.csv:
            return CSV
        return JSON if media in self.json else BASE64


class Event(NamedTuple):
    """One answered request. at: epoch seconds · inference_id, attributes: empty when not given"""

    id: str
    at: float
    sent_type: str
    sent: bytes
    answered_type: str
    answered: bytes
    inference_id: str = ""
    attributes: str = ""


def from_document(document: Mapping[str, Any] | None) -> Capture | None:
    """Read what ``dataclasses.asdict`` (and JSON) made of a capture; None stays None, and fields of
    a later version are passed over.
    """
    if document is None:
        return None
    names = {one.name for one in fields(Capture)}
    lists = {name: tuple(document.get(name, ())) for name in ("modes", "csv", "json")}
    return Capture(**{**{n: v for n, v in document.items() if n in names}, **lists})


class Form:
    r"""Makes lines of the events of one capture. What content types come to is kept: an event costs
    little more than its bytes.

    >>> event = Event("e-1", 1644859506.25, "text/csv", b"1,2\n", "text/csv", b"0.02")
    >>> form = Form(Capture(100, "s3://mill/seen", modes=("Output",), csv=("text/csv",)))
    >>> form.line(event).decode()
    '{"captureData":{"endpointOutput":{"observedContentType":"text/csv","mode":"OUTPUT","data":"0.02","encoding":"CSV"}},"eventMetadata":{"eventId":"e-1","inferenceTime":"2022-02-14T17:25:06Z"},"eventVersion":"0"}\n'
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._known: dict[tuple[str, str], tuple[bytes, str]] = {}

    def line(self, event: Event) -> bytes:
        """The event as SageMaker's capture files hold it, with the end of the line."""
        modes = self._capture.modes
        halves = []
        if INPUT in modes:
            halves.append(self._half(INPUT, event.sent_type, event.sent))
        if OUTPUT in modes:
            halves.append(self._half(OUTPUT, event.answered_type, event.answered))
        given = b""
        if event.inference_id:
            given = b'"inferenceId":%b,' % orjson.dumps(event.inference_id)
        if event.attributes:
            given += b'"customAttributes":%b,' % orjson.dumps([event.attributes])
        return (
            b'{"captureData":{%b},"eventMetadata":{"eventId":"%b",%b"inferenceTime":"%b"},'
            b'"eventVersion":"0"}\n'
            % (b",".join(halves), event.id.encode(), given, _second(int(event.at)))
        )

    def _half(self, mode: str, content_type: str, data: bytes) -> bytes:
        start, encoding = self._known.get((mode, content_type)) or self._learn(mode, content_type)
        text = None
        if encoding != BASE64:
            try:
                text = orjson.dumps(data.decode())
            except UnicodeDecodeError:  # not what it claims to be: base64 loses none of it
                encoding = BASE64
        if text is None:
            text = b'"%b"' % b64encode(data)
        return b'%b%b,"encoding":"%b"}' % (start, text, encoding.encode())

    def _learn(self, mode: str, content_type: str) -> tuple[bytes, str]:
        """How a half begins, and the encoding of its body."""
        if len(self._known) >= MOST_KNOWN:  # clients may send what they like
            self._known.clear()
        start = b'"endpoint%b":{"observedContentType":%b,"mode":"%b","data":' % (
            mode.encode(),
            orjson.dumps(content_type),
            mode.upper().encode(),
        )
        known = self._known[mode, content_type] = start, self._capture.encoding(content_type)
        return known


def key(prefix: str, endpoint: str, variant: str, at: float, id: str) -> str:
    """Where a file of captured lines lies whose first is of this time (epoch seconds).

    >>> key("seen/", "mill", "AllTraffic", 1644859506.25, "f-1")
    'seen/mill/AllTraffic/2022/02/14/17/25-06-250-f-1.jsonl'
    """
    moment = datetime.fromtimestamp(at, UTC)
    name = f"{moment:%Y/%m/%d/%H/%M-%S}-{moment.microsecond // 1000:03d}-{id}.jsonl"
    return "/".join([*filter(None, [prefix.strip("/")]), endpoint, variant, name])


def is_full(total: int, free: int, least: float = LEAST_FREE) -> bool:
    """Whether a disk has too little room for capture.

    >>> is_full(1000, 250), is_full(1000, 249)
    (False, True)
    """
    return free < least * total


def least_free(environment: Mapping[str, str]) -> float:
    """The share of the disk that must stay free, which ``$TIDEMILL_CAPTURE_LEAST_FREE`` may set.

    >>> least_free({}), least_free({"TIDEMILL_CAPTURE_LEAST_FREE": "0.1"})
    (0.25, 0.1)
    """
    try:
        return min(1.0, max(0.0, float(environment[LEAST_FREE_VARIABLE])))
    except (KeyError, ValueError):
        return LEAST_FREE


@lru_cache(maxsize=8)
def _second(at: int) -> bytes:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}".encode()

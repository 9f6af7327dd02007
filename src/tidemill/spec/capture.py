"""Which requests of an endpoint are written down, and the JSON line that each becomes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

INPUT, OUTPUT = "Input", "Output"
CSV, JSON, BASE64 = "CSV", "JSON", "BASE64"
UNTYPED = "application/octet-stream"
"""What a body without a content type is, by RFC 9110."""
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
    """Read what ``dataclasses.asdict`` (and JSON) made of a capture; None stays None."""
    if document is None:
        return None
    lists = {name: tuple(document.get(name, ())) for name in ("modes", "csv", "json")}
    return Capture(**{**document, **lists})


def line(capture: Capture, event: Event) -> bytes:
    r"""The event as SageMaker's capture files hold it, with the end of the line.

    >>> event = Event("e-1", 1644859506.25, "text/csv", b"1,2\n", "text/csv", b"0.02")
    >>> line(Capture(100, "s3://mill/seen", modes=("Output",), csv=("text/csv",)), event).decode()
    '{"captureData":{"endpointOutput":{"observedContentType":"text/csv","mode":"OUTPUT","data":"0.02","encoding":"CSV"}},"eventMetadata":{"eventId":"e-1","inferenceTime":"2022-02-14T17:25:06Z"},"eventVersion":"0"}\n'
    """
    data = {}
    if INPUT in capture.modes:
        data["endpointInput"] = _half(capture, "INPUT", event.sent_type, event.sent)
    if OUTPUT in capture.modes:
        data["endpointOutput"] = _half(capture, "OUTPUT", event.answered_type, event.answered)
    about: dict[str, object] = {"eventId": event.id}
    if event.inference_id:
        about["inferenceId"] = event.inference_id
    if event.attributes:
        about["customAttributes"] = [event.attributes]
    about["inferenceTime"] = _second(int(event.at))
    whole = {"captureData": data, "eventMetadata": about, "eventVersion": "0"}
    return orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)


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


def _half(capture: Capture, mode: str, content_type: str, data: bytes) -> dict[str, str]:
    encoding = capture.encoding(content_type)
    text = None
    if encoding != BASE64:
        try:
            text = data.decode()
        except UnicodeDecodeError:  # not what it claims to be: base64 loses none of it
            encoding = BASE64
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": b64encode(data).decode() if text is None else text,
        "encoding": encoding,
    }


@lru_cache(maxsize=8)
def _second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"

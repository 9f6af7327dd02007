"""Endpoints that learn while they serve: how they are asked for, and what they are told."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidemill.errors import Invalid, InvalidData

LEARN, SECONDS, OUTPUT = "TIDEMILL_LEARN", "TIDEMILL_LEARN_SECONDS", "TIDEMILL_LEARN_OUTPUT"
HALF_LIFE = "TIDEMILL_LEARN_HALF_LIFE"
"""Variables of a container's Environment."""
DEFAULT_SECONDS, LONGEST_SECONDS = 5.0, 86_400.0
MOST_ROWS = 1e15
LABELS = "application/vnd.tidemill.labels"
"""Content type of a FEEDBACK frame whose body is of requests and their labels (``pack_answered``).
"""
STATUS = "application/vnd.tidemill.learning"
"""Content type of a FEEDBACK frame without a body, which asks how learning goes."""
_WORDS = {"true": True, "1": True, "false": False, "0": False, "": False}
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Learning:
    """seconds: from one version to the next, at least · output: the S3 prefix that every version's
    artifact is written under, or empty · half_life: rows of feedback after which all that was
    learned before counts half; 0 for never"""

    seconds: float = DEFAULT_SECONDS
    output: str = ""
    half_life: float = 0.0


class Answered(NamedTuple):
    """A request that was answered, and its labels: one a row, or None where rows alone are learned.

    content_type, body: as the client sent them
    """

    content_type: str
    body: bytes
    labels: Sequence[Any] | None


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether it is asked for, be it in the right words or not."""
    return _WORDS.get(environment.get(LEARN, "").strip().lower(), True)


def wanted(environment: Mapping[str, str]) -> Learning | None:
    """What the Environment asks for; None where nothing is to be learned. Raises Invalid.

    >>> wanted({"TIDEMILL_LEARN": "true", "TIDEMILL_LEARN_SECONDS": "2"})
    Learning(seconds=2.0, output='', half_life=0.0)
    """
    told = environment.get(LEARN, "").strip()
    if told.lower() not in _WORDS:
        raise Invalid(f"{LEARN} must be true or false", got=told, do="Change it in Environment.")
    if not _WORDS[told.lower()]:
        return None
    seconds = _number(SECONDS, environment.get(SECONDS, ""), DEFAULT_SECONDS, LONGEST_SECONDS)
    half_life = _number(HALF_LIFE, environment.get(HALF_LIFE, ""), 0.0, MOST_ROWS)
    return Learning(seconds, _output(environment.get(OUTPUT, "")), half_life)


def head(content_type: str, id: int, *, again: bool) -> bytes:
    """Of a FEEDBACK frame. id: of the feedback, so that it counts once however often it is sent
    again: whether a replica that ended may have taken it already"""
    return f"{content_type}\n{id:016x}\n{int(again)}".encode("latin-1")


def read_head(head: bytes) -> tuple[str, int, bool]:
    """(content type, id, again) of ``head``.

    >>> read_head(head("text/csv", 7, again=False))
    ('text/csv', 7, False)
    """
    content_type, id, again = head.decode("latin-1").split("\n")[:3]
    return content_type, int(id, 16), again == "1"


def pack_answered(requests: Sequence[Answered]) -> bytes:
    """Requests with their labels as the body of one frame."""
    about = [[one.content_type, len(one.body), one.labels] for one in requests]
    text = json.dumps(about).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *(one.body for one in requests)])


def unpack_answered(body: bytes) -> list[Answered]:
    """What ``pack_answered`` packed; raises InvalidData for anything else.

    >>> unpack_answered(pack_answered([Answered("text/csv", b"1,2", [1.0])]))
    [Answered(content_type='text/csv', body=b'1,2', labels=[1.0])]
    """
    try:
        (length,) = _LENGTH.unpack_from(body)
        at, found = _LENGTH.size + length, []
        for content_type, size, labels in json.loads(body[_LENGTH.size : at]):
            found.append(Answered(content_type, body[at : at + size], labels))
            at += size
    except (struct.error, ValueError, TypeError) as error:
        raise InvalidData(
            "feedback must be requests with their labels", got=str(error), do="Send it again."
        ) from error
    return found


def _number(name: str, told: str, default: float, most: float) -> float:
    if not told:
        return default
    try:
        number = float(told)
    except ValueError:
        number = 0.0
    if not 0.0 < number <= most:
        raise Invalid(
            f"{name} must be a number, more than 0 and at most {most:g}",
            got=told,
            do="Change it in Environment.",
        )
    return number


def _output(told: str) -> str:
    if told and not told.startswith("s3://"):
        raise Invalid(f"{OUTPUT} must be an S3 URI", got=told, do="Change it in Environment.")
    return told

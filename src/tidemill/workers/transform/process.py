"""DataProcessing: what of a record is sent, and what of record and answer is written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tidemill.data import content_type as types
from tidemill.errors import InvalidData
from tidemill.spec.json_path import JsonPath, parse
from tidemill.spec.transform_job import Processing

BY_LINES = (types.CSV, types.JSON_LINES)
"""Types of one record a line."""
PROCESSED = (*BY_LINES, types.JSON)
OUTPUT, INPUT = "SageMakerOutput", "SageMakerInput"


@dataclass(frozen=True, slots=True)
class Kind:
    """How records of one type become JSON values and text again, and are joined."""

    load: Callable[[bytes], Any]
    dump: Callable[[Any], bytes]
    join: Callable[[Any, Any], Any]


class Processor:
    """Filters and joins the records of one job."""

    def __init__(self, wanted: Processing) -> None:
        self._input, self._output = parse(wanted.input_filter), parse(wanted.output_filter)
        self._joins = wanted.join

    @property
    def shapes_output(self) -> bool:
        """Whether answers are written otherwise than they come."""
        return self._joins or not self._output.is_identity

    def question(self, record: bytes, media: str) -> bytes:
        """What of a record is sent. Raises InvalidData."""
        if self._input.is_identity:
            return record
        kind = kind_of(media)
        return kind.dump(_filtered(self._input, kind.load(record)))

    def line(self, record: bytes, answer: bytes, media: str) -> bytes:
        """What is written of a record (as it was before its filter) and the answer to it."""
        if media == types.CSV and self._output.is_identity:
            return record + b"," + answer if self._joins else answer
        kind = kind_of(media)
        value = kind.load(answer)
        if self._joins:
            value = kind.join(kind.load(record), value)
        return kind.dump(_filtered(self._output, value))


def kind_of(media: str) -> Kind:
    """How a type is filtered and joined. Raises InvalidData for one that cannot be."""
    kind = _KINDS.get(media)
    if kind is None:
        raise InvalidData(
            f"data to filter or join must be one of {', '.join(PROCESSED)}",
            got=media,
            do="Set ContentType and Accept to one of these, or leave DataProcessing out.",
        )
    return kind


def _filtered(path: JsonPath, value: Any) -> Any:
    return value if path.is_identity else path.select(value)


def _csv_load(text: bytes) -> list[str]:
    try:
        decoded = text.decode()
        return next(csv.reader([decoded])) if '"' in decoded else decoded.split(",")
    except (UnicodeDecodeError, csv.Error) as error:
        do = "Check ContentType, and save the data as UTF-8."
        raise InvalidData("a row of CSV", got=f"{text[:80]!r} ({error})", do=do) from None


def _csv_dump(row: Any) -> bytes:
    fields: Sequence[str] = row if isinstance(row, list) else [row]
    line = ",".join(fields)
    if '"' in line or line.count(",") != len(fields) - 1:
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(fields)
        line = out.getvalue()
    return line.encode()


def _csv_join(record: Any, answer: Any) -> Any:
    return [*record, *answer]


def _json_load(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        got = f"{text[:80]!r} ({error})"
        do = "Check ContentType and SplitType: of JSON Lines each line is a record."
        raise InvalidData("a JSON record", got=got, do=do) from None


def _json_join(record: Any, answer: Any) -> Any:
    if isinstance(record, dict):
        return {**record, OUTPUT: answer}
    return {INPUT: record, OUTPUT: answer}


_JSON = Kind(_json_load, orjson.dumps, _json_join)
_KINDS: Mapping[str, Kind] = {
    types.CSV: Kind(_csv_load, _csv_dump, _csv_join),
    types.JSON: _JSON,
    types.JSON_LINES: _JSON,
}

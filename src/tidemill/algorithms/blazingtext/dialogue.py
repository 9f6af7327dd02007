"""Requests and answers as SageMaker's own container has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from tidemill.algorithms.base import Columns
from tidemill.data import content_type as types
from tidemill.data.batch import Batch, of_text
from tidemill.data.content_type import ContentType
from tidemill.data.formats import text
from tidemill.data.seam import Seam
from tidemill.data.text import text_of
from tidemill.errors import InvalidData, UnsupportedType

_MOST = 1_000_000
_FORMS = 'Send {"instances": ["a text"]}, or a line {"source": "a text"} for each.'


class BlazingTextDialogue:
    """Texts in, what the model says of each out, as a bare JSON list or a JSON line each.

    A row's label is how many answers it asks for.
    """

    accepts: Sequence[str] = (types.JSON, types.JSON_LINES)
    seams: Mapping[str, Seam] = {types.JSON: Seam(b"[", b",", b"]"), types.JSON_LINES: Seam()}

    def decode(self, body: bytes, content_type: ContentType) -> Batch:
        """The texts of a request, each with the k that it asks for."""
        if content_type.media == types.TEXT:
            batch = text.decode(body)
            batch = replace(batch, labels=np.ones(len(batch), np.float32))
        elif content_type.media == types.JSON:
            batch = _instances(body)
        elif content_type.media == types.JSON_LINES:
            batch = _lines(body)
        else:
            raise UnsupportedType(
                "blazingtext: requests must be application/json or application/jsonlines",
                got=content_type.media,
                do=_FORMS,
            )
        if not len(batch):
            raise InvalidData("request body: must have a text", got="none", do=_FORMS)
        return batch

    def encode(self, columns: Columns, batch: Batch, accept: ContentType) -> bytes:
        """``word`` and ``vector``, or ``label`` and ``prob``, of each row."""
        rows = _words(columns) if "word" in columns else _labels(columns, batch)
        if accept.media == types.JSON:
            return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        return b"".join(orjson.dumps(row, option=option) for row in rows)


def _words(columns: Columns) -> list[dict[str, Any]]:
    pairs = zip(columns["word"], columns["vector"], strict=True)
    return [{"word": word, "vector": vector} for word, vector in pairs]


def _labels(columns: Columns, batch: Batch) -> list[dict[str, Any]]:
    wanted = [1] * len(batch) if batch.labels is None else batch.labels.astype(int).tolist()
    rows = zip(columns["label"], columns["prob"], wanted, strict=True)
    return [{"label": label[:k].tolist(), "prob": prob[:k]} for label, prob, k in rows]


def _instances(body: bytes) -> Batch:
    found = _object(body, "request body")
    instances, asked = found.get("instances"), found.get("configuration") or {}
    if not isinstance(instances, list) or not isinstance(asked, dict):
        raise InvalidData(
            "request body: $.instances must be a list of texts",
            got=type(instances).__name__,
            do=_FORMS,
        )
    wanted = _k(asked.get("k", 1), "request body: $.configuration.k")
    names = (f"request body: $.instances[{i}]" for i in range(len(instances)))
    rows = [_source(row, name) for row, name in zip(instances, names, strict=True)]
    return of_text(text_of(rows), np.full(len(rows), wanted, np.float32))


def _lines(body: bytes) -> Batch:
    rows, wanted = [], []
    for number, line in enumerate(line for line in body.split(b"\n") if line.strip()):
        name = f"request body, row {number + 1}"
        found = _object(line, name)
        rows.append(_source(found.get("source"), f"{name}: $.source"))
        wanted.append(_k(found.get("k", 1), f"{name}: $.k"))
    return of_text(text_of(rows), np.array(wanted, np.float32))


def _object(body: bytes, name: str) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidData(f"{name}: must be JSON", got=str(error), do=_FORMS) from None
    if not isinstance(found, dict):
        raise InvalidData(f"{name}: must be an object", got=type(found).__name__, do=_FORMS)
    return found


def _source(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidData(f"{name} must be a text", got=value, do=_FORMS)
    return value


def _k(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise InvalidData(
            f"{name} must be a whole number of at least 1", got=value, do="Ask for 1 or more."
        )
    return value

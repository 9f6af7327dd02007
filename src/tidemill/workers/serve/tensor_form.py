"""Requests and answers of the Open Inference Protocol, for every algorithm alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from tidemill.algorithms.base import Columns, Declaration
from tidemill.data import content_type as types
from tidemill.data import tensors
from tidemill.data.batch import Batch, of_text
from tidemill.data.checks import require_finite
from tidemill.data.content_type import ContentType
from tidemill.data.tensors import Asked
from tidemill.data.text import text_of
from tidemill.data.where import REQUEST
from tidemill.errors import InvalidData
from tidemill.workers.serve.form import Form, Loaded
from tidemill.workers.serve.load import Load, together

MODEL, HEADER = "model", "json"
"""Parameters of the content type: the model's name to answer with, bytes of JSON in the body."""
QUESTION = "about"
"""A parameter, too: the request has no rows, and asks what the model takes and answers."""
BINARY = "application/octet-stream"


def tensor_form(declaration: Declaration, asked: ContentType) -> Form:
    """The form of the protocol's requests."""
    model = asked.parameters.get(MODEL, declaration.name)
    wishes: list[Asked] = []
    medias: dict[int, str] = {}

    def decode(body: bytes) -> Batch:
        wishes.append(Asked())  # in its place, whatever becomes of the body
        batch, wishes[-1] = tensors.decode(body, _length(asked))
        require_finite(batch, REQUEST.row, allows_missing=declaration.allows_missing)
        return batch

    def load(bodies: Sequence[bytes]) -> Loaded:
        wishes.clear()
        return together(bodies, decode)

    def dealt(columns: Columns, load: Load) -> list[bytes]:
        bodies, at = [], 0
        usual = [name for name in declaration.response_columns if name in columns]
        for index, count in zip(load.requests, load.counts, strict=True):
            mine = {name: column[at : at + count] for name, column in columns.items()}
            wish = wishes[index]
            wish = wish if wish.outputs else replace(wish, outputs=usual)
            body, text = tensors.encode(mine, wish, model)
            medias[index] = types.JSON if text == len(body) else f"{BINARY};{HEADER}={text}"
            bodies.append(body)
            at += count
        return bodies

    return Form(types.JSON, load, dealt, medias.__getitem__)


def about(model: Any, declaration: Declaration, asked: ContentType) -> bytes:
    """The protocol's metadata of a model: what it takes, and what it answers to one row."""
    columns = getattr(model, "columns", None)
    if columns is None:
        row = of_text(text_of(["text"]), np.ones(1, np.float32))
    else:
        row = Batch(np.zeros((1, columns), np.float32))
    said = model.predict(row)
    names = [name for name in declaration.response_columns if name in said] or list(said)
    return orjson.dumps(
        {
            "name": asked.parameters.get(MODEL, declaration.name),
            "platform": f"tidemill_{declaration.name}",
            "inputs": [
                {"name": "text", "datatype": "BYTES", "shape": [-1]}
                if columns is None
                else {"name": "features", "datatype": "FP32", "shape": [-1, columns]}
            ],
            "outputs": [
                {
                    "name": name,
                    "datatype": tensors.datatype(said[name]),
                    "shape": [-1, *said[name].shape[1:]],
                }
                for name in names
            ],
        }
    )


def _length(asked: ContentType) -> int | None:
    text = asked.parameters.get(HEADER)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 12:
        raise InvalidData(
            "Inference-Header-Content-Length must be a number of bytes",
            got=text[:50],
            do="Give the length of the JSON that the body begins with.",
        )
    return int(text)

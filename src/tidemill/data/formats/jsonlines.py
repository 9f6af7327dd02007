"""application/jsonlines: one instance object a line, in requests and in training channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Floats
from tidemill.data.formats import json
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData
from tidemill.kernels import rows as kernel

_FORMS = (
    'Write {"features":[1,2]}, or {"data":{"features":{"values":[1,2]}}}, in each line; JSON has '
    "no NaN and no infinity."
)


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The instance of every line; blank lines are passed over."""
    if len(body) >= json.LARGE and (table := kernel.read(body, "jsonlines")) is not None:
        return Batch(table)
    return decode_any(body, where)


def decode_any(body: bytes, where: Where = REQUEST) -> Batch:
    """The same in every form that instances may have."""
    return _rows(_objects(body, where), where)


def read(data: NDArray[np.uint8], token: None, where: Where) -> Batch:
    """Rows of a training channel: instances that may have a ``label``, a number or a list."""
    instances = _objects(data.tobytes(), where)
    if not instances:
        return Batch(np.empty((0, 0), np.float32))
    batch = _rows(instances, where)
    return Batch(batch.features, _labels(instances, where))


def _rows(instances: list[Any], where: Where) -> Batch:
    if not instances:
        raise InvalidData(f"{where.name}: must have a line", got="none", do=_FORMS)
    return json.rows(instances, lambda index: f"{where.row(index)}: $")


def _objects(body: bytes, where: Where) -> list[Any]:
    """What the lines say."""
    text = body.strip()
    try:
        found: list[Any] = orjson.loads(b"[" + text.replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        lines = body.split(b"\n")
        found = [_object(line, i, where) for i, line in enumerate(lines) if line.strip()]
    return found


def _object(line: bytes, index: int, where: Where) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidData(
            f"{where.row(index)}: must be one JSON object", got=str(error), do=_FORMS
        ) from None


def _labels(instances: list[dict[str, Any]], where: Where) -> Floats | None:
    """(rows,) or (rows, width) labels, when the instances have them."""
    labels = [instance.get("label") for instance in instances]
    if all(label is None for label in labels):
        return None
    width = len(labels[0]) if isinstance(labels[0], list) else 0
    rows: list[Floats] = []
    for index, label in enumerate(labels):
        try:
            rows.append(json.numbers(label if width else [label], ".label"))
            if width and len(rows[-1]) != width:
                raise json.Fault(".label", f"must have {width} numbers", got=len(rows[-1]))
        except json.Fault as fault:
            raise fault.invalid(f"{where.row(index)}: $") from None
    table = np.stack(rows)
    return table if width else table[:, 0]

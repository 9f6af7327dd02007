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

Bytes = NDArray[np.uint8]


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The instance of every line; blank lines are passed over."""
    return json.rows(_objects(body, where), where.name + ", line {}")


def read(data: Bytes, token: None, where: Where) -> Batch:
    """Rows of a training channel: instances that may have a ``label``, a number or a list."""
    instances = _objects(data.tobytes(), where)
    batch = json.rows(instances, where.name + ", line {}")
    return Batch(batch.features, _labels(instances, where))


def _objects(body: bytes, where: Where) -> list[Any]:
    """What the lines say."""
    text = body.strip()
    try:
        found = orjson.loads(b"[" + text.replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        found = [
            _object(line, i, where) for i, line in enumerate(body.split(b"\n")) if line.strip()
        ]
    if not found:
        raise InvalidData(f"{where.name}: must have a line", got="none", do=json.FORMS)
    return list(found)


def _object(line: bytes, index: int, where: Where) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidData(
            f"{where.row(index)}: must be a JSON object", got=str(error), do=json.FORMS
        ) from None


def _labels(instances: list[Any], where: Where) -> Floats | None:
    found = [i for i, instance in enumerate(instances) if "label" in instance]
    if not found:
        return None
    if len(found) < len(instances):
        missing = next(i for i, instance in enumerate(instances) if "label" not in instance)
        raise InvalidData(
            f"{where.row(missing)}: must have a label, as other rows have",
            got=instances[missing],
            do="Label every row, or none.",
        )
    labels = [instance["label"] for instance in instances]
    try:
        table = np.array(labels)
        if table.dtype.kind in "fiub" and table.ndim in (1, 2):
            return table.astype(np.float32)
    except ValueError:
        pass
    index = next((i for i, label in enumerate(labels) if not isinstance(label, (int, float))), 0)
    raise InvalidData(
        f"{where.row(index)}: label must be a number, or a list as long as the others",
        got=labels[index],
        do="Write numbers for labels.",
    )

"""application/json: a request's instances, dense or sparse, short or long form, even mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats, concatenate, pointers
from tidemill.errors import InvalidData

FORMS = (
    'Write {"instances":[{"features":[1,2]}]}, or {"data":{"features":{"values":[1,2]}}} as an '
    'instance, with "keys" and "shape" beside "values" when it is sparse.'
)
WIDEST = 2**31 - 1


def decode(body: bytes) -> Batch:
    """The instances of a request. Raises InvalidData with the JSON path of the fault."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidData("request body: must be JSON", got=str(error), do=FORMS) from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise InvalidData("$.instances: must be a list of at least one", got=instances, do=FORMS)
    return rows(instances, "$.instances[{}]")


def rows(instances: list[Any], path: str) -> Batch:
    """The features of instance objects; ``path`` has a place for the index."""
    try:
        table = np.array([instance["features"] for instance in instances])
    except (KeyError, TypeError, ValueError):
        table = None
    if table is not None and table.ndim == 2 and table.dtype.kind in "fiub" and table.shape[1]:
        return Batch(table.astype(np.float32))
    return _assemble([_row(instance, path.format(i)) for i, instance in enumerate(instances)], path)


Row = tuple[Floats, NDArray[np.int64] | None, int]
"""values, keys (None when dense), columns"""


def _row(instance: Any, path: str) -> Row:
    if isinstance(instance, dict) and "features" in instance:
        return _dense(instance["features"], f"{path}.features")
    data = instance.get("data") if isinstance(instance, dict) else None
    tensor = data.get("features") if isinstance(data, dict) else None
    if not isinstance(tensor, dict):
        raise InvalidData(f"{path}: must have features", got=instance, do=FORMS)
    path += ".data.features"
    if "keys" not in tensor:
        return _dense(tensor.get("values"), f"{path}.values")
    return _sparse(tensor, path)


def _dense(values: Any, path: str) -> Row:
    numbers = _numbers(values, path)
    if len(numbers) == 0:
        raise InvalidData(f"{path}: must have at least one number", got=values, do=FORMS)
    return numbers, None, len(numbers)


def _sparse(tensor: dict[str, Any], path: str) -> Row:
    values = _numbers(tensor.get("values"), f"{path}.values")
    keys = _integers(tensor["keys"], f"{path}.keys")
    shape = _integers(tensor.get("shape"), f"{path}.shape")
    columns = int(np.prod(shape.astype(np.float64))) if len(shape) else 0
    if not 1 <= columns <= WIDEST:
        raise InvalidData(
            f"{path}.shape: must give from 1 to {WIDEST} columns",
            got=tensor.get("shape"),
            do="Write the number of columns in a list.",
        )
    if len(keys) != len(values):
        raise InvalidData(
            f"{path}.keys: must have a key for each of the {len(values)} values",
            got=len(keys),
            do="Write keys and values of equal length.",
        )
    outside = np.flatnonzero((keys < 0) | (keys >= columns))
    if len(outside):
        raise InvalidData(
            f"{path}.keys[{outside[0]}]: must be from 0 to {columns - 1}, below the shape",
            got=int(keys[outside[0]]),
            do="Count keys from 0.",
        )
    return values, keys, columns


def _numbers(values: Any, path: str) -> Floats:
    if not isinstance(values, list):
        raise InvalidData(f"{path}: must be a list of numbers", got=values, do=FORMS)
    for index, value in enumerate(values):
        if not isinstance(value, (int, float)):
            raise InvalidData(f"{path}[{index}]: must be a number", got=value, do="Write a number.")
    return np.array(values, np.float32)


def _integers(values: Any, path: str) -> NDArray[np.int64]:
    if not isinstance(values, list):
        raise InvalidData(f"{path}: must be a list of whole numbers", got=values, do=FORMS)
    for index, value in enumerate(values):
        if not isinstance(value, int) or not -WIDEST <= value <= WIDEST:
            raise InvalidData(
                f"{path}[{index}]: must be a whole number", got=value, do="Count from 0."
            )
    return np.array(values, np.int64)


def _assemble(parsed: list[Row], path: str) -> Batch:
    """One batch of all rows: dense if all are, else sparse."""
    columns = parsed[0][2]
    for index, (_, _, width) in enumerate(parsed):
        if width != columns:
            raise InvalidData(
                f"{path.format(index)}: must have {columns} columns, as the first instance",
                got=width,
                do="Give every instance the same number of features.",
            )
    if all(keys is None for _, keys, _ in parsed):
        return Batch(np.stack([values for values, _, _ in parsed]))
    return concatenate([Batch(_one(row)) for row in parsed])


def _one(row: Row) -> Floats | Csr:
    values, keys, columns = row
    if keys is None:
        return values[None, :]
    return Csr(pointers(np.array([len(keys)])), keys, values, columns)

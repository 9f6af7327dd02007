"""application/json: a request's instances, dense or sparse, short or long form, even mixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data.batch import Batch, Csr, Floats, concatenate, floats, pointers
from tidemill.errors import InvalidData
from tidemill.kernels import rows as kernel

FORMS = (
    'Write {"instances":[{"features":[1,2]}]}, or {"data":{"features":{"values":[1,2]}}} as an '
    'instance, with "keys" and "shape" beside "values" when it is sparse.'
)
LARGE = 512
"""Bytes from which on a body is worth a call of the kernel."""
WIDEST = 2**31 - 1
"""Columns that a sparse shape may claim."""


class Fault(Exception):
    """What is wrong within an instance: where in it, wanted, got, do."""

    def __init__(self, path: str, wanted: str, *, got: object, do: str = FORMS) -> None:
        super().__init__(wanted)
        self.path = path
        self.wanted = wanted
        self.got = got
        self.do = do

    def invalid(self, instance: str) -> InvalidData:
        """The error, under the instance's own path."""
        return InvalidData(f"{instance}{self.path}: {self.wanted}", got=self.got, do=self.do)


def decode(body: bytes) -> Batch:
    """The instances of a request. Raises InvalidData with the JSON path of the fault."""
    if len(body) >= LARGE and (table := kernel.read(body, "json")) is not None:
        return Batch(table)
    return decode_any(body)


def decode_any(body: bytes) -> Batch:
    """The same in every form that instances may have."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidData("request body: must be JSON", got=str(error), do=FORMS) from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        got = clip(document if instances is None else instances)
        raise InvalidData("$.instances: must be a list of at least one", got=got, do=FORMS)
    return rows(instances, "$.instances[{}]".format)


def rows(instances: list[Any], path: Callable[[int], str]) -> Batch:
    """The features of instance objects. path: index → how errors call the instance."""
    try:
        table = np.array([instance["features"] for instance in instances])
    except (KeyError, TypeError, ValueError):
        table = None
    if table is not None and table.ndim == 2 and table.dtype.kind in "fiub" and table.shape[1]:
        return Batch(floats(table))
    parsed: list[Row] = []
    for index, instance in enumerate(instances):
        try:
            parsed.append(_row(instance))
            _same_width(parsed[0], parsed[-1])
        except Fault as fault:
            raise fault.invalid(path(index)) from None
    if all(keys is None for _, keys, _ in parsed):
        return Batch(np.stack([values for values, _, _ in parsed]))
    return concatenate([Batch(_one(row)) for row in parsed])


def numbers(values: Any, path: str) -> Floats:
    """A list of numbers as float32. Raises Fault."""
    if not isinstance(values, list):
        raise Fault(path, "must be a list of numbers", got=clip(values))
    for index, value in enumerate(values):
        if not isinstance(value, (int, float)):
            raise Fault(f"{path}[{index}]", "must be a number", got=clip(value), do="Write one.")
    return floats(np.array(values, np.float64))


def clip(value: Any) -> Any:
    """A value short enough for an error message."""
    text = repr(value)
    return value if len(text) <= 100 else text[:97] + "…"


Row = tuple[Floats, NDArray[np.int64] | None, int]
"""values, keys (None when dense), columns"""


def _row(instance: Any) -> Row:
    if isinstance(instance, dict) and "features" in instance:
        return _dense(instance["features"], ".features")
    data = instance.get("data") if isinstance(instance, dict) else None
    tensor = data.get("features") if isinstance(data, dict) else None
    if not isinstance(tensor, dict):
        raise Fault("", "must have features", got=clip(instance))
    path = ".data.features"
    return (
        _sparse(tensor, path)
        if "keys" in tensor
        else _dense(tensor.get("values"), f"{path}.values")
    )


def _dense(values: Any, path: str) -> Row:
    found = numbers(values, path)
    if len(found) == 0:
        raise Fault(path, "must have at least one number", got=values)
    return found, None, len(found)


def _sparse(tensor: dict[str, Any], path: str) -> Row:
    values = numbers(tensor.get("values"), f"{path}.values")
    keys = _integers(tensor["keys"], f"{path}.keys")
    shape = _integers(tensor.get("shape"), f"{path}.shape")
    columns = np.prod(shape.astype(np.float64)) if len(shape) else 0
    if not 1 <= columns <= WIDEST:
        raise Fault(
            f"{path}.shape",
            f"must give from 1 to {WIDEST} columns",
            got=clip(tensor.get("shape")),
            do="Write the number of columns in a list.",
        )
    if len(keys) != len(values):
        raise Fault(
            f"{path}.keys",
            f"must have a key for each of the {len(values)} values",
            got=len(keys),
            do="Write keys and values of equal length.",
        )
    outside = np.flatnonzero((keys < 0) | (keys >= columns))
    if len(outside):
        raise Fault(
            f"{path}.keys[{outside[0]}]",
            f"must be from 0 to {columns - 1:.0f}, below the shape",
            got=int(keys[outside[0]]),
            do="Count keys from 0.",
        )
    return values, keys, int(columns)


def _integers(values: Any, path: str) -> NDArray[np.int64]:
    if not isinstance(values, list):
        raise Fault(path, "must be a list of whole numbers", got=clip(values))
    for index, value in enumerate(values):
        if not isinstance(value, int) or not -WIDEST <= value <= WIDEST:
            where = f"{path}[{index}]"
            raise Fault(where, "must be a whole number", got=clip(value), do="Count from 0.")
    return np.array(values, np.int64)


def _same_width(first: Row, row: Row) -> None:
    if row[2] != first[2]:
        raise Fault(
            "",
            f"must have {first[2]} features, as the instances before",
            got=row[2],
            do="Give every instance the same number of features.",
        )


def _one(row: Row) -> Floats | Csr:
    values, keys, columns = row
    if keys is None:
        return values[None, :]
    return Csr(pointers(np.array([len(keys)])), keys, values, columns)

"""The Open Inference Protocol (v2): rows as named tensors, in JSON or behind it as bytes.

Each input is a table of rows, (rows,) or (rows, width); several stand side by side. Bytes follow
the JSON as KServe's and Triton's binary tensor extension has it: in the order of the tensors, each
with its ``binary_data_size``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.data.batch import Batch, floats, of_text
from tidemill.data.formats.json import clip
from tidemill.data.text import text_of
from tidemill.errors import InvalidData

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""The protocol's types of numbers; texts are its BYTES."""
NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_KINDS = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}
_LENGTH = struct.Struct("<I")
_FORMS = (
    'Write {"inputs":[{"name":"features","shape":[1,2],"datatype":"FP32","data":[1,2]}]}: rows, '
    "then columns."
)
Table = NDArray[Any] | list[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants back. id: of the request · outputs: the columns; all, when empty
    binary: which of them as bytes, by name; others as ``is_binary`` says"""

    id: str | None = None
    outputs: Sequence[str] = ()
    binary: Mapping[str, bool] | None = None
    is_binary: bool = False


def decode(body: bytes, header: int | None = None) -> tuple[Batch, Asked]:
    """The rows of a request, and what it asks for. header: bytes of the JSON, all when None

    Raises InvalidData with the JSON path of the fault.
    """
    if header is not None and not 0 <= header <= len(body):
        raise InvalidData(
            f"Inference-Header-Content-Length must be from 0 to {len(body)}, the body's bytes",
            got=header,
            do="Give the length of the JSON that the body begins with.",
        )
    try:
        document = orjson.loads(body[:header])
    except orjson.JSONDecodeError as error:
        raise InvalidData("request body: must be JSON", got=str(error), do=_FORMS) from None
    inputs = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise _fault("$.inputs", "must be a list of at least one", clip(inputs))
    tables = list(_tables(inputs, memoryview(body)[len(body) if header is None else header :]))
    return _batch(tables), _asked(document)


def encode(columns: Mapping[str, NDArray[Any]], asked: Asked, model: str) -> tuple[bytes, int]:
    """The answer's body, and how many bytes of it are JSON."""
    outputs, behind = [], []
    for name in asked.outputs or columns:
        if name not in columns:
            raise _fault("$.outputs", f"must be of {', '.join(columns)}", name)
        column = columns[name]
        tensor: dict[str, Any] = {
            "name": name,
            "shape": list(column.shape),
            "datatype": datatype(column),
        }
        if (asked.binary or {}).get(name, asked.is_binary):
            behind.append(_bytes(column))
            tensor["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            tensor["data"] = _plain(column)
        outputs.append(tensor)
    said = {"model_name": model, **({} if asked.id is None else {"id": asked.id})}
    text = orjson.dumps({**said, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([text, *behind]), len(text)


def datatype(column: NDArray[Any]) -> str:
    """The protocol's name for the type of an answer's column."""
    return NAMES.get(column.dtype, "BYTES")


def _fault(path: str, wanted: str, got: object, do: str = _FORMS) -> InvalidData:
    return InvalidData(f"{path}: {wanted}", got=got, do=do)


def _tables(inputs: list[Any], rest: memoryview) -> Any:
    """The table of each input; the bytes behind the JSON must be theirs to the last."""
    for index, tensor in enumerate(inputs):
        path = f"$.inputs[{index}]"
        if not isinstance(tensor, dict):
            raise _fault(path, "must be a tensor", clip(tensor))
        shape = _shape(tensor.get("shape"), f"{path}.shape")
        kind = tensor.get("datatype")
        if not isinstance(kind, str) or (kind != "BYTES" and kind not in DATATYPES):
            names = ", ".join([*DATATYPES, "BYTES"])
            raise _fault(f"{path}.datatype", f"must be one of {names}", clip(kind))
        size = _parameters(tensor, path).get("binary_data_size")
        if size is None:
            yield _listed(tensor.get("data"), kind, shape, f"{path}.data")
            continue
        if not _is_count(size) or size > len(rest):
            where = f"{path}.parameters.binary_data_size"
            raise _fault(where, f"must be at most the {len(rest)} bytes left", clip(size))
        yield _unpacked(rest[:size], kind, shape, path)
        rest = rest[size:]
    if rest:
        raise InvalidData(
            "request body: must end with the last tensor",
            got=f"{len(rest)} bytes more",
            do="Give each tensor behind the JSON its binary_data_size.",
        )


def _shape(shape: Any, path: str) -> tuple[int, int]:
    """(rows, width) of a tensor's shape."""
    if not isinstance(shape, list) or not 1 <= len(shape) <= 2 or not all(map(_is_count, shape)):
        raise _fault(path, "must be of rows, or of rows and columns", clip(shape))
    if 0 in shape:
        raise _fault(path, "must have a row and a column", clip(shape))
    return shape[0], shape[1] if len(shape) == 2 else 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _parameters(holder: dict[str, Any], path: str) -> dict[str, Any]:
    found = holder.get("parameters")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _fault(f"{path}.parameters", "must be an object", clip(found))
    return found


def _listed(data: Any, kind: str, shape: tuple[int, int], path: str) -> Table:
    """The table of a tensor in JSON, whose lists may be nested or not."""
    if not isinstance(data, list):
        raise _fault(path, "must be a list", clip(data))
    if kind == "BYTES":
        texts = [text for one in data for text in (one if isinstance(one, list) else [one])]
        if len(texts) != shape[0] or shape[1] != 1 or not all(isinstance(t, str) for t in texts):
            raise _fault(path, f"must be {shape[0]} texts, one a row", clip(data))
        return texts
    try:
        found = np.array(data)
    except ValueError:
        raise _fault(path, "must be lists of one length", clip(data)) from None
    wanted = DATATYPES[kind]
    if found.dtype.kind not in _KINDS[wanted.kind] or not _fits(found, wanted):
        raise _fault(path, f"must be numbers of {kind}", clip(data))
    if found.size != math.prod(shape):
        raise _fault(path, f"must have {math.prod(shape)} numbers, as the shape says", found.size)
    return found.reshape(shape)


def _fits(found: NDArray[Any], wanted: np.dtype[Any]) -> bool:
    """Whether whole numbers are within their type."""
    if wanted.kind not in "iu" or not found.size:
        return True
    bounds = np.iinfo(wanted)
    return bool(bounds.min <= int(found.min()) and int(found.max()) <= bounds.max)


def _unpacked(data: memoryview, kind: str, shape: tuple[int, int], path: str) -> Table:
    """The table of a tensor behind the JSON."""
    if kind == "BYTES":
        texts = _texts(data)
        if texts is None or len(texts) != shape[0] or shape[1] != 1:
            raise _fault(path, f"must be {shape[0]} texts, each behind its length", len(data))
        return texts
    dtype = DATATYPES[kind]
    if len(data) != math.prod(shape) * dtype.itemsize:
        wanted = f"must have {math.prod(shape) * dtype.itemsize} bytes, as shape and datatype say"
        raise _fault(path, wanted, len(data))
    if kind == "BOOL":
        bits: NDArray[Any] = np.frombuffer(data, np.uint8) != 0
        return bits.reshape(shape)
    table: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape)
    return table


def _texts(data: memoryview) -> list[str] | None:
    found, at = [], 0
    while at < len(data):
        end = at + _LENGTH.size
        end += _LENGTH.unpack_from(data, at)[0] if end <= len(data) else len(data)
        if end > len(data):
            return None
        found.append(bytes(data[at + _LENGTH.size : end]).decode("utf-8", "replace"))
        at = end
    return found


def _batch(tables: list[Table]) -> Batch:
    texts = [table for table in tables if isinstance(table, list)]
    if texts and len(tables) > 1:
        raise _fault("$.inputs", "must be one tensor where it is of BYTES", len(tables))
    if texts:
        rows = [" ".join(text.splitlines()) for text in texts[0]]
        return of_text(text_of(rows), np.ones(len(rows), np.float32))
    numbers = [floats(table) for table in tables if not isinstance(table, list)]
    if len({len(table) for table in numbers}) > 1:
        raise _fault("$.inputs", "must be of as many rows each", [len(t) for t in numbers])
    return Batch(numbers[0] if len(numbers) == 1 else np.concatenate(numbers, axis=1))


def _asked(document: dict[str, Any]) -> Asked:
    id, outputs = document.get("id"), document.get("outputs")
    if id is not None and not isinstance(id, str):
        raise _fault("$.id", "must be a text", clip(id))
    everywhere = _parameters(document, "$").get("binary_data_output") is True
    if outputs is None:
        return Asked(id, is_binary=everywhere)
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise _fault("$.outputs", "must be a list of tensors with a name", clip(outputs))
    names, binary = [], {}
    for index, one in enumerate(outputs):
        name = one.get("name")
        if not isinstance(name, str):
            raise _fault(f"$.outputs[{index}].name", "must be a text", clip(name))
        names.append(name)
        wish = _parameters(one, f"$.outputs[{index}]").get("binary_data")
        if wish is not None:
            binary[name] = wish is True
    return Asked(id, tuple(names), binary, everywhere)


def _plain(column: NDArray[Any]) -> Any:
    """All values in one list, row by row."""
    flat = np.ascontiguousarray(column).reshape(-1)
    return flat if column.dtype in NAMES else [str(value) for value in flat.tolist()]


def _bytes(column: NDArray[Any]) -> bytes:
    if column.dtype in NAMES:
        return np.ascontiguousarray(column).tobytes()
    texts = [str(value).encode() for value in column.reshape(-1).tolist()]
    return b"".join([_LENGTH.pack(len(text)) + text for text in texts])

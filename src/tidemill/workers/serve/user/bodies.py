"""Bodies to arrays and back, as the toolkit's decoder and encoder do it.

What a client sends is never unpickled: arrays of objects are refused in npy bodies.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
ANY, OCTETS = "*/*", "application/octet-stream"
UTF8_TYPES = (JSON, CSV)
"""Bodies of these types are text."""


class Unsupported(ValueError):
    """A content type that is neither read nor written by default. status: of HTTP"""

    def __init__(self, content_type: object, status: int = 415) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Please implement input_fn to deserialize the request data or an output_fn to\n"
            "serialize the response. For more information, see the SageMaker Python SDK README."
        )
        self.status = status


def media(content_type: str | None) -> str:
    """A content type without its parameters.

    >>> media("text/csv; charset=utf-8")
    'text/csv'
    """
    return (content_type or "").split(";", 1)[0].strip().lower()


def is_text(content_type: str | None) -> bool:
    """Whether bodies of this type are text."""
    return media(content_type) in UTF8_TYPES


def decode(body: Any, content_type: str | None) -> Any:
    """An array of the body, sparse for npz. Raises ``Unsupported``, ValueError."""
    reader = _READERS.get(media(content_type))
    if reader is None:
        raise Unsupported(content_type)
    return reader(body)


def encode(prediction: Any, content_type: str | None) -> Any:
    """The body for an array or what is like one. Raises ``Unsupported``."""
    writer = _WRITERS.get(media(content_type))
    if writer is None:
        raise Unsupported(content_type, status=406)
    return writer(prediction)


def accepted(accept: str) -> list[str]:
    """The types that an Accept names, in order.

    >>> accepted("text/html, application/json;q=0.9")
    ['text/html', 'application/json']
    """
    return [media(one) for one in accept.split(",")]


def first_written(prediction: Any, accept: str, default: str) -> tuple[Any, str]:
    """The body in the first type of an Accept that can be written, and that type.

    default: written where anything is accepted. Raises ``Unsupported``.
    """
    for one in accepted(accept):
        wanted = media(default) if one in ("", ANY) else one
        if wanted in _WRITERS:
            return encode(prediction, wanted), wanted
    raise Unsupported(accept, status=406)


def from_json(body: Any) -> Any:
    """An array of JSON text."""
    return np.array(json.loads(body))


def from_csv(body: Any) -> Any:
    """Numbers separated by commas; one row is an array of one dimension, as in the toolkit."""
    return np.genfromtxt(io.StringIO(text_of(body)), delimiter=",")


def from_npy(body: Any) -> Any:
    """The array of an npy file."""
    return np.load(io.BytesIO(body), allow_pickle=False)


def from_npz(body: Any) -> Any:
    """The matrix that scipy.sparse.save_npz wrote."""
    return importlib.import_module("scipy.sparse").load_npz(io.BytesIO(body))


def to_json(prediction: Any) -> str:
    """JSON, arrays in it as lists."""
    return json.dumps(prediction, default=_plain)


def to_csv(prediction: Any) -> str:
    """A line a row."""
    stream = io.StringIO()
    np.savetxt(stream, prediction, delimiter=",", fmt="%s")
    return stream.getvalue()


def to_npy(prediction: Any) -> bytes:
    """An npy file."""
    stream = io.BytesIO()
    np.save(stream, prediction, allow_pickle=False)
    return stream.getvalue()


def _plain(thing: Any) -> Any:
    if hasattr(thing, "tolist"):
        return thing.tolist()
    raise TypeError(f"Object of type {type(thing).__name__} is not JSON serializable")


def text_of(body: Any) -> str:
    """A body as text, be it text already."""
    return body if isinstance(body, str) else bytes(body).decode()


_READERS: Mapping[str, Callable[[Any], Any]] = {
    JSON: from_json,
    CSV: from_csv,
    NPY: from_npy,
    NPZ: from_npz,
}
_WRITERS: Mapping[str, Callable[[Any], Any]] = {JSON: to_json, CSV: to_csv, NPY: to_npy}

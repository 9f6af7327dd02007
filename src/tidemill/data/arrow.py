"""PyArrow, loaded when large CSV, Parquet or Arrow first needs it: replicas start without."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def module(name: str = "") -> Any:
    """``pyarrow`` or the submodule of this name."""
    return importlib.import_module(f"pyarrow.{name}" if name else "pyarrow")


def faults() -> tuple[type[Exception], ...]:
    """What damaged bytes make Arrow raise."""
    return module().ArrowException, OSError, ValueError


def table_of(columns: Mapping[str, NDArray[Any]]) -> Any:
    """An Arrow table of an answer's columns: a wide one has lists of one length in its cells."""
    return module().table({name: _array(column) for name, column in columns.items()})


def _array(column: NDArray[Any]) -> Any:
    arrow = module()
    if column.ndim == 2:
        cells = _array(np.ascontiguousarray(column).reshape(-1))
        return arrow.FixedSizeListArray.from_arrays(cells, column.shape[1])
    if column.dtype.kind not in "fiu":
        return arrow.array(column.tolist())
    # From the bytes themselves: an array of NumPy's would make Arrow load pandas.
    plain = np.ascontiguousarray(column)
    kind = arrow.from_numpy_dtype(plain.dtype)
    return arrow.Array.from_buffers(kind, len(plain), [None, arrow.py_buffer(plain)])

"""The compiled kernels as libraries of plain functions over arrays."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.ctypeslib import ndpointer

from tidemill.errors import Missing

HERE = Path(__file__).resolve().parent

# What functions take; arrays of another type, order or alignment are refused when they are called.
FLOATS: Any = ndpointer(np.float32, flags="C_CONTIGUOUS")
DOUBLES: Any = ndpointer(np.float64, flags="C_CONTIGUOUS")
INT32: Any = ndpointer(np.int32, flags="C_CONTIGUOUS")
INT64: Any = ndpointer(np.int64, flags="C_CONTIGUOUS")
UINT64: Any = ndpointer(np.uint64, flags="C_CONTIGUOUS")
BYTES: Any = ndpointer(np.uint8, flags="C_CONTIGUOUS")
SIZE: Any = ctypes.c_int64
FLOAT: Any = ctypes.c_float
DOUBLE: Any = ctypes.c_double
SEED: Any = ctypes.c_uint64


@functools.cache
def library(name: str) -> ctypes.CDLL:
    """The library of ``NAME.c``. Calls into it run without Python's lock, side by side.

    Its file is ``libNAME.so``: Python would take a ``NAME.so`` for the module beside ``NAME.py``.
    """
    path = HERE / f"lib{name}.so"
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise Missing(
            f"the compiled kernel {name!r}",
            got=str(error),
            do="Install Tidemill's wheel, or a C compiler and then Tidemill again.",
        ) from error


def function(library: ctypes.CDLL, name: str, takes: list[Any], gives: Any = None) -> Any:
    """A function of a library with its types declared; ctypes itself would guess them."""
    found = getattr(library, name)
    found.argtypes, found.restype = takes, gives
    return found

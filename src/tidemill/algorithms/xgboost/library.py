"""The xgboost library: loaded when it is first wanted, its absence and its complaints told here."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tidemill.errors import Invalid, Missing

_PLACE = re.compile(r"^\[[\d:]+\] \S+:\d+: (Check failed: )?")
"""Time and line of the library's source, before its words."""


@cache
def library() -> Any:
    """The module ``xgboost``. Raises Missing where it is not installed."""
    try:
        return importlib.import_module("xgboost")
    except ImportError as error:
        raise Missing(
            "the xgboost library, an optional part of Tidemill",
            got=str(error),
            do="pip install 'tidemill[xgboost]'",
        ) from error


@contextlib.contextmanager
def complaints(do: str) -> Iterator[None]:
    """What the library refuses within, as Invalid in its own words. do: what could help

    Raises MemoryError where it found too little of that.
    """
    try:
        yield
    except library().core.XGBoostError as error:
        if "bad_alloc" in str(error):
            raise MemoryError("xgboost: too little for these rows and rounds") from error
        raise complaint(error, do) from error


def complaint(error: Exception, do: str) -> Invalid:
    """What the library refused, in its own words."""
    words = _PLACE.sub("", str(error).partition("\n")[0])
    return Invalid("xgboost: what the library takes", got=words[:500], do=do)


@cache
def sparse_rows() -> Any:
    """SciPy's ``csr_matrix``, which the library takes sparse rows as; loaded with it."""
    return importlib.import_module("scipy.sparse").csr_matrix

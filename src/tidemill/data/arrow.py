"""PyArrow, loaded when large CSV or Parquet first needs it: replicas and jobs start without."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def module(name: str = "") -> Any:
    """``pyarrow`` or the submodule of this name."""
    return importlib.import_module(f"pyarrow.{name}" if name else "pyarrow")

"""A worker's process without what others load for the sake of their own users."""

from __future__ import annotations

import sys
from typing import Any, cast

EXTRAS = ("pandas", "sklearn")
"""xgboost loads these where it finds them, which takes a second; no worker calls them."""


def lean() -> None:
    """Make them look absent in this process, for libraries that can do without."""
    modules = cast(dict[str, Any], sys.modules)
    for name in EXTRAS:
        modules.setdefault(name, None)

"""Settings of every test run."""

from __future__ import annotations

import os

import pytest

# Test processes run side by side: libraries whose idle threads spin would only take each other's
# cores (OpenBLAS: twenty times the time). Read when NumPy is first imported, so set before that.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First those that mostly wait (published clients ask every half minute), beside the others."""
    items.sort(key=lambda item: "test_clients" not in item.nodeid)

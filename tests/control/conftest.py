"""One control plane a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.mill import Mill

collect_ignore = ["dummy_serve.py", "dummy_train.py"]


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    made = Mill(tmp_path)
    yield made
    made.close()

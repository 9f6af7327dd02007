"""One router for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.router import stand_in


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stand_in.Platform]:
    with stand_in.platform(tmp_path_factory.mktemp("h")) as one:
        yield one


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[stand_in.Platform]:
    """A router that the test may kill."""
    with stand_in.platform(tmp_path) as one:
        yield one


@pytest.fixture
def client(platform: stand_in.Platform) -> Iterator[stand_in.Client]:
    one = stand_in.Client(platform.port)
    yield one
    one.close()

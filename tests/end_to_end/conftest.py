"""A real platform for a module's tests: started by the command line, stopped by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidemill.sdk.connection import Connection


@dataclass(frozen=True)
class Platform:
    """home: its directory · environment: what ``tidemill env`` exports, on top of a clean one."""

    home: Path
    environment: dict[str, str]
    connection: Connection


def tidemill(
    *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would. environment: added to a clean one"""
    done = subprocess.run(
        [sys.executable, "-m", "tidemill.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**clean_environment(), **(environment or {})},
    )
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def clean_environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TIDEMILL_"))}
    return {**clean, "TIDEMILL_CAPTURE_LEAST_FREE": "0"}  # be the disk as full as it is


def start(home: Path, environment: Mapping[str, str] | None = None) -> Platform:
    tidemill("up", "--home", str(home), "--port", "0", "--detach", environment=environment)
    told = json.loads(tidemill("env", "--home", str(home), "--json").stdout)
    connection = Connection(
        told["AWS_ENDPOINT_URL"], told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]
    )
    return Platform(home, {**clean_environment(), **told}, connection)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    try:
        yield start(home)
    finally:
        tidemill("down", "--home", str(home))

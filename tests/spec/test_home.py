"""Sockets fit what the kernel allows, and homes do not share them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tidemill.spec.home import LONGEST_SOCKET_PATH, Home, WorkerHome


@pytest.mark.parametrize("depth", [1, 5, 30])
def test_a_socket_can_be_bound_however_deep_the_home(tmp_path: Path, depth: int) -> None:
    path = Home(tmp_path.joinpath(*["deeper"] * depth)).socket("replica-12-abcdef")
    assert len(str(path)) <= LONGEST_SOCKET_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    path.unlink()
    path.parent.rmdir()


@pytest.mark.parametrize("letter", ["x", "é", "模"])
@pytest.mark.parametrize("length", range(20, 110))
def test_all_sockets_of_a_home_lie_in_one_directory_and_none_is_too_long(
    letter: str, length: int
) -> None:
    home = Home(Path("/") / (letter * length))
    paths = [home.socket(name) for name in ("gateway", "control", "replica-12345-r678")]
    assert {path.parent for path in paths} == {home.sockets}
    assert max(len(os.fsencode(path)) for path in paths) <= LONGEST_SOCKET_PATH


def test_deep_homes_have_sockets_of_their_own() -> None:
    deep = Path("/" + "x" * 200)
    assert Home(deep / "a").socket("control") != Home(deep / "b").socket("control")
    assert Home(deep / "a").socket("control") == Home(deep / "a").socket("control")


def test_a_worker_home_is_laid_out_like_opt_ml() -> None:
    home = WorkerHome(Path("/opt/ml"))
    assert str(home.channel("train")) == "/opt/ml/input/data/train"
    assert str(home.config) == "/opt/ml/input/config"
    assert str(home.model) == "/opt/ml/model"
    assert str(home.failure) == "/opt/ml/output/failure"
    assert str(home.checkpoints) == "/opt/ml/checkpoints"

"""The control plane's process: it comes, answers on its socket, and goes when told."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.spec.home import Home
from tidemill.testing.engine import wait_for

COMMAND = [sys.executable, "-m", "tidemill.app.control_plane"]


def ask(path: Path) -> int | None:
    """The status of ``GET /ping`` on a Unix socket, or None while nobody listens."""
    connection = http.client.HTTPConnection("localhost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection.sock:
        try:
            connection.sock.connect(str(path))
        except OSError:
            return None
        connection.request("GET", "/ping")
        response = connection.getresponse()
        response.read()
        return response.status


def test_it_answers_until_it_is_told_to_go(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for _ in range(2):  # the second finds what the first left
        with subprocess.Popen([*COMMAND, str(home.root)], stderr=subprocess.PIPE) as process:
            assert wait_for(lambda: ask(home.socket("gateway"))) == 200
            wait_for(home.routes.exists)
            process.terminate()
            assert process.wait(20) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""


@pytest.mark.parametrize("obstacle", ["a file is in the way", "the database is damaged"])
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, obstacle: str) -> None:
    home = Home(tmp_path / "home")
    if obstacle == "a file is in the way":
        home.root.write_text("")
    else:
        home.root.mkdir()
        home.database.write_bytes(b"damaged" * 1000)
    done = subprocess.run([*COMMAND, str(home.root)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("control plane: ")
    assert str(home.root) in line

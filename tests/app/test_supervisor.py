"""The platform as processes: one a home, kept alive part by part, gone without a trace."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tidemill.app import listener, parts, server, server_file, workers
from tidemill.app.parts import Part
from tidemill.app.process import commands, end, identify
from tidemill.app.server_file import Server
from tidemill.engine.process import Process
from tidemill.errors import Conflict, Invalid, NotReady
from tidemill.spec.home import Home

ACCOUNT = "210987654321"
PARTS = ("supervisor", "router", "control-plane")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    one = Home(tmp_path / "home")
    yield one
    server.stop(one)


def start(home: Home, port: int = 0) -> Server:
    return server.start_detached(home, "127.0.0.1", port, ACCOUNT)


def ping(url: str) -> int:
    with urlopen(f"{url}/ping", timeout=10) as answer:
        status: int = answer.status
        return status


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def gateway_answers(home: Home) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(str(home.socket("gateway")))
            one.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return one.recv(16).startswith(b"HTTP/1.1 ")
        except OSError:
            return False


def part(home: Home, name: str) -> Process:
    now = server_file.read(home)
    assert now is not None
    return now.parts[name]


@pytest.mark.serial
@pytest.mark.slow
def test_a_platform_starts_is_seen_and_leaves_nothing_running(home: Home) -> None:
    assert server.status(home).state == "down"
    made = start(home)
    assert made.ready
    assert made.account == ACCOUNT
    assert ping(made.url) == 200
    assert gateway_answers(home)
    now = server.status(home)
    assert now.state == "running"
    assert now.alive == dict.fromkeys(PARTS, True)
    assert now.server == made
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600
    assert server.stop(home)
    assert not any(process.is_running() for process in made.parts.values())
    assert not home.server.exists()
    assert server.status(home).state == "down"
    assert not server.stop(home)


@pytest.mark.serial
@pytest.mark.slow
def test_a_home_too_deep_for_sockets_leaves_nothing_outside_of_it(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("d" * 120))
    try:
        assert ping(start(deep).url) == 200
        assert deep.sockets.is_dir()
        assert not deep.sockets.is_relative_to(tmp_path)
    finally:
        server.stop(deep)
    assert not deep.sockets.exists()


@pytest.mark.serial
@pytest.mark.slow
def test_a_killed_part_is_started_again_and_the_port_never_refuses(home: Home) -> None:
    made = start(home)
    for name in ("router", "control-plane", "router"):
        before = part(home, name)
        os.kill(before.pid, signal.SIGKILL)
        assert ping(made.url) == 200  # waits in the queue of the supervisor's socket
        wait_until(lambda before=before, name=name: part(home, name) != before)  # type: ignore[misc]
    wait_until(lambda: gateway_answers(home))
    assert part(home, "supervisor") == made.supervisor
    assert server.status(home).alive == dict.fromkeys(PARTS, True)


@pytest.mark.serial
@pytest.mark.slow
def test_a_home_has_one_platform_and_two_homes_have_two(home: Home, tmp_path: Path) -> None:
    made = start(home)
    assert made.supervisor is not None
    with pytest.raises(Conflict) as raised:
        start(home)
    assert str(made.supervisor.pid) in str(raised.value)
    assert made.url in str(raised.value)
    other = Home(tmp_path / "other")
    with pytest.raises(Conflict, match=f"port {made.port} .*--port"):
        start(other, made.port)
    assert server.status(other).state == "down"
    try:
        second = start(other)
        assert server.stop(home)
        assert ping(second.url) == 200
    finally:
        server.stop(other)


@pytest.mark.serial
@pytest.mark.slow
def test_what_a_killed_supervisor_left_is_replaced_or_ended(home: Home) -> None:
    made = start(home)
    assert made.supervisor is not None
    os.kill(made.supervisor.pid, signal.SIGKILL)
    wait_until(lambda: server.status(home).state == "broken")
    assert ping(made.url) == 200
    again = start(home, made.port)
    assert again.url == made.url
    assert not made.parts["router"].is_running()
    assert not made.parts["control-plane"].is_running()
    assert again.supervisor is not None
    os.kill(again.supervisor.pid, signal.SIGKILL)
    home.server.unlink()  # as if it had been killed before it wrote that down
    assert server.stop(home)
    assert not any(process.is_running() for process in again.parts.values())


@pytest.mark.serial
@pytest.mark.slow
def test_in_front_it_says_it_is_ready_and_ends_on_control_c(home: Home) -> None:
    command = [sys.executable, "-m", "tidemill.app.supervisor", str(home.root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as front:
        assert front.stdout is not None
        url = re.search(rb"http://[0-9.:]+", front.stdout.readline())
        assert url is not None
        assert ping(url[0].decode()) == 200
        front.send_signal(signal.SIGINT)
        assert front.wait(20) == 0
    assert server.status(home).state == "down"


def test_a_home_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    home = Home(tmp_path / "file")
    with pytest.raises(Invalid, match=r"file.*--home") as raised:
        start(home)
    assert "Traceback" not in str(raised.value)
    command = [sys.executable, "-m", "tidemill.app.supervisor", str(home.root), "--port", "0"]
    front = subprocess.run(command, capture_output=True, text=True, check=False)
    assert front.returncode == 1
    assert front.stderr.startswith("error: ")
    assert "Traceback" not in front.stderr


@pytest.mark.parametrize("account", ["123", "", "12345678901x", "²23456789012"])
def test_an_account_that_no_arn_could_hold_is_refused(home: Home, account: str) -> None:
    with pytest.raises(Invalid, match="twelve digits"):
        server.start_detached(home, "127.0.0.1", 0, account)
    assert server.status(home).state == "down"


@pytest.mark.serial
@pytest.mark.slow
def test_a_part_that_cannot_start_is_named_with_its_last_words(home: Home) -> None:
    home.database.mkdir(parents=True)  # where the store wants a file
    with pytest.raises(NotReady) as raised:
        start(home)
    assert "control-plane" in str(raised.value)
    assert "unable to open database file" in str(raised.value)
    assert server.status(home).state == "down"


def pretend_worker(home: Home, module: str, folder: Path) -> Process:
    code = "import time; time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "-m", module, str(folder)], start_new_session=True
    )
    REAPED.append(child)
    found = identify(child.pid)
    assert found is not None
    return found


REAPED: list[subprocess.Popen[bytes]] = []


def test_only_the_workers_of_this_home_are_ended(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "home2")
    ours = pretend_worker(home, "tidemill.workers.train", home.jobs / "r" / "a")
    replica = pretend_worker(home, "tidemill.workers.serve", home.endpoints / "r" / "b")
    theirs = pretend_worker(home, "tidemill.workers.train", other.jobs / "r" / "a")
    unrelated = pretend_worker(home, "pytest", home.jobs / "r" / "a")
    assert workers.find(home) == {"train": [ours], "serve": [replica]}
    workers.end_all(home)
    assert not ours.is_running()
    assert not replica.is_running()
    assert theirs.is_running()
    assert unrelated.is_running()
    end([theirs, unrelated], grace=0)
    for child in REAPED:
        child.wait()
    REAPED.clear()


def test_only_the_parts_of_this_home_are_found(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "home"), Home(tmp_path / "home2")
    ours = pretend_worker(home, "tidemill.app.control_plane", home.root)
    theirs = pretend_worker(home, "tidemill.router", other.root)
    worker = pretend_worker(home, "tidemill.workers.train", home.root)
    assert parts.find(home) == [ours]
    end([ours, theirs, worker], grace=0)
    for child in REAPED:
        child.wait()
    REAPED.clear()


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    us = identify(os.getpid())
    assert us is not None
    assert us.is_running()
    assert not Process(us.pid, us.start - 1).is_running()
    assert identify(2**22 + 1) is None
    assert os.getpid() in dict(commands())


def test_a_part_that_keeps_ending_is_started_later_and_later(tmp_path: Path) -> None:
    one = Part("one", [sys.executable, "-c", "print('last words')"], tmp_path / "log", {})
    now = 0.0
    one.start(now)
    waits = []
    for _ in range(5):
        wait_until(lambda: one.process() is None)
        while not one.tend(now):
            pause = one.wait_seconds(now)
            assert pause is not None
            waits.append(round(pause, 3))
            now += pause
    one.reap()
    assert waits == [0.05, 0.1, 0.2, 0.4]
    assert one.last_lines(1) == "last words"


def test_a_part_that_cannot_be_made_a_process_is_tried_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "later"
    one = Part("one", [str(command)], tmp_path / "log", {})
    assert not one.tend(0.0)
    assert "one could not be started" in capfd.readouterr().err
    command.symlink_to("/bin/true")
    assert one.tend(10.0)
    one.reap()


def test_an_address_that_cannot_be_listened_on_says_what_to_do() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} .* must be free"):
            listener.listen("127.0.0.1", port)
        assert listener.url("0.0.0.0", taken) == f"http://127.0.0.1:{port}"
        assert listener.url("::1", taken) == f"http://[::1]:{port}"
    with pytest.raises(Invalid, match="port from 0 to 65535"):
        listener.listen("127.0.0.1", 70_000)
    with pytest.raises(Invalid, match="must be"):
        listener.listen("192.0.2.1", 0)


def test_the_server_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.mkdir()
    assert server_file.read(home) is None
    one = Server("http://h:1", "h", 1, ACCOUNT, parts={"router": Process(1, 2)})
    server_file.write(home, one)
    assert server_file.read(home) == one
    home.server.write_text("{")
    assert server_file.read(home) is None

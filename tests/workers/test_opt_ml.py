"""Commands of users see a home as /opt/ml, and leave nothing behind when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tidemill.workers import opt_ml
from tidemill.workers.opt_ml import OptMl

PATIENCE = 20.0


@pytest.fixture(params=[True, False], ids=["real", "where it lies"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> OptMl:
    if request.param and not opt_ml.is_allowed():
        pytest.skip("this kernel allows no namespaces")
    return OptMl(tmp_path, is_real=request.param)


@pytest.fixture
def real(tmp_path: Path) -> OptMl:
    if not opt_ml.is_allowed():
        pytest.skip("this kernel allows no namespaces")
    return OptMl(tmp_path, is_real=True)


def start(home: OptMl, argv: Sequence[str], **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        home.command(argv, **how),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(home: OptMl, script: str, **how: Any) -> tuple[int, str]:
    process = start(home, ["sh", "-c", script], **how)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def processes(mark: str) -> list[psutil.Process]:
    """Those whose command line ends so, and that still run."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or [""]
        if words[-1] == mark and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def eventually(mark: str, *, running: bool) -> bool:
    until = time.monotonic() + PATIENCE
    while bool(processes(mark)) != running and time.monotonic() < until:
        time.sleep(0.01)
    return bool(processes(mark)) == running


def test_a_command_works_in_the_home_and_writes_to_it(home: OptMl, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    code, said = run(home, "pwd; echo 3 > ../model", cwd=tmp_path / "code")
    assert (code, said) == (0, f"{home.base}/code\n")
    assert (tmp_path / "model").read_text() == "3\n"


def test_the_home_is_there_by_its_own_name_too(real: OptMl, tmp_path: Path) -> None:
    assert run(real, f"echo 1 > {tmp_path}/a; cat /opt/ml/a") == (0, "1\n")
    assert not Path("/opt/ml/a").exists()


def test_exit_status_and_signals_are_handed_on(home: OptMl) -> None:
    assert run(home, "exit 7")[0] == 7
    assert run(home, "kill -9 $$")[0] == 128 + signal.SIGKILL
    process = start(home, ["/no/such/program"])
    assert process.communicate(timeout=PATIENCE)[0].endswith("No such file or directory\n")
    assert process.returncode == 127


def test_sigterm_reaches_the_command_which_may_take_its_time(home: OptMl) -> None:
    process = start(
        home, ["sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do :; done"]
    )
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.terminate()
    assert process.communicate(timeout=PATIENCE)[0] == "bye\n"
    assert process.returncode == 5


def test_sigterm_reaches_what_a_shell_runs_if_asked_for(home: OptMl) -> None:
    process = start(home, ["sh", "-c", "echo up; sleep 1234; exit 9"], whole_group=True)
    assert process.stdout
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("away", ["", "setsid "])
def test_what_a_command_leaves_running_ends_with_it(home: OptMl, away: str) -> None:
    mark = f"98{os.getpid()}"
    code, _ = run(home, f"{away}sleep {mark} >/dev/null 2>&1 & exit 0")
    assert code == 0
    assert eventually(mark, running=False)


def test_nothing_outlives_a_worker_that_is_killed(home: OptMl) -> None:
    mark = f"97{os.getpid()}"
    process = start(home, ["sh", "-c", f"echo up; exec sleep {mark}"])
    assert process.stdout
    process.stdout.readline()
    assert eventually(mark, running=True)
    process.kill()  # as the kernel does to it when the worker dies
    process.communicate(timeout=PATIENCE)
    assert eventually(mark, running=False)


def test_shielded_files_can_be_written_to_and_are_not_changed(real: OptMl, tmp_path: Path) -> None:
    data = tmp_path / "input" / "a, b:c"
    data.mkdir(parents=True)
    (data / "rows.csv").write_text("1\n")
    script = "cd 'input/a, b:c'; echo 2 >> rows.csv; cat rows.csv; touch more"
    code, said = run(real, script, shields=[data])
    assert (code, said) in ((0, "1\n2\n"), (1, said))  # or read-only, without overlays
    assert [p.name for p in data.iterdir()] == ["rows.csv"]
    assert (data / "rows.csv").read_text() == "1\n"


def test_hosts_of_a_job_have_addresses(real: OptMl) -> None:
    assert "127.0.0.1" in run(real, "getent hosts algo-2", hosts=["algo-1", "algo-2"])[1]


def test_paths_are_told_as_commands_see_them(home: OptMl, tmp_path: Path) -> None:
    assert home.seen(tmp_path / "model") == home.base / "model"
    assert home.meant("/opt/ml/a/../b") == tmp_path / "b"
    assert home.meant("/opt/ml/../etc") is None


def test_namespaces_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(opt_ml.VARIABLE, "0")
    opt_ml.is_allowed.cache_clear()
    try:
        assert not opt_ml.is_allowed()
    finally:
        opt_ml.is_allowed.cache_clear()

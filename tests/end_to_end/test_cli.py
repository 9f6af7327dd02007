"""The command line as a person and a script use it."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end import processes
from tests.end_to_end.conftest import Platform, clean_environment, start, tidemill
from tidemill.sdk.training_job import TrainingJob

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    np.savetxt(path, np.random.default_rng(0).normal(size=(300, 3)), "%.5f", ",")
    return path


def test_a_model_is_trained_listed_logged_deployed_and_asked(
    platform: Platform, rows: Path
) -> None:
    home = ["--home", str(platform.home)]
    done = tidemill("train", "kmeans", str(rows), "k=3", "--name", "cli-1", *home)
    assert "Completed" in done.stdout
    assert "cli-1: Starting" in done.stderr, "progress belongs on stderr"
    listed = json.loads(tidemill("jobs", "--json", *home).stdout)
    assert "cli-1" in [job["TrainingJobName"] for job in listed]
    assert "#quality_metric" in tidemill("logs", "-f", "cli-1", *home).stdout
    tidemill("deploy", "cli-1", "--name", "cli-1", *home)
    assert "cli-1\tInService" in tidemill("endpoints", *home).stdout
    answers = json.loads(tidemill("predict", "cli-1", str(rows), "--json", *home).stdout)
    assert len(answers) == 300
    assert set(answers[0]) == {"closest_cluster", "distance_to_cluster"}
    tidemill("delete-endpoint", "cli-1", *home)


def test_a_model_is_gone_on_from_and_made_anew_without_data(platform: Platform, rows: Path) -> None:
    home = ["--home", str(platform.home)]
    tidemill("train", "kmeans", str(rows), "k=3", "--name", "cli-first", *home)
    tidemill("train", "kmeans", str(rows), "--model", "cli-first", "--name", "cli-later", *home)
    fewer = tidemill("finalize", "cli-later", "k=2", "--name", "cli-fewer", "--json", *home)
    told = json.loads(fewer.stdout)
    assert told["HyperParameters"]["k"] == "2"
    assert [c["ChannelName"] for c in told["InputDataConfig"]] == ["model"]


def test_status_tells_what_runs(platform: Platform) -> None:
    told = json.loads(tidemill("status", "--home", str(platform.home), "--json").stdout)
    assert told["url"] == platform.connection.url
    assert told["parts"]["router"]["pid"] == processes.of("router", platform.home)[0].pid


def test_algorithms_are_listed_and_explained() -> None:
    assert "kmeans" in tidemill("algorithms").stdout
    told = json.loads(tidemill("algorithms", "linear-learner", "--json").stdout)
    assert "predictor_type" in [h["name"] for h in told["hyperparameters"]]


def test_every_command_explains_itself() -> None:
    for command in ("up", "down", "status", "env", "train", "jobs", "logs", "deploy", "predict"):
        assert "Usage: " in tidemill(command, "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["logs", "no-such-job"], "no-such-job"),
        (["train", "kmeens", "x.csv"], "kmeans"),
        (["train", "kmeans", "no-such-file.csv", "k=3"], "no-such-file.csv"),
        (["train", "kmeans", "x.csv", "k3"], "k=10"),
        (["train", "kmeans", __file__, "k=3"], "pass content_type"),
        (["stop", "no-such-job"], "tidemill jobs"),
        (["predict", "no-such-endpoint", "folder.csv"], "folder.csv"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_exit_1(
    arguments: list[str],
    words: str,
    platform: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    done = tidemill(*arguments, "--home", str(platform.home), check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_line_to_copy_is_one_line_whatever_the_home_is_called(tmp_path: Path) -> None:
    home = tmp_path / ("a [bold] name, long and with ünïcödé " * 4)
    try:
        done = tidemill("up", "--home", str(home), "--port", "0", "--detach")
        assert (
            f'eval "$(tidemill env --home {shlex.quote(str(home))})"' in done.stderr.splitlines()[1]
        )
    finally:
        tidemill("down", "--home", str(home))


def test_control_c_leaves_the_job_and_says_how_to_go_on(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    np.savetxt(path, np.random.default_rng(0).normal(size=(20_000, 20)), "%.3f", ",")
    command = [sys.executable, "-m", "tidemill.cli.main", "train", "linear-learner", str(path)]
    command += ["predictor_type=regressor", "epochs=100000", "early_stopping_patience=1000000"]
    command += ["--name", "interrupted", "--home", str(platform.home)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as it:
        assert it.stderr is not None
        while "Training" not in it.stderr.readline():
            pass
        it.send_signal(signal.SIGINT)
        said = it.stderr.read()
        assert it.wait(20) == 130
    assert "tidemill stop interrupted" in said
    assert "Traceback" not in said
    job = TrainingJob("interrupted", platform.connection)
    assert job.status == "InProgress"
    job.stop()
    assert job.wait(quiet=True, timeout=60).status == "Stopped"


def test_env_is_for_the_shells_eval(platform: Platform) -> None:
    script = f'eval "$(tidemill env --home {platform.home})"; echo $AWS_ENDPOINT_URL'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=platform.environment
    )
    assert done.stdout.strip() == platform.connection.url


def test_two_homes_run_side_by_side_and_down_stops_only_its_own(
    platform: Platform, tmp_path: Path
) -> None:
    other = start(tmp_path)
    assert other.connection.url != platform.connection.url
    tidemill("down", "--home", str(tmp_path))
    assert not any(processes.of(part, tmp_path) for part in processes.PARTS)
    assert processes.of("router", platform.home)
    assert "not running" in tidemill("status", "--home", str(tmp_path), check=False).stderr


def test_a_second_up_on_a_running_home_says_where_it_runs(platform: Platform) -> None:
    done = tidemill("up", "--home", str(platform.home), "--port", "0", "--detach", check=False)
    assert done.returncode == 1
    assert platform.connection.url in done.stderr


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tidemill("up", "--home", str(tmp_path), "--port", port, "--detach", check=False)
    assert done.returncode == 1
    assert port in done.stderr


def test_programs_that_start_the_platform_at_once_share_it(tmp_path: Path, rows: Path) -> None:
    home = str(tmp_path / "fresh")
    command = [sys.executable, "-m", "tidemill.cli.main", "train", "kmeans", str(rows), "k=3"]
    both = [subprocess.Popen([*command, "--home", home], env=clean_environment()) for _ in range(2)]
    try:
        assert [one.wait(120) for one in both] == [0, 0]
        assert len(json.loads(tidemill("jobs", "--json", "--home", home).stdout)) == 2
    finally:
        tidemill("down", "--home", home)


def test_profiles_and_proxies_of_other_accounts_are_not_in_the_way(platform: Platform) -> None:
    nowhere = {"AWS_PROFILE": "another", "HTTP_PROXY": "http://127.0.0.1:9"}
    home = str(platform.home)
    for command in (["jobs"], ["env"]):
        done = subprocess.run(
            [sys.executable, "-m", "tidemill.cli.main", *command, "--home", home],
            capture_output=True,
            text=True,
            check=False,
            env={**clean_environment(), **nowhere},
        )
        assert done.returncode == 0, done.stderr
    assert "NO_PROXY=127.0.0.1" in done.stdout


def test_down_where_nothing_runs_is_no_failure(tmp_path: Path) -> None:
    assert tidemill("down", "--home", str(tmp_path)).returncode == 0

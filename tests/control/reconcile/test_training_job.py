"""Training jobs as real processes: each end that a job can come to."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.control.mill import REGION, Mill
from tidemill.control import training_job
from tidemill.errors import Conflict, NotFound
from tidemill.spec.home import WorkerHome


def stages(mill: Mill, name: str) -> list[str]:
    return [t["Status"] for t in mill.job(name).document["state"]["transitions"]]


def test_a_job_goes_through_its_stages_to_completed(mill: Mill) -> None:
    mill.train("job", steps=3)
    state = mill.until_job("job", "Completed").document["state"]
    assert stages(mill, "job") == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [t["StatusMessage"] for t in state["transitions"]] == [
        "Preparing the instances for training",
        "Downloading input data",
        "Training image download completed. Training in progress.",
        "Uploading generated training model",
        "Training job completed",
    ]
    assert all(t["StartTime"] <= t["EndTime"] for t in state["transitions"])
    assert state["artifact"] == "s3://bucket/out/job/output/model.tar.gz"
    assert state["progress"] == 1.0
    [metric] = state["metrics"]
    assert (metric["MetricName"], metric["Value"]) == ("train:step", 3)
    assert state["started"] <= state["ended"]


def test_a_failed_job_says_what_the_worker_said(mill: Mill) -> None:
    mill.train("job", mode="fail")
    state = mill.until_job("job", "Failed").document["state"]
    assert state["failure"] == "ClientError: train: no such file, exit code: 1"
    assert state["secondary"] == "Failed"


def test_a_silent_failure_shows_the_last_lines(mill: Mill) -> None:
    mill.train("job", mode="raise")
    failure = mill.until_job("job", "Failed").document["state"]["failure"]
    assert failure.startswith("AlgorithmError: ")
    assert "the last line of a traceback" in failure
    assert failure.endswith("exit code: 2")


def test_an_unknown_image_is_written_down_and_fails(mill: Mill) -> None:
    row = mill.train("job", image="123.dkr.ecr.us-east-1.amazonaws.com/kmean:1")
    assert row.status == "InProgress"
    failure = mill.until_job("job", "Failed").document["state"]["failure"]
    assert failure.startswith("ClientError: ")
    assert "Did you mean 'kmeans'?" in failure


def test_a_stopped_job_keeps_what_it_has_learned(mill: Mill) -> None:
    mill.train("job", steps=100_000)
    mill.until_job("job", "Training")
    training_job.stop(mill.verbs, REGION, "job")
    assert mill.job("job").status == "Stopping"
    training_job.stop(mill.verbs, REGION, "job")  # asked twice is once
    state = mill.until_job("job", "Stopped").document["state"]
    assert state["artifact"] == "s3://bucket/out/job/output/model.tar.gz"
    assert stages(mill, "job")[-2:] == ["Stopping", "Stopped"]
    with pytest.raises(Conflict, match="a training job that runs; got 'Stopped'"):
        training_job.stop(mill.verbs, REGION, "job")


def test_a_job_stopped_before_it_began_ends_at_once(mill: Mill) -> None:
    mill.train("job")
    training_job.stop(mill.verbs, REGION, "job")
    mill.reconciler.tick()
    assert mill.job("job").status == "Stopped"
    assert list(mill.home.jobs.glob("*/*/*/attempts")) == []


def test_a_worker_killed_while_stopping_ends_the_job(mill: Mill) -> None:
    mill.train("job", mode="deaf", steps=100_000)
    row = mill.until_job("job", "Training")
    training_job.stop(mill.verbs, REGION, "job")
    mill.reconciler.tick()
    os.kill(pid(mill.handles(row)[0]), signal.SIGKILL)
    mill.until_job("job", "Stopped")


def test_too_long_a_job_is_stopped(mill: Mill) -> None:
    mill.train("job", steps=100_000, max_seconds=3600)
    mill.until_job("job", "Training")
    mill.clock_ahead = 3601.0
    row = mill.until_job("job", "Stopped")
    assert row.document["state"]["secondary"] == "MaxRuntimeExceeded"
    assert row.document["state"]["artifact"]


def test_a_killed_worker_goes_on_from_its_checkpoint(mill: Mill) -> None:
    mill.train("job", steps=60)
    row = mill.until(lambda: (r := mill.job("job")).document["state"].get("progress") and r)
    os.kill(pid(mill.handles(row)[0]), signal.SIGKILL)
    state = mill.until_job("job", "Completed").document["state"]
    assert stages(mill, "job").count("Restarting") == 1
    assert attempts(state["home"]) == ["1", "2"]
    steps = [e["message"] for e in events(state["home"]) if e["kind"] == "progress"]
    assert len(steps) == len(set(steps))  # none was done twice


def test_a_worker_that_always_dies_fails_the_job(mill: Mill) -> None:
    mill.train("job", mode="die")

    def over() -> bool:
        mill.clock_ahead += 10.0  # the pauses between attempts pass in no time
        return mill.job("job").status == "Failed"

    mill.until(over)
    state = mill.job("job").document["state"]
    assert "died 10 times without progress" in state["failure"]
    assert "signal 9" in state["failure"]
    assert attempts(state["home"]) == [str(n) for n in range(1, 11)]


def test_each_host_has_a_worker_of_its_own(mill: Mill) -> None:
    mill.train("job", instances=3)
    state = mill.until_job("job", "Completed").document["state"]
    assert sorted(p.name for p in Path(state["home"]).iterdir()) == [
        *("algo-1", "algo-2", "algo-3")
    ]
    assert stages(mill, "job").count("Training") == 1


def test_a_job_that_is_over_keeps_its_log_and_lets_go_of_its_data(mill: Mill) -> None:
    mill.train("job", steps=100_000)
    home = WorkerHome(Path(mill.until_job("job", "Training").document["state"]["home"]) / "algo-1")
    for place in (home.channel("train"), home.checkpoints):
        place.mkdir(parents=True)
        (place / "large").touch()
    training_job.stop(mill.verbs, REGION, "job")
    mill.until_job("job", "Stopped")
    assert not home.data.exists()
    assert not home.checkpoints.exists()
    assert home.log.exists()
    assert home.events.exists()


def test_one_failed_host_takes_the_others_along(mill: Mill) -> None:
    mill.train("job", steps=100_000, instances=2)
    row = mill.until_job("job", "Training")
    handles = sorted(mill.handles(row), key=lambda h: h[-1])
    assert len(handles) == 2
    home = Path(row.document["state"]["home"]) / "algo-2"
    (home / "output" / "failure").write_text("AlgorithmError: out of luck")
    (home / "exit.json").write_text('{"code": 1}')
    os.kill(pid(handles[1]), signal.SIGKILL)
    state = mill.until_job("job", "Failed").document["state"]
    assert state["failure"] == "AlgorithmError: out of luck, exit code: 1"
    mill.until(lambda: mill.engine.look(handles[0]))


def test_a_new_control_plane_adopts_the_worker(mill: Mill) -> None:
    mill.train("job", steps=50)
    mill.until_job("job", "Training")
    mill.restart()
    state = mill.until_job("job", "Completed").document["state"]
    assert attempts(state["home"]) == ["1"]


def test_what_a_worker_told_while_nobody_listened_is_all_taken_in(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.control.workers._EVENTS_PIECE", 256)
    mill.train("job", steps=20)
    mill.reconciler.tick()
    home = Path(mill.job("job").document["state"]["home"])
    mill.until(lambda: (home / "algo-1" / "exit.json").exists(), tick=False)
    mill.restart()
    state = mill.until_job("job", "Completed").document["state"]
    assert state["artifact"] == "s3://bucket/out/job/output/model.tar.gz"
    assert state["progress"] == 1.0


def test_a_worker_ended_from_outside_resumes(mill: Mill) -> None:
    """``tidemill down`` sends SIGTERM: the job is not over, nor has anything gone wrong."""
    mill.train("job", steps=30)
    row = mill.until_job("job", "Training")
    os.kill(pid(mill.handles(row)[0]), signal.SIGTERM)
    mill.until(lambda: mill.engine.look(mill.handles(row)[0]), tick=False)
    mill.restart()
    state = mill.until_job("job", "Completed").document["state"]
    assert attempts(state["home"]) == ["1", "2"]
    assert state["deaths"] == 0


def test_a_start_that_was_not_written_down_is_found(mill: Mill) -> None:
    mill.train("job", steps=30)
    before = mill.job("job")
    mill.reconciler.tick()
    home = Path(before.document["state"]["home"])
    mill.until((home / "algo-1" / "attempts").exists, tick=False)
    # As if the control plane had died between the start and the note of it.
    mill.store.update(replace(before, revision=mill.job("job").revision))
    mill.restart()
    state = mill.until_job("job", "Completed").document["state"]
    assert attempts(state["home"]) == ["1"]
    assert not (home / "algo-1" / "DOUBLED").exists()


def test_a_start_that_was_not_written_down_is_stopped_too(mill: Mill) -> None:
    mill.train("job", steps=100_000)
    before = mill.job("job")
    mill.reconciler.tick()
    [handle] = mill.handles(mill.job("job"))
    mill.store.update(replace(before, revision=mill.job("job").revision))
    training_job.stop(mill.verbs, REGION, "job")
    mill.restart()
    mill.until_job("job", "Stopped")
    assert mill.engine.look(handle) is not None


def test_only_a_job_that_is_over_can_be_deleted(mill: Mill) -> None:
    mill.train("job", steps=100_000)
    mill.until_job("job", "Training")
    with pytest.raises(Conflict, match="a training job that is over; got 'InProgress'"):
        training_job.delete(mill.verbs, REGION, "job")
    training_job.stop(mill.verbs, REGION, "job")
    row = mill.until_job("job", "Stopped")
    training_job.delete(mill.verbs, REGION, "job")
    assert not Path(row.document["state"]["home"]).exists()
    with pytest.raises(NotFound):
        mill.job("job")
    mill.train("job", steps=1)
    mill.until_job("job", "Completed")


def pid(handle: str) -> int:
    return int(handle.split(":")[0])


def attempts(home: str) -> list[str]:
    return (Path(home) / "algo-1" / "attempts").read_text().split()


def events(home: str) -> list[dict[str, Any]]:
    lines = (Path(home) / "algo-1" / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def few(mill: Mill, most_workers: int) -> Mill:
    mill.most_workers = most_workers
    mill.restart()
    return mill


def test_jobs_beyond_what_the_machine_bears_wait_for_their_turn(mill: Mill) -> None:
    names = [f"job-{i}" for i in range(5)]
    for name in names:
        few(mill, 2).train(name, steps=3)
    most = 0

    def all_over() -> bool:
        nonlocal most
        rows = [mill.job(name) for name in names]
        most = max(most, sum(len(mill.handles(row)) for row in rows))
        return all(row.status == "Completed" for row in rows)

    mill.until(all_over)
    assert most == 2
    starts = [mill.job(name).document["state"]["started"] for name in names]
    assert starts == sorted(starts), "first come, first served"
    assert stages(mill, "job-4")[:4] == ["Starting", "Pending", "Starting", "Downloading"]


def test_a_job_wider_than_the_machine_runs_alone_and_is_not_overtaken_for_ever(mill: Mill) -> None:
    few(mill, 2).train("first", steps=5)
    mill.until_job("first", "Training")
    mill.train("wide", instances=3, steps=3)
    mill.train("last", steps=3)
    mill.until_job("wide", "Training")
    assert mill.job("first").status == "Completed"
    assert stages(mill, "last") == ["Starting", "Pending"]
    mill.until_job("last", "Completed")
    assert mill.job("wide").status == "Completed"


def test_a_waiting_job_that_is_stopped_never_starts(mill: Mill) -> None:
    few(mill, 1).train("first", steps=100_000)
    mill.train("second")
    mill.until_job("second", "Pending")
    training_job.stop(mill.verbs, REGION, "second")
    state = mill.until_job("second", "Stopped").document["state"]
    assert "started" not in state

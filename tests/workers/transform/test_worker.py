"""The hosts of a transform job as real processes."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import BUCKET, KMEANS, Place, csv_bytes, recordio_bytes, start
from tests.workers.serve.pipelines import container
from tests.workers.serve.replicas import JSON, LINES, RECORDIO, put_model
from tidemill.spec.home import WorkerHome
from tidemill.spec.model import Container
from tidemill.spec.transform_job import Processing, TransformJob
from tidemill.workers.serve.answers import DEFAULT_ACCEPT
from tidemill.workers.transform.__main__ import main

ROWS = np.random.default_rng(3).normal(size=(60_000, 3)).astype(np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def job(place: Place, **changes: Any) -> TransformJob:
    settings = {"content_type": "text/csv", "accept": "text/csv", "split": "Line"}
    return TransformJob(
        "job",
        "arn",
        "us-east-1",
        "model",
        Container(KMEANS, put_model(place)),
        f"s3://{BUCKET}/in/",
        changes.pop("output_uri", f"s3://{BUCKET}/out/"),
        **{**settings, "assemble": "Line", "processing": Processing(join=True), **changes},
    )


def home(place: Place, asked: TransformJob, host: str = "algo-1") -> WorkerHome:
    shared = place.root / "shared"
    shared.mkdir(exist_ok=True)
    task = {
        "kind": "transform",
        "job": asdict(asked),
        "host": host,
        "hosts": [f"algo-{i + 1}" for i in range(asked.instances)],
        "shared": str(shared),
    }
    return place.write_task(place.home(host), task)


def run(place: Place, asked: TransformJob) -> list[str]:
    """Run a job of one host in this process; the failures that it told."""
    where = home(place, asked)
    assert main(where.root) == 0, where.failure.read_text()
    events = [json.loads(line) for line in where.events.read_text().splitlines()]
    return [e["message"] for e in events if e.get("name") == "failure"]


def outputs(place: Place, prefix: str = "out/") -> dict[str, bytes]:
    buckets = place.buckets
    return {o.key: buckets.get_bytes(BUCKET, o.key) for o in buckets.list(BUCKET, prefix)}


def test_an_object_with_a_record_that_fails_has_no_output_and_the_others_have(
    place: Place,
) -> None:
    place.put("in/a.csv", b"1,2,3\n")
    place.put("in/b/c.csv", b"1,2,3\n1,2\n")
    place.put("in/d.csv", b"10,0,0\n0,20,0\n")
    [failure] = run(place, job(place))
    assert failure.startswith("ClientError: 1 of 3 objects of algo-1 have no output")
    assert "s3://mill/in/b/c.csv" in failure
    found = outputs(place)
    assert sorted(found) == ["out/a.csv.out", "out/d.csv.out"]
    lines = found["out/d.csv.out"].splitlines()
    assert [line.rsplit(b",", 2)[0] for line in lines] == [b"10,0,0", b"0,20,0"]


def test_a_pipeline_answers_in_turn_a_line_a_row(place: Place) -> None:
    steps = tuple(container(place, each, accept=LINES) for each in ("pca", "linear-learner"))
    place.put("in/a.csv", b"1,2,3,4\n0,7,9,0\n")
    place.put("in/b.csv", b"1,2,3\n")
    asked = job(place, containers=steps, environment={DEFAULT_ACCEPT: JSON})
    asked = replace(asked, container=steps[0], processing=Processing())
    [failure] = run(place, asked)
    assert "s3://mill/in/b.csv" in failure
    assert outputs(place) == {"out/a.csv.out": b"5.5\n-18.5\n"}


def test_gzip_and_manifests_are_read_and_outputs_may_lie_beside_the_inputs(place: Place) -> None:
    place.put("in/x/a.csv.gz", gzip.compress(b"1,2,3\n"))
    place.put("in/not-listed", b"")
    manifest = place.put("list.manifest", b'[{"prefix": "s3://mill/in/"}, "x/a.csv.gz"]')
    asked = job(place, output_uri=f"s3://{BUCKET}/in", compression="Gzip")
    asked = replace(asked, input_uri=manifest, data_type="ManifestFile")
    assert run(place, asked) == []
    assert list(outputs(place, "in/x/")) == ["in/x/a.csv.gz", "in/x/a.csv.gz.out"]


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_recordio_is_answered_as_csv_is(place: Place, strategy: str) -> None:
    rows = np.array([[1, 2, 3], [10, 1, 0], [0, 19, 0]], np.float32)
    place.put("in/rows", recordio_bytes(rows))
    plain: dict[str, Any] = {"processing": Processing(), "strategy": strategy}
    asked = job(place, content_type=RECORDIO, split="RecordIO", accept="text/csv", **plain)
    assert run(place, asked) == []
    lines = outputs(place)["out/rows.out"].splitlines()
    assert [float(line.split(b",")[0]) for line in lines] == [0, 1, 2]


def test_json_lines_are_joined_with_the_models_answers(place: Place) -> None:
    place.put("in/rows", b'{"features":[10,1,0]}\n{"features":[0,19,0]}\n')
    lines = {"content_type": LINES, "accept": LINES}
    wanted = Processing(join=True, output_filter="$.SageMakerOutput")
    assert run(place, job(place, processing=wanted, **lines)) == []
    found = [json.loads(line) for line in outputs(place)["out/rows.out"].splitlines()]
    assert [one["closest_cluster"] for one in found] == [1, 2]


def test_a_bucket_that_is_not_there_is_said_before_anything_is_read(place: Place) -> None:
    where = home(place, job(place, output_uri="s3://nowhere/out"))
    assert main(where.root) == 1
    assert where.failure.read_text().startswith("ClientError")


def done(place: Place, where: WorkerHome) -> dict[str, int]:
    """The outputs that a host has ticked off, and when they were put."""
    file = where.root / "done"
    names = [json.loads(line)[2] for line in file.read_text().splitlines()] if file.exists() else []
    return {n: place.buckets.head(BUCKET, f"out/{n}.out").modified for n in names}


def until_one_more(process: subprocess.Popen[bytes], where: WorkerHome) -> None:
    """Wait until a host ticks off an output, or ends."""
    file = where.root / "done"
    before = file.read_bytes() if file.exists() else b""
    while process.poll() is None and not (file.exists() and file.read_bytes() != before):
        time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.serial
def test_killed_hosts_go_on_with_what_has_no_output_and_write_the_same_bytes(
    tmp_path: Path,
) -> None:
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    for i, part in enumerate(np.array_split(ROWS, 12)):
        for each in (whole, place):
            each.put(f"in/{i:02}", csv_bytes(part))
    assert run(whole, job(whole, strategy="SingleRecord")) == []
    asked = job(place, instances=2, strategy="SingleRecord")
    homes = [home(place, asked, f"algo-{i}") for i in (1, 2)]
    kills = 0
    finished: dict[str, int] = {}
    while left := [where for where in homes if not where.exit.exists()]:
        processes = [start("transform", where) for where in left]
        for process, where in zip(processes, left, strict=True):
            until_one_more(process, where)
            if process.poll() is None:
                process.kill()
                kills += 1
            process.wait(timeout=60)
        now = done(place, homes[0]) | done(place, homes[1])
        assert finished.items() <= now.items(), "what was finished was not made again"
        finished = now
    assert kills >= 2
    assert len(finished) == 12
    assert outputs(place) == outputs(whole)

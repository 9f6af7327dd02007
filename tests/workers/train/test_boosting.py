"""Jobs of xgboost: lines in the log, the library's own file, validation, several hosts, kills."""

from __future__ import annotations

import io
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import (
    BUCKET,
    Place,
    csv_bytes,
    events,
    exit_of,
    job,
    start,
    train,
    train_here,
)
from tidemill.artifact import archive
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob

xgb = pytest.importorskip("xgboost")
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
DICE = np.random.default_rng(5)
ROWS = DICE.normal(size=(4000, 6)).astype(np.float32).round(3)
LABELS = (ROWS[:, 0] * ROWS[:, 1] + ROWS[:, 2] + DICE.logistic(size=4000) * 0.3 > 0).astype("f4")
TABLE = np.column_stack([LABELS, ROWS])
ASKED = {"num_round": 8, "objective": "binary:logistic", "eval_metric": "auc", "nthread": 1}


def channel(name: str, prefix: str, content_type: str = "text/csv", **more: Any) -> Channel:
    return Channel(name, f"s3://{BUCKET}/{prefix}", content_type=content_type, **more)


def booster_of(place: Place, tmp_path: Path, name: str = "job") -> bytes:
    place_of = tmp_path / f"artifact-{name}"
    archive.extract(place.artifact(name), place_of)
    return (place_of / "xgboost-model").read_bytes()


def direct(rows: slice = slice(0, 3000), rounds: int = 8) -> bytes:
    settings = {"objective": "binary:logistic", "eval_metric": ["auc"], "nthread": 1}
    matrix = xgb.DMatrix(ROWS[rows], LABELS[rows])
    return bytes(xgb.train(settings, matrix, rounds).save_raw("ubj"))


def run(place: Place, asked: TrainingJob) -> WorkerHome:
    """In a home without what an earlier job has left."""
    shutil.rmtree(place.root / "home", ignore_errors=True)
    return train_here(place, asked)


def log_of(home: WorkerHome) -> str:
    return home.log.read_text() if home.log.exists() else ""


def test_a_job_tells_every_round_and_leaves_the_librarys_own_file(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.put("train/rows", csv_bytes(TABLE[:3000]))
    place.put("held/rows", csv_bytes(TABLE[3000:]))
    channels = [channel("train", "train/"), channel("validation", "held/")]
    home = run(place, job(IMAGE, ASKED, channels))
    assert exit_of(home) == {"code": 0}, log_of(home)
    lines = re.findall(r"^\[\d+\]#011train-auc:\S+#011validation-auc:\S+$", log_of(home), re.M)
    assert len(lines) == 8
    metrics = [(e.name, e.value) for e in events(home, "metric")]
    assert [name for name, _ in metrics].count("validation:auc") == 8
    assert ("train:auc", float(lines[-1].split("#011")[1].split(":")[1])) in metrics
    assert booster_of(place, tmp_path) == direct()
    assert not (home.root / "scratch").exists()


def test_libsvm_is_what_a_channel_holds_that_does_not_say(tmp_path: Path) -> None:
    place = Place(tmp_path)
    sparse = np.where(np.abs(ROWS) < 0.5, 0, ROWS)

    def lines(rows: slice) -> bytes:
        return "".join(
            f"{label:g} " + " ".join(f"{i}:{v}" for i, v in enumerate(row) if v) + "\n"
            for label, row in zip(LABELS[rows], sparse[rows], strict=True)
        ).encode()

    place.put("train/a", lines(slice(0, 3000)))
    narrow = b"1 0:0.5 3:-1\n0 1:2\n"
    place.put("held/a", narrow)
    no_type = {"content_type": ""}
    channels = [channel("train", "train/", **no_type), channel("validation", "held/", **no_type)]
    home = run(place, job("xgboost", ASKED, channels))
    assert exit_of(home) == {"code": 0}, log_of(home)
    place.put("wide/a", b"1 0:0.5 9:-1\n0 1:2\n")
    channels = [channel("train", "train/", **no_type), channel("validation", "wide/", **no_type)]
    home = run(place, job("xgboost", ASKED, channels, name="wide"))
    assert "rows must have 6 features, as those that were trained on; got '10 features'" in (
        home.failure.read_text()
    )


def test_missing_values_are_empty_cells_and_labels_must_be_there(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.put("train/a", b"1,,2\n0,1,\n" * 50)
    home = run(place, job("xgboost", ASKED, [channel("train", "train/")]))
    assert exit_of(home) == {"code": 0}, log_of(home)
    place.put("train/a", b"1,,2\n,1,3\n" * 50)
    home = run(place, job("xgboost", ASKED, [channel("train", "train/")], name="bad"))
    assert "row 2: label must be a finite number" in home.failure.read_text()


def test_a_job_goes_on_from_another_with_new_rows_or_makes_a_shorter_model(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.put("train/rows", csv_bytes(TABLE[:2000]))
    place.put("more/rows", csv_bytes(TABLE[2000:3000]))
    run(place, job(IMAGE, ASKED, [channel("train", "train/")], name="first"))
    earlier = channel("model", "out/first/output/model.tar.gz", "application/x-sagemaker-model")
    later = job(IMAGE, {**ASKED, "num_round": 4}, [earlier, channel("train", "more/")], name="more")
    assert exit_of(run(place, later)) == {"code": 0}
    settings = {"objective": "binary:logistic", "eval_metric": ["auc"], "nthread": 1}
    new = xgb.DMatrix(ROWS[2000:3000], LABELS[2000:3000])
    first = direct(slice(0, 2000))
    wanted = xgb.train(settings, new, 4, xgb_model=bytearray(first))
    assert booster_of(place, tmp_path, "more") == bytes(wanted.save_raw("ubj"))
    shorter = job(IMAGE, {**ASKED, "num_round": 3}, [earlier], name="short")
    assert exit_of(run(place, shorter)) == {"code": 0}
    found = xgb.Booster(model_file=bytearray(booster_of(place, tmp_path, "short")))
    assert found.num_boosted_rounds() == 3


@pytest.mark.slow
def test_hosts_that_share_the_rows_leave_the_model_of_all(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for part in range(3):
        place.put(f"train/{part}", csv_bytes(TABLE[part * 1000 : part * 1000 + 1000]))
    place.put("held/rows", csv_bytes(TABLE[3000:]))
    shared = channel("train", "train/", distribution="ShardedByS3Key")
    asked = job(IMAGE, ASKED, [shared, channel("validation", "held/")], instances=2)
    home = train(place, asked)
    assert exit_of(home) == {"code": 0}, log_of(home)
    settings = {"objective": "binary:logistic", "eval_metric": ["auc"], "nthread": 1}
    order = np.r_[0:1000, 2000:3000, 1000:2000]
    wanted = xgb.train(settings, xgb.DMatrix(ROWS[order], LABELS[order]), 8)
    assert booster_of(place, tmp_path) == bytes(wanted.save_raw("ubj"))


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize(
    ("rounds", "subsample", "most"),
    [pytest.param(250, 1, 2, marks=pytest.mark.long), (150, 0.8, 1)],
)
def test_a_job_killed_amid_its_rounds_ends_in_the_same_bytes(
    tmp_path: Path, rounds: int, subsample: float, most: int
) -> None:
    rows = np.tile(TABLE, (50, 1)) + DICE.normal(size=(200_000, 7)).astype("f4") * 0.01
    rows[:, 0] = np.tile(LABELS, 50)
    npy = io.BytesIO()
    np.save(npy, rows)
    asked = job(
        IMAGE,
        {**ASKED, "eval_metric": "logloss", "num_round": rounds, "subsample": subsample},
        [channel("train", "train/", "application/x-npy", shuffle_seed=3)],
    )
    calm, rough = Place(tmp_path / "calm"), Place(tmp_path / "rough")
    for place in (calm, rough):
        place.put("train/rows", npy.getvalue())
    assert exit_of(train(calm, asked)) == {"code": 0}
    home, kills = rough.train_task(asked, checkpoint_seconds=0.02), 0
    while not home.exit.exists():
        process = start("train", home)
        told = log_of(home).count("\n[")
        while process.poll() is None:
            if kills < most and log_of(home).count("\n[") > told + 60:
                process.kill()
                kills += 1
                process.wait()
            time.sleep(0.01)
    assert exit_of(home) == {"code": 0}, log_of(home)
    assert kills == most
    assert log_of(home).count("Resuming from a checkpoint") == most
    assert rough.artifact() == calm.artifact()

"""Whatever is wrong with a job, its failure names it and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    exit_of,
    job,
    recordio_bytes,
    start,
    train_here,
)
from tidemill.spec.channel import Channel
from tidemill.spec.training_job import MetricDefinition

ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)
BINARY = {"predictor_type": "binary_classifier", "epochs": 1, "num_models": 1}
PLAIN = {"k": 2, "feature_dim": 4}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def failure(
    place: Place,
    image: str,
    hyperparameters: Mapping[str, object],
    channels: list[Channel],
    **more: Any,
) -> str:
    """Run it, see that it failed properly, and give its words."""
    home = train_here(place, job(image, hyperparameters, channels, **more))
    assert exit_of(home) == {"code": 1}
    said = home.failure.read_text()
    assert said.startswith("ClientError: "), said
    assert said in home.log.read_text()
    assert "Traceback" not in home.log.read_text()
    return said


def on(place: Place, data: bytes, content_type: str | None = None, key: str = "in/rows") -> Channel:
    return Channel("train", place.put(key, data), content_type=content_type)


def test_no_train_channel(place: Place) -> None:
    uri = place.put("in/rows", recordio_bytes(ROWS))
    said = failure(place, KMEANS, PLAIN, [Channel("test", uri)])
    assert "channel 'train' is required" in said
    assert "InputDataConfig" in said


def test_a_channel_that_the_algorithm_does_not_know(place: Place) -> None:
    uri = place.put("in/rows", recordio_bytes(ROWS))
    said = failure(place, KMEANS, PLAIN, [Channel("train", uri), Channel("rows", uri)])
    assert "train, test, model; got 'rows'" in said


def test_no_objects(place: Place) -> None:
    place.put("in/rows", b"")
    said = failure(place, KMEANS, PLAIN, [Channel("train", "s3://mill/nothing/")])
    assert 'No S3 objects found under S3 URL "s3://mill/nothing/"' in said


def test_an_empty_object(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN, [on(place, b"")])
    assert "channel 'train'" in said


def test_fewer_rows_than_clusters(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN | {"k": 11}, [on(place, recordio_bytes(ROWS))])
    assert "k = 11" in said
    assert "10 rows" in said


@pytest.mark.parametrize("content_type", ["image/png", "text/libsvm", "application/json"])
def test_a_content_type_that_is_not_read(place: Place, content_type: str) -> None:
    said = failure(place, KMEANS, PLAIN, [on(place, b"1,2,3,4\n", content_type)])
    assert repr(content_type) in said
    assert "text/csv" in said


def test_csv_sent_as_recordio(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN, [on(place, b"1,2,3,4\n" * 9)])
    assert "channel 'train'" in said
    assert "rows" in said  # the file


def test_recordio_sent_as_csv(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN, [on(place, recordio_bytes(ROWS), "text/csv;label_size=0")])
    assert "channel 'train'" in said


def test_a_truncated_recordio(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN, [on(place, recordio_bytes(ROWS)[:-5])])
    assert "channel 'train': rows, record 10" in said


def test_ragged_csv(place: Place) -> None:
    data = b"1,2,3,4\n5,6,7,8\n1,2,3\n"
    said = failure(place, KMEANS, PLAIN, [on(place, data, "text/csv;label_size=0")])
    assert "channel 'train': rows, row 3" in said
    assert "4 columns" in said


def test_a_word_in_csv(place: Place) -> None:
    data = b"1,2,3,4\n5,six,7,8\n"
    said = failure(place, KMEANS, PLAIN, [on(place, data, "text/csv;label_size=0")])
    assert "row 2, column 2" in said
    assert "'six'" in said


@pytest.mark.parametrize("label", ["nan", "NaN", "inf"])
def test_a_label_that_is_no_number(place: Place, label: str) -> None:
    data = f"0,1,2\n1,3,4\n{label},5,6\n".encode()
    said = failure(place, LINEAR, BINARY, [on(place, data, "text/csv")])
    assert "channel 'train'" in said
    assert "label" in said
    assert "row 3" in said


def test_a_label_that_the_predictor_cannot_have(place: Place) -> None:
    data = b"0,1,2\n7,3,4\n"
    said = failure(place, LINEAR, BINARY, [on(place, data, "text/csv")])
    assert "7" in said
    assert "channel 'train'" in said


def test_features_of_another_width(place: Place) -> None:
    said = failure(place, KMEANS, PLAIN | {"feature_dim": 7}, [on(place, recordio_bytes(ROWS))])
    assert "7 features" in said
    assert "4 features" in said


def test_a_test_channel_of_another_width_is_named(place: Place) -> None:
    train_channel = on(place, recordio_bytes(ROWS))
    test_channel = Channel("test", place.put("test/rows", recordio_bytes(ROWS[:, :3])))
    said = failure(place, KMEANS, PLAIN, [train_channel, test_channel])
    assert said.startswith("ClientError: channel 'test'")


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        (PLAIN | {"k": 0}, ("k must be", "of at least 1", "got 0")),
        (PLAIN | {"k": "many"}, ("k must be", "'many'")),
        (PLAIN | {"kk": 3}, ("'kk'", "Did you mean 'k'?")),
        ({"feature_dim": 3}, ("k is required",)),
        (PLAIN | {"init_method": "best"}, ("init_method", "kmeans++", "'best'")),
    ],
)
def test_a_hyperparameter_that_cannot_be(
    place: Place, hyperparameters: dict[str, object], words: tuple[str, ...]
) -> None:
    said = failure(place, KMEANS, hyperparameters, [on(place, recordio_bytes(ROWS))])
    assert [w for w in words if w not in said] == []


def test_what_the_sdk_sends_beside_is_passed_over(place: Place) -> None:
    sent = PLAIN | {"_tuning_objective_metric": "test:msd", "force_dense": "True"}
    home = train_here(place, job(KMEANS, sent, [on(place, recordio_bytes(ROWS))]))
    assert exit_of(home) == {"code": 0}


@pytest.mark.parametrize("place_of", ["output_uri", "checkpoint_uri"])
def test_a_bucket_to_write_to_that_does_not_exist_is_told_before_training(
    place: Place, place_of: str
) -> None:
    asked = job(KMEANS, PLAIN, [on(place, recordio_bytes(ROWS))])
    places: dict[str, Any] = {place_of: "s3://no-such-bucket/out"}
    home = train_here(place, replace(asked, **places))
    assert exit_of(home) == {"code": 1}
    assert "no-such-bucket" in home.failure.read_text()
    assert home.failure.read_text().startswith("ClientError: ")
    assert "#progress_metric" not in home.log.read_text()


def test_a_metric_definition_that_is_no_expression(place: Place) -> None:
    broken = [MetricDefinition("mine", "(")]
    said = failure(place, KMEANS, PLAIN, [on(place, recordio_bytes(ROWS))], metrics=broken)
    assert "metric definition 'mine'" in said


def test_an_image_that_is_not_ours(place: Place) -> None:
    said = failure(place, "1.dkr.ecr.x.amazonaws.com/kmean:1", PLAIN, [on(place, b"1")])
    assert "Did you mean 'kmeans'?" in said


def test_an_object_that_cannot_be_read(place: Place) -> None:
    channel = on(place, recordio_bytes(ROWS))
    path = place.buckets.path("mill", "in/rows")
    path.unlink()
    path.mkdir()
    said = failure(place, KMEANS, PLAIN, [channel])
    assert "'train'" in said


def test_a_task_that_makes_no_sense_is_our_fault(place: Place) -> None:
    home = place.write_task(place.home(), {"kind": "train"})
    assert start("train", home).wait(timeout=20) == 1
    assert home.failure.read_text().startswith("AlgorithmError: KeyError: 'job'")
    assert exit_of(home) == {"code": 1}

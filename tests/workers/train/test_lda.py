"""Jobs of lda: the documented metric, several hosts, new documents, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.algorithms.lda_documents import errors, grid
from tests.workers.places import (
    Place,
    csv_bytes,
    events,
    exit_of,
    job,
    recordio_bytes,
    train,
    train_here,
)
from tidemill.algorithms.lda.model import LdaModel
from tidemill.artifact.archive import MODEL, extract
from tidemill.artifact.codec import from_bytes
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob

LDA = "266724342769.dkr.ecr.us-west-2.amazonaws.com/lda:1"
TOPICS, ROWS = grid(3000)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def topics(
    *channels: Channel, instances: int = 1, name: str = "job", **more: object
) -> TrainingJob:
    asked = {"num_topics": 5, "feature_dim": 9, "mini_batch_size": 3000, **more}
    return job(LDA, asked, channels, instances=instances, name=name)


def model_of(place: Place, name: str = "job") -> LdaModel:
    directory = place.root / "opened" / name
    extract(place.artifact(name), directory)
    return from_bytes(LdaModel, (directory / MODEL).read_bytes())


def metrics(home: WorkerHome) -> dict[str, float]:
    return {e.name: e.value for e in events(home, "metric") if e.name and e.value is not None}


@pytest.mark.parametrize("epochs", [0, 3])
def test_a_job_finds_the_topics_and_tells_how_well_they_explain_the_test_channel(
    place: Place, epochs: int
) -> None:
    uri = place.put("in/train.csv", csv_bytes(ROWS[:2500]))
    probe = place.put("in/test.csv", csv_bytes(ROWS[2500:]))
    channels = [Channel("train", uri, content_type="text/csv")]
    channels += [Channel("test", probe, content_type="text/csv")]
    home = train_here(place, topics(*channels, epochs=epochs))
    assert exit_of(home) == {"code": 0}, home.failure.read_text()
    assert errors(TOPICS, model_of(place).beta).max() < 0.1
    assert -2.0 < metrics(home)["test:pwll"] < -1.5


def test_recordio_is_read_as_csv_is(place: Place) -> None:
    models = []
    for name, data, content_type in (
        ("csv", csv_bytes(ROWS), "text/csv"),
        ("recordio", recordio_bytes(ROWS), "application/x-recordio-protobuf"),
    ):
        other = Place(place.root / name)
        channel = Channel("train", other.put("in/rows", data), content_type=content_type)
        train_here(other, topics(channel))
        models.append(model_of(other))
    np.testing.assert_array_equal(models[0].beta, models[1].beta)


def test_two_hosts_make_the_plain_model_of_one(place: Place) -> None:
    models = []
    for hosts in (1, 2):
        other = Place(place.root / str(hosts))
        for part in range(4):
            other.put(f"in/{part}.csv", csv_bytes(ROWS[part::4]))
        channel = Channel(
            "train", "s3://mill/in/", content_type="text/csv", distribution="ShardedByS3Key"
        )
        home = train(other, topics(channel, instances=hosts, epochs=0))
        assert exit_of(home) == {"code": 0}
        models.append(model_of(other))
    assert_allclose(models[0].beta, models[1].beta, atol=1e-4)
    assert_allclose(models[0].alpha, models[1].alpha, atol=1e-4)


def test_a_job_goes_on_with_new_documents_or_makes_a_smaller_model_of_none(place: Place) -> None:
    first = Channel("train", place.put("in/a.csv", csv_bytes(ROWS[:500])), content_type="text/csv")
    train_here(place, topics(first))
    earlier = Channel(
        "model",
        "s3://mill/out/job/output/model.tar.gz",
        content_type="application/x-sagemaker-model",
    )
    more = Channel("train", place.put("in/b.csv", csv_bytes(ROWS[500:])), content_type="text/csv")
    for name, channels, wanted in (("more", (earlier, more), 5), ("fewer", (earlier,), 3)):
        other = Place(place.root / name)
        other.root.mkdir()
        (other.root / "s3").symlink_to(place.root / "s3")
        home = train_here(other, topics(*channels, name=name, num_topics=wanted))
        assert exit_of(home) == {"code": 0}, home.failure.read_text()
        model = model_of(place, name)
        assert model.beta.shape == (wanted, 9)
        assert name == "fewer" or errors(TOPICS, model.beta).max() < 0.1


def test_a_negative_count_fails_the_job_and_is_named(place: Place) -> None:
    rows = ROWS[:100].copy()
    rows[41, 6] = -3
    channel = Channel("train", place.put("in/rows.csv", csv_bytes(rows)), content_type="text/csv")
    home = train_here(place, topics(channel))
    assert exit_of(home)["code"] == 1
    failure = home.failure.read_text()
    assert failure.startswith("ClientError: channel 'train': lda: row 42, feature 7: must be")
    assert "got -3.0" in failure

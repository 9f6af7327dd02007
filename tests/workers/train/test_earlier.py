"""A job goes on from an earlier one's artifact: new rows only, or none at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.workers.places import KMEANS, LINEAR, Place, exit_of, job, recordio_bytes, train_here
from tidemill import registry
from tidemill.artifact.archive import MODEL, STATE, extract, pack
from tidemill.artifact.codec import from_bytes
from tidemill.spec.channel import Channel
from tidemill.spec.training_job import TrainingJob

DICE = np.random.default_rng(3)
CENTRES = np.array([[0, 0], [9, 0], [0, 9], [9, 9]], np.float32)
ROWS = (CENTRES[DICE.integers(0, 4, 800)] + DICE.normal(size=(800, 2))).astype(np.float32)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def clusters(*channels: Channel, name: str = "job", k: int = 4) -> TrainingJob:
    return replace(job(KMEANS, {"k": k, "feature_dim": 2}, channels), name=name)


def first(place: Place) -> str:
    """An artifact from half the rows; its URI."""
    uri = place.put("in/first.pbr", recordio_bytes(ROWS[:400]))
    home = train_here(place, clusters(Channel("train", uri)))
    assert exit_of(home) == {"code": 0}
    return "s3://mill/out/job/output/model.tar.gz"


def again(place: Place, training: TrainingJob) -> Place:
    """Run on a fresh home beside the first one's, over the same S3."""
    other = Place(place.root / "again")
    (place.root / "again").mkdir()
    (place.root / "again" / "s3").symlink_to(place.root / "s3")
    home = train_here(other, training)
    assert exit_of(home) == {"code": 0}, home.failure.read_text()
    return other


def centres(place: Place, name: str) -> np.ndarray:
    directory = place.root / "opened" / name
    manifest = extract(place.artifact(name), directory)
    assert set(manifest.files) == {MODEL, STATE}
    model = from_bytes(registry.declaration("kmeans").model, (directory / MODEL).read_bytes())
    found: np.ndarray = model.centres[np.lexsort(model.centres.round().T)]
    return found


def test_a_job_goes_on_with_new_rows(place: Place) -> None:
    earlier = Channel("model", first(place), content_type="application/x-sagemaker-model")
    uri = place.put("in/second.pbr", recordio_bytes(ROWS[400:]))
    other = again(place, clusters(Channel("train", uri), earlier, name="second"))
    wanted = CENTRES[np.lexsort(CENTRES.T)]
    np.testing.assert_allclose(centres(other, "second"), wanted, atol=0.3)


def test_a_model_of_other_hyperparameters_needs_no_rows(place: Place) -> None:
    earlier = Channel("model", first(place))
    test = Channel("test", place.put("in/test.pbr", recordio_bytes(ROWS[400:])))
    other = again(place, clusters(earlier, test, name="fewer", k=2))
    assert centres(other, "fewer").shape == (2, 2)


def test_without_rows_and_without_changes_the_model_is_the_same(place: Place) -> None:
    earlier = Channel("model", first(place))
    other = again(place, clusters(earlier, name="same"))
    np.testing.assert_array_equal(centres(other, "same"), centres(place, "job"))


def test_the_unpacked_files_of_an_artifact_do_as_well(place: Place) -> None:
    first(place)
    directory = place.root / "unpacked"
    extract(place.artifact("job"), directory)
    for path in directory.iterdir():
        place.put(f"unpacked/{path.name}", path.read_bytes())
    again(place, clusters(Channel("model", "s3://mill/unpacked/"), name="same"))


def failure(place: Place, training: TrainingJob) -> str:
    other = Place(place.root / "again")
    (place.root / "again").mkdir()
    (place.root / "again" / "s3").symlink_to(place.root / "s3")
    home = train_here(other, training)
    assert exit_of(home) == {"code": 1}
    return home.failure.read_text()


def test_a_model_of_another_algorithm_is_refused(place: Place) -> None:
    uri = place.put("in/second.pbr", recordio_bytes(ROWS, np.zeros(len(ROWS), np.float32)))
    channels = [Channel("train", uri), Channel("model", first(place))]
    linear = job(LINEAR, {"predictor_type": "regressor"}, channels)
    message = failure(place, linear)
    assert message.startswith("ClientError: ")
    assert "a model of linear-learner" in message
    assert "one of kmeans" in message


def test_an_artifact_without_a_state_says_so(place: Place) -> None:
    uri = place.put("in/model.tar.gz", pack("kmeans", {}, {MODEL: b"x"}))
    assert "state.safetensors" in failure(place, clusters(Channel("model", uri)))


def test_rows_of_another_width_are_refused(place: Place) -> None:
    wide = place.put("in/wide.pbr", recordio_bytes(np.ones((50, 3), np.float32)))
    channels = [Channel("train", wide), Channel("model", first(place))]
    message = failure(place, job(KMEANS, {"k": 4, "feature_dim": 3}, channels))
    assert message.startswith("ClientError: ")
    assert "feature_dim" in message


def test_damage_is_a_client_error(place: Place) -> None:
    uri = place.put("in/model.tar.gz", b"not an archive")
    assert failure(place, clusters(Channel("model", uri))).startswith("ClientError: ")


def test_neither_rows_nor_a_model_is_refused(place: Place) -> None:
    uri = place.put("in/test.pbr", recordio_bytes(ROWS))
    message = failure(place, clusters(Channel("test", uri)))
    assert "'train' is required" in message

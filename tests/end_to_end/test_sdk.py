"""The Python SDK on a real platform: train, watch, deploy, predict, delete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from botocore.exceptions import ClientError
from sklearn.datasets import load_breast_cancer

import tidemill
from tests.end_to_end.conftest import Platform
from tidemill.errors import Invalid, InvalidHyperparameter, NotFound, NotReady
from tidemill.sdk.endpoint import Endpoint
from tidemill.sdk.training_job import JobFailed, TrainingJob

pytestmark = pytest.mark.slow
POINTS = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def job(platform: Platform) -> TrainingJob:
    return tidemill.train(
        "kmeans",
        POINTS,
        test=POINTS,
        k=5,
        eval_metrics=["msd", "ssd"],
        connection=platform.connection,
    ).wait(quiet=True)


@pytest.fixture(scope="module")
def endpoint(job: TrainingJob) -> Endpoint:
    return tidemill.deploy(job)


def test_a_finished_job_tells_its_metrics_and_where_its_model_is(job: TrainingJob) -> None:
    assert job.status == "Completed"
    assert job.metrics["test:msd"] == pytest.approx(job.metrics["test:ssd"] / 600, rel=1e-3)
    assert job.artifact.endswith(f"{job.name}/output/model.tar.gz")


def test_a_job_names_its_stages_in_order(job: TrainingJob) -> None:
    stages = [t["Status"] for t in job.describe()["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_logs_hold_the_documented_lines(job: TrainingJob) -> None:
    lines = list(job.logs(follow=True))
    assert any("#quality_metric: host=algo-1, test msd <loss>=" in line for line in lines)


def test_arrays_frames_lists_and_files_get_the_same_answers(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", POINTS)
    pd.DataFrame(POINTS).to_csv(tmp_path / "rows.csv", header=False, index=False)
    wanted = endpoint.predict(POINTS)
    assert set(wanted) == {"closest_cluster", "distance_to_cluster"}
    sources = [POINTS.tolist(), pd.DataFrame(POINTS), tmp_path / "rows.npy", tmp_path / "rows.csv"]
    for source in sources:
        got = endpoint.predict(source)
        np.testing.assert_array_equal(got["closest_cluster"], wanted["closest_cluster"])
        np.testing.assert_allclose(
            got["distance_to_cluster"], wanted["distance_to_cluster"], rtol=1e-4
        )


def test_more_rows_than_a_request_may_hold_go_out_in_several(endpoint: Endpoint) -> None:
    many = np.tile(POINTS, (1_000, 1))
    assert len(endpoint.predict(many)["closest_cluster"]) == len(many)


def test_a_frame_with_a_label_column_trains_a_classifier(platform: Platform) -> None:
    frame = load_breast_cancer(as_frame=True).frame
    job = tidemill.train(
        "linear-learner",
        frame[:400],
        test=frame[400:],
        label="target",
        predictor_type="binary_classifier",
        mini_batch_size=50,
        connection=platform.connection,
    ).wait(quiet=True)
    assert job.metrics["test:binary_classification_accuracy"] > 0.9


def test_two_workers_share_the_rows_and_make_one_model(platform: Platform, tmp_path: Path) -> None:
    for shard in range(4):
        np.save(tmp_path / f"{shard}.npy", POINTS[shard::4])
    job = tidemill.train("kmeans", tmp_path, k=3, instances=2, connection=platform.connection).wait(
        quiet=True
    )
    assert job.status == "Completed"
    assert sum("algo-2" in line for line in job.logs()) > 0


def test_other_models_are_made_of_a_jobs_state_without_its_data(job: TrainingJob) -> None:
    fewer = job.state.finalize(k=2)
    assert fewer.status == "Completed"
    assert [c["ChannelName"] for c in fewer.describe()["InputDataConfig"]] == ["model"]
    endpoint = tidemill.deploy(fewer)
    found = set(endpoint.predict(POINTS)["closest_cluster"].tolist())
    endpoint.delete()
    assert found == {0, 1}
    with pytest.raises(JobFailed, match="at most"):
        job.state.finalize(k=2000)


def test_a_job_goes_on_from_an_earlier_one_with_new_rows(job: TrainingJob) -> None:
    later = tidemill.train("kmeans", POINTS[:40], model=job, connection=job.connection).wait()
    before, after = job.describe()["HyperParameters"], later.describe()["HyperParameters"]
    assert after == before
    assert any("Going on from the model" in line for line in later.logs())


def test_a_stopped_job_keeps_what_it_learned(platform: Platform) -> None:
    rows = np.random.default_rng(0).normal(size=(100_000, 50)).astype(np.float32)
    job = tidemill.train(
        "linear-learner",
        (rows, rows[:, 0]),
        predictor_type="regressor",
        epochs=2_000,
        early_stopping_patience=5_000,
        connection=platform.connection,
    )
    while job.describe()["SecondaryStatus"] != "Training":
        pass
    job.stop()
    assert job.wait(quiet=True, timeout=60).status == "Stopped"
    assert tidemill.deploy(job).status == "InService"


def test_a_wrong_hyperparameter_is_refused_before_anything_starts(platform: Platform) -> None:
    with pytest.raises(InvalidHyperparameter, match="k must be an integer of at least 1"):
        tidemill.train("kmeans", POINTS, k=0, connection=platform.connection)
    with pytest.raises(InvalidHyperparameter, match="Did you mean 'epochs'"):
        tidemill.train("kmeans", POINTS, k=2, epoch=1, connection=platform.connection)


def test_a_classifier_without_labels_is_refused_before_anything_starts(
    platform: Platform,
) -> None:
    with pytest.raises(Invalid, match="labels"):
        tidemill.train(
            "linear-learner", POINTS, predictor_type="regressor", connection=platform.connection
        )


def test_what_is_not_there_is_not_found(platform: Platform) -> None:
    with pytest.raises(NotFound, match="no-such-job"):
        TrainingJob("no-such-job", platform.connection).describe()
    with pytest.raises(NotFound, match="no-such-endpoint"):
        Endpoint("no-such-endpoint", platform.connection).describe()


def test_a_deleted_endpoint_is_gone(job: TrainingJob) -> None:
    endpoint = tidemill.deploy(job)
    endpoint.delete()
    names = {e["EndpointName"] for e in tidemill.endpoints(job.connection)}
    while endpoint.name in names:
        names = {e["EndpointName"] for e in tidemill.endpoints(job.connection)}
    with pytest.raises(NotFound):
        endpoint.describe()


def test_deleting_takes_what_is_still_there(job: TrainingJob) -> None:
    endpoint, client = tidemill.deploy(job), job.connection.client("sagemaker")
    client.delete_endpoint_config(EndpointConfigName=endpoint.name)
    endpoint.delete()
    assert endpoint.name not in {
        e["EndpointName"]
        for e in tidemill.endpoints(job.connection)
        if e["EndpointStatus"] != "Deleting"
    }


def test_a_deployment_that_is_refused_leaves_nothing_behind(job: TrainingJob) -> None:
    client = job.connection.client("sagemaker")
    endpoint = tidemill.deploy(job)
    client.delete_model(ModelName=endpoint.name)
    with pytest.raises(ClientError, match="already existing endpoint config"):
        tidemill.deploy(job, name=endpoint.name)
    assert client.list_models(NameContains=endpoint.name)["Models"] == []
    endpoint.delete()


@pytest.mark.parametrize("nothing", [None, np.zeros((0, 3)), np.zeros(5), "", []])
def test_nothing_to_learn_from_is_said_before_anything_starts(
    platform: Platform, nothing: object
) -> None:
    before = len(tidemill.jobs(platform.connection))
    with pytest.raises(Invalid):
        tidemill.train("kmeans", nothing, k=2, connection=platform.connection)
    assert len(tidemill.jobs(platform.connection)) == before


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 4)), [[1, 2], [3]], [["x", 1, 2, 3]]])
def test_nothing_to_ask_about_is_said_before_asking(endpoint: Endpoint, nothing: object) -> None:
    with pytest.raises(Invalid):
        endpoint.predict(nothing)


def test_a_job_without_a_model_yet_says_so(platform: Platform) -> None:
    job = tidemill.train("kmeans", POINTS, k=2, connection=platform.connection)
    with pytest.raises(NotReady, match=job.name):
        _ = job.artifact
    assert job.wait(quiet=True).artifact

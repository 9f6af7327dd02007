"""SageMaker's own estimator classes (SDK version 2) for the built-ins, each trained and asked.

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_algorithms.py
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sagemaker
from sagemaker import LDA, PCA, FactorizationMachines, KMeans, RandomCutForest
from sagemaker.amazon.knn import KNN
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
session = sagemaker.Session(default_bucket="sagemaker-examples")
WAITER = {"Delay": 1, "MaxAttempts": 120}
draw = np.random.default_rng(0)
rows = (draw.normal(size=(600, 6)) + draw.integers(0, 2, (600, 1)) * 6).astype("float32")
labels = (rows.mean(axis=1) > 3).astype("float32")
outlier = np.full((1, 6), 40, "float32")


def train(estimator: Any, records: Any, **fit: Any) -> None:
    """A finished training job."""
    estimator.fit(records, wait=False, logs=False, **fit)
    # boto3's waiters look once a second; the SDK's own look every half minute.
    session.sagemaker_client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=estimator.latest_training_job.name, WaiterConfig=WAITER
    )


def deploy(model: Any) -> Any:
    """A predictor of an endpoint in service."""
    predictor = model.deploy(1, "ml.m5.large", wait=False)
    session.sagemaker_client.get_waiter("endpoint_in_service").wait(
        EndpointName=predictor.endpoint_name, WaiterConfig=WAITER
    )
    return predictor


def answers(estimator: Any, records: Any, asked: np.ndarray, key: str, **fit: Any) -> np.ndarray:
    """What an endpoint of the trained estimator answers, as an array with a row for each row."""
    train(estimator, records, **fit)
    predictor = deploy(estimator)
    found = [list(r.label[key].float32_tensor.values) for r in predictor.predict(asked)]
    predictor.delete_model()
    predictor.delete_endpoint()
    return np.array(found)


def components() -> None:
    """PCA: the last column is the strongest component. Then clusters of what it makes of rows."""
    pca = PCA(ROLE, 1, "ml.m5.large", num_components=2, sagemaker_session=session)
    found = answers(pca, pca.record_set(rows), rows, "projection")
    assert found[:, -1].std() > found[:, 0].std()
    kmeans = KMeans(ROLE, 1, "ml.m5.large", k=2, sagemaker_session=session)
    train(kmeans, kmeans.record_set(found.astype("float32")))
    steps = [pca.create_model(env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})]
    steps.append(kmeans.create_model())
    pipeline = PipelineModel(steps, ROLE, predictor_cls=Predictor, sagemaker_session=session)
    predictor = deploy(pipeline)
    said = predictor.predict(
        "\n".join(",".join(map(str, row)) for row in rows[:50]),
        {"ContentType": "text/csv", "Accept": "text/csv"},
    )
    clusters = np.array([float(line.split(b",")[0]) for line in said.splitlines()])
    assert abs(np.corrcoef(clusters, labels[:50])[0, 1]) > 0.9
    predictor.delete_endpoint()


def neighbours() -> None:
    """k-NN: the label of the rows around."""
    knn = KNN(
        ROLE, 1, "ml.m5.large", k=5, sample_size=500, predictor_type="classifier",
        sagemaker_session=session,
    )  # fmt: skip
    found = answers(knn, knn.record_set(rows, labels=labels), rows[:50], "predicted_label")
    assert (found[:, 0] == labels[:50]).mean() > 0.95


def anomalies() -> None:
    """Random cut forest: what lies far off scores higher than anything else."""
    forest = RandomCutForest(ROLE, 1, "ml.m5.large", num_trees=50, sagemaker_session=session)
    found = answers(forest, forest.record_set(rows), np.concatenate([rows[:50], outlier]), "score")
    assert found.argmax() == 50


def factors() -> None:
    """Factorization machines: clicks, or not."""
    machine = FactorizationMachines(
        ROLE, 1, "ml.m5.large", num_factors=4, predictor_type="binary_classifier", epochs=20,
        linear_lr=0.05, factors_lr=0.05, mini_batch_size=100, sagemaker_session=session,
    )  # fmt: skip
    records = machine.record_set(rows, labels=labels)
    found = answers(machine, records, rows[:50], "predicted_label")
    assert (found[:, 0] == labels[:50]).mean() > 0.8


def topics() -> None:
    """LDA: how much of each topic is in a document."""
    counts = draw.poisson(np.where(labels[:, None] > 0, [4, 4, 4, 0, 0, 0], [0, 0, 0, 4, 4, 4]))
    lda = LDA(ROLE, "ml.m5.large", num_topics=2, sagemaker_session=session)
    documents = counts.astype("float32")
    found = answers(
        lda, lda.record_set(documents), documents[:50], "topic_mixture", mini_batch_size=600
    )
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4)


if __name__ == "__main__":
    each: list[Callable[[], None]] = [components, neighbours, anomalies, factors, topics]
    for ask in each:
        ask()
    print(f"{len(each)} of SageMaker's estimators trained and answered")

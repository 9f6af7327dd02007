"""The published SageMaker SDK (version 2) driving Tidemill: estimators, deploy, predict.

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_sdk.py
"""

import json

import numpy as np
import sagemaker
from sagemaker import image_uris
from sagemaker.amazon.kmeans import KMeans
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.iterators import LineIterator
from sagemaker.serializers import CSVSerializer

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
# A bucket named here spares the SDK a question to AWS's own STS, which no endpoint URL redirects.
session = sagemaker.Session(default_bucket="sagemaker-examples")
draw = np.random.default_rng(0)


def cluster() -> int:
    """KMeans on three blobs through the SDK's own estimator class; clusters found."""
    centres = np.array([[0, 0], [10, 0], [0, 10]])
    points = centres[draw.integers(0, 3, 2_000)] + draw.normal(size=(2_000, 2))
    kmeans = KMeans(ROLE, 1, "ml.m5.large", k=3, sagemaker_session=session)
    kmeans.fit(kmeans.record_set(points.astype("float32")), logs=False)
    predictor = kmeans.deploy(1, "ml.m5.large")
    records = predictor.predict(centres.astype("float32"))
    found = {r.label["closest_cluster"].float32_tensor.values[0] for r in records}
    predictor.delete_model()
    predictor.delete_endpoint()
    return len(found)


def classify() -> float:
    """Linear learner by its image, from CSV in S3, asked in CSV; accuracy."""
    features = draw.normal(size=(4_000, 5))
    labels = (features @ [1, -2, 3, 0, 0.5] > 0).astype(int)
    rows = "\n".join(
        f"{y},{','.join(f'{v:.5f}' for v in x)}" for x, y in zip(features, labels, strict=True)
    )
    uri = sagemaker.s3.S3Uploader.upload_string_as_file_body(
        rows, f"s3://{session.default_bucket()}/rows/rows.csv", sagemaker_session=session
    )
    estimator = Estimator(
        image_uris.retrieve("linear-learner", session.boto_region_name),
        ROLE,
        1,
        "ml.m5.large",
        sagemaker_session=session,
        hyperparameters={"predictor_type": "binary_classifier", "mini_batch_size": 200},
    )
    estimator.fit({"train": TrainingInput(uri, content_type="text/csv")}, logs=False)
    predictor = estimator.deploy(
        1, "ml.m5.large", serializer=CSVSerializer(), deserializer=JSONDeserializer()
    )
    answers = predictor.predict(features[:500])["predictions"]
    lines = predictor.predict_stream(  # as they are made
        features[:500], initial_args={"Accept": "application/jsonlines"}, iterator=LineIterator
    )
    assert [json.loads(line) for line in lines] == answers
    predictor.delete_model()
    predictor.delete_endpoint()
    return float(
        np.mean([a["predicted_label"] == y for a, y in zip(answers, labels[:500], strict=True)])
    )


if __name__ == "__main__":
    clusters, accuracy = cluster(), classify()
    assert clusters == 3
    assert accuracy > 0.95, accuracy
    print(f"{clusters} clusters, accuracy {accuracy:.3f}")

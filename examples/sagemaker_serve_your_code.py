"""A model of one's own, served by handlers of one's own, with the published SageMaker SDK
(version 2).

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_serve_your_code.py
"""

import tarfile
import tempfile
from pathlib import Path

import joblib
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn import SKLearnModel
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
PROGRAM = """
import os
import joblib

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""
session = sagemaker.Session(default_bucket="sagemaker-serving")
features, labels = load_iris(return_X_y=True)
classifier = LogisticRegression(max_iter=500).fit(features, labels)

with tempfile.TemporaryDirectory() as directory:
    joblib.dump(classifier, Path(directory, "model.joblib"))
    with tarfile.open(Path(directory, "model.tar.gz"), "w:gz") as archive:
        archive.add(Path(directory, "model.joblib"), "model.joblib")
    model_data = S3Uploader.upload(
        str(Path(directory, "model.tar.gz")),
        f"s3://{session.default_bucket()}/iris",
        sagemaker_session=session,
    )
    Path(directory, "inference.py").write_text(PROGRAM)
    model = SKLearnModel(
        model_data=model_data,
        role=ROLE,
        entry_point="inference.py",
        source_dir=directory,
        framework_version="1.2-1",
        sagemaker_session=session,
    )
    # ``deploy`` alone would wait too, and look every 30 seconds.
    predictor = model.deploy(1, "ml.m5.large", wait=False)

waiter = session.sagemaker_client.get_waiter("endpoint_in_service")
waiter.wait(EndpointName=predictor.endpoint_name, WaiterConfig={"Delay": 1})
answers = predictor.predict(features)  # .npy to the model and back
predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
again = predictor.predict(features)
print(f"{np.mean(answers == labels):.0%} as they are, {np.mean(again == answers):.0%} the same")
predictor.delete_model()
predictor.delete_endpoint()

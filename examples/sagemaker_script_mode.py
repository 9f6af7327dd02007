"""A program of one's own, trained by the published SageMaker SDK (version 2).

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_script_mode.py
"""

import json
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn import SKLearn

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
PROGRAM = """
import argparse, json, os, pathlib
import numpy as np
from sklearn.linear_model import SGDClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--loss", type=str)
arguments = parser.parse_args()
rows = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "rows.csv"), delimiter=",")
model = SGDClassifier(loss=arguments.loss, max_iter=arguments.epochs, random_state=0)
model.fit(rows[:, 1:], rows[:, 0])
print(f"accuracy={model.score(rows[:, 1:], rows[:, 0]):.4f};")
weights = pathlib.Path(os.environ["SM_MODEL_DIR"], "weights.json")
weights.write_text(json.dumps(model.coef_.tolist()))
"""
session = sagemaker.Session(default_bucket="sagemaker-scripts")
draw = np.random.default_rng(0)
features = draw.normal(size=(500, 3))
labels = (features @ [1, -2, 0.5] > 0).astype(int)
table = "\n".join(
    f"{y},{','.join(f'{v:.5f}' for v in x)}" for x, y in zip(features, labels, strict=True)
)
rows = S3Uploader.upload_string_as_file_body(
    table, f"s3://{session.default_bucket()}/rows/rows.csv", sagemaker_session=session
)

with tempfile.TemporaryDirectory() as directory:
    Path(directory, "train.py").write_text(PROGRAM)
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=directory,
        framework_version="1.2-1",
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={"epochs": 20, "loss": "log_loss"},
        metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(.*?);"}],
        sagemaker_session=session,
    )
    # ``fit`` alone would wait too, and look every 5 seconds.
    estimator.fit({"train": rows}, wait=False)
    name = estimator.latest_training_job.name
    waiter = session.sagemaker_client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1})
    S3Downloader.download(estimator.model_data, directory, sagemaker_session=session)
    with tarfile.open(Path(directory, "model.tar.gz")) as archive:
        names, file = archive.getnames(), archive.extractfile("weights.json")
        weights = json.load(file) if file else None

told = session.describe_training_job(name)
metrics = {m["MetricName"]: m["Value"] for m in told["FinalMetricDataList"]}
print(f"{names} with {len(weights[0])} weights, accuracy {metrics['accuracy']:.2f}")

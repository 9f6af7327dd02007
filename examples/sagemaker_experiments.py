"""The published SageMaker SDK (version 2) tracking runs: parameters, metrics, files, jobs, lineage.

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_experiments.py
"""

import tempfile
from pathlib import Path

import boto3
import numpy as np
import sagemaker
from sagemaker.amazon.kmeans import KMeans
from sagemaker.analytics import ExperimentAnalytics
from sagemaker.experiments import Run, load_run
from sagemaker.experiments.run import list_runs

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
# A bucket named here spares the SDK a question to AWS's own STS, which no endpoint URL redirects.
session = sagemaker.Session(default_bucket="sagemaker-examples")
client = boto3.client("sagemaker")
draw = np.random.default_rng(0)


def track(name: str, rate: float) -> None:
    """One run: what it was given, how it went, what it wrote."""
    with Run("grain", run_name=name, sagemaker_session=session) as run:
        run.log_parameter("rate", rate)
        run.log_parameters({"kind": "rye", "layers": 3})
        for step in range(12):
            run.log_metric("loss", 1.0 / (1 + rate * step), step=step)
        with load_run(sagemaker_session=session) as same:
            same.log_metric("gain", rate)
        with tempfile.TemporaryDirectory() as folder:
            notes = Path(folder) / "notes.txt"
            notes.write_text(f"rate {rate}")
            run.log_file(str(notes), name="notes", is_output=True)
        run.log_confusion_matrix([0, 1, 1], [0, 1, 0], title="confusion")


def train() -> str:
    """A job within a run; its trial component's name."""
    points = draw.normal(size=(300, 2)).astype("float32")
    kmeans = KMeans(ROLE, 1, "ml.m5.large", k=3, sagemaker_session=session)
    with load_run("second", "grain", sagemaker_session=session):
        kmeans.fit(kmeans.record_set(points), wait=False)
    job = kmeans.latest_training_job.name
    waiter = client.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=job, WaiterConfig={"Delay": 1})
    return f"{job}-aws-training-job"


track("first", 0.5)
track("second", 2.0)
with load_run("first", "grain", sagemaker_session=session) as run:
    run.log_parameter("rate", 0.25)
job = client.describe_trial_component(TrialComponentName=train())
assert job["Status"]["PrimaryStatus"] == "Completed", job
assert job["OutputArtifacts"]["SageMaker.ModelArtifact"]["Value"].startswith("s3://"), job

first = client.describe_trial_component(TrialComponentName="grain-first")
assert first["Parameters"]["rate"] == {"NumberValue": 0.25}, first
assert first["OutputArtifacts"]["notes"]["Value"].endswith("/grain-first/notes.txt"), first
loss = {metric["MetricName"]: metric for metric in first["Metrics"]}["loss"]
assert (loss["Count"], loss["Max"]) == (12, 1.0), loss
told = client.query_lineage(StartArns=[first["TrialComponentArn"]], IncludeEdges=True)
assert [edge["AssociationType"] for edge in told["Edges"]] == ["Produced"], told

runs = list_runs("grain", sagemaker_session=session)
frame = ExperimentAnalytics(
    "grain", sort_by="metrics.loss.min", sort_order="Ascending", sagemaker_session=session
).dataframe()
best = frame["TrialComponentName"][0]
print(f"{len(runs)} runs, {len(frame)} components, the best {best}")

"""A script that prepares data, run by the published SageMaker SDK (version 2).

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_processing.py
"""

import tempfile
import time
from pathlib import Path

import sagemaker
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
SCRIPT = """
import argparse, pathlib
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--share", type=float)
share = parser.parse_args().share
rows = pathlib.Path("/opt/ml/processing/input/rows.csv").read_text().splitlines()
rows = np.random.default_rng(0).permutation(rows)
for name, part in zip(("train", "test"), np.split(rows, [int(share * len(rows))])):
    pathlib.Path("/opt/ml/processing", name, "rows.csv").write_text("\\n".join(part))
    print(name, "has", len(part), "rows")
"""
session = sagemaker.Session(default_bucket="sagemaker-processing")
rows = S3Uploader.upload_string_as_file_body(
    "\n".join(f"{i},{i * i}" for i in range(100)),
    f"s3://{session.default_bucket()}/rows/rows.csv",
    sagemaker_session=session,
)
hardware = {"instance_type": "ml.m5.large", "instance_count": 1}
common = {"role": ROLE, "sagemaker_session": session, "framework_version": "1.2-1", **hardware}
processors = (
    SKLearnProcessor(base_job_name="by-script", **common),
    FrameworkProcessor(SKLearn, base_job_name="by-framework", **common),
)
with tempfile.TemporaryDirectory() as directory:
    script = Path(directory, "split.py")
    script.write_text(SCRIPT)
    for processor in processors:
        processor.run(
            code=str(script),
            inputs=[ProcessingInput(rows, "/opt/ml/processing/input")],
            outputs=[
                ProcessingOutput("/opt/ml/processing/train", output_name="train"),
                ProcessingOutput("/opt/ml/processing/test", output_name="test"),
            ],
            arguments=["--share", "0.8"],
            wait=False,  # wait=True looks but every 30 seconds
        )

for processor in processors:
    job = processor.latest_job
    while job.describe()["ProcessingJobStatus"] in ("InProgress", "Stopping"):
        time.sleep(0.2)
    told = job.describe()
    parts = {
        output["OutputName"]: S3Downloader.read_file(
            f"{output['S3Output']['S3Uri']}/rows.csv", sagemaker_session=session
        ).splitlines()
        for output in told["ProcessingOutputConfig"]["Outputs"]
    }
    counts = {name: len(part) for name, part in parts.items()}
    print(processor.base_job_name, told["ProcessingJobStatus"], counts)

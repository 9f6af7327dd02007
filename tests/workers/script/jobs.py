"""Jobs that run programs, for the tests of their worker."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.workers import places
from tests.workers.places import Place
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
TORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3.0-cpu-py311"
TENSORFLOW = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.12-cpu-py310"


def packed(files: Mapping[str, str]) -> bytes:
    """A sourcedir.tar.gz as the SDK makes it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


def job(
    place: Place,
    files: Mapping[str, str],
    program: str = "train.py",
    *,
    image: str = SKLEARN,
    hyperparameters: Mapping[str, Any] | None = None,
    channels: Sequence[Channel] = (),
    **more: Any,
) -> TrainingJob:
    """A job whose source holds these files."""
    submitted = place.put("code/sourcedir.tar.gz", packed(files))
    place.put("out/.keep", b"")
    values = {
        "sagemaker_program": program,
        "sagemaker_submit_directory": submitted,
        "sagemaker_region": "us-east-1",
        **(hyperparameters or {}),
    }
    texts = {name: json.dumps(value) for name, value in values.items()}
    made = places.job(image, {}, channels)
    return replace(made, hyperparameters=texts, **more)


def run(place: Place, job: TrainingJob, **task: Any) -> list[WorkerHome]:
    """The homes of all hosts once they have ended, by the real process."""
    (place.root / "shared").mkdir(exist_ok=True)
    names = [f"algo-{i + 1}" for i in range(job.instances)]
    homes = [place.train_task(job, name, **task) for name in names]
    processes = [places.start("script", home) for home in homes]
    for process in processes:
        process.wait(timeout=60)
    return homes


def members(data: bytes) -> dict[str, bytes]:
    """Names and bytes of a tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = [(m.name, tar.extractfile(m)) for m in tar]
        return {name: file.read() for name, file in files if file is not None}


def made(place: Place, name: str = "model") -> dict[str, bytes]:
    """What lies in the job's model.tar.gz, or another."""
    return members(place.buckets.get_bytes(places.BUCKET, f"out/job/output/{name}.tar.gz"))


def log(home: WorkerHome) -> str:
    return home.log.read_text()


def failure(home: WorkerHome) -> str:
    return Path(home.failure).read_text()

"""Channels in Pipe mode, through the real worker: the model that File mode makes of the same rows."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    events,
    exit_of,
    job,
    recordio_bytes,
    train,
    train_here,
)
from tests.workers.train.test_content_types import LABELS, ROWS, WRITERS
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob

TABLE = np.column_stack([LABELS, ROWS])
CLUSTERS: dict[str, object] = {"k": 2, "feature_dim": 3, "epochs": 2, "mini_batch_size": 90}
LINES: dict[str, object] = {
    "predictor_type": "binary_classifier", "num_models": 2, "epochs": 3, "mini_batch_size": 90,
}  # fmt: skip


def asked(channels: Sequence[Channel], image: str = LINEAR, **more: Any) -> TrainingJob:
    return job(image, LINES if image == LINEAR else CLUSTERS, channels, **more)


def artifact(place: Place, channels: Sequence[Channel], image: str = LINEAR) -> bytes:
    home = train_here(place, asked(channels, image))
    assert exit_of(home) == {"code": 0}, home.failure.read_text()
    return place.artifact()


def failure(place: Place, channel: Channel, image: str = LINEAR) -> str:
    home = train_here(place, asked([channel], image))
    assert exit_of(home) == {"code": 1}
    return home.failure.read_text()


@pytest.mark.parametrize("content_type", WRITERS)
def test_a_pipe_gives_the_model_that_files_give(tmp_path: Path, content_type: str) -> None:
    models = []
    for mode in ("File", "Pipe", "FastFile"):
        place = Place(tmp_path / mode)
        for i, part in enumerate(np.array_split(TABLE, 3)):
            place.put(f"in/{i}", WRITERS[content_type](part, 1))
        place.put("in/_SUCCESS", b"")
        place.put("in/nothing", b"")
        channels = [
            Channel(name, "s3://mill/in/", content_type=content_type, input_mode=mode)
            for name in ("train", "validation", "test")
        ]
        models.append(artifact(place, channels))
    assert models[0] == models[1] == models[2]

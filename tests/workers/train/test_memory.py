"""What a job costs: memory that does not grow with the data, time that grows no faster."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.workers.places import (
    ENVIRONMENT,
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    job,
    recordio_bytes,
)
from tidemill.spec.channel import Channel

FEW, TIMES = 100_000, 30
# The worker itself, and then what the kernel and its clock say of the process.
PROGRAM = """
import re, sys, time
from pathlib import Path
from tidemill.workers.train.__main__ import main
code = main(Path(sys.argv[1]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print("COST", code, int(peak) / 1024, time.process_time())
"""
ASKED: dict[str, tuple[str, dict[str, object]]] = {
    "kmeans": (KMEANS, {"k": 10, "feature_dim": 10}),
    "linear-learner": (
        LINEAR,
        {"predictor_type": "binary_classifier", "epochs": 1, "num_models": 4},
    ),
}


def block() -> np.ndarray:
    features = np.random.default_rng(0).normal(size=(FEW, 10))
    return np.column_stack([features.sum(axis=1) > 0, features.round(4)]).astype(np.float32)


def parquet_bytes(times: int) -> bytes:
    out, table = io.BytesIO(), np.tile(block(), (times, 1))
    columns = {str(i): column for i, column in enumerate(table.T)}
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


# Content type → the rows so many times over · megabytes by which a job's peak may grow: the blocks
# made ready, which a small file does not fill, and what Arrow's allocators keep.
FORMATS: dict[str, tuple[Callable[[int], bytes], float]] = {
    "application/x-recordio-protobuf": (
        lambda times: recordio_bytes(block()[:, 1:], block()[:, 0]) * times, 24,
    ),
    "text/csv;label_size=1": (lambda times: csv_bytes(block()) * times, 40),
    "application/x-parquet;label_size=1": (parquet_bytes, 80),
}  # fmt: skip


def cost(root: Path, name: str, content_type: str, rows: bytes, seed: int | None) -> list[float]:
    """Megabytes at the peak, seconds on the processor."""
    place = Place(root)
    image, asked = ASKED[name]
    uri = place.put("in/rows", rows)
    channels = [Channel("train", uri, content_type=content_type, shuffle_seed=seed)]
    home = place.train_task(job(image, asked, channels))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home.root)],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    _, code, *found = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stdout
    return [float(f) for f in found]


@pytest.mark.slow
@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize(
    "seed", [3, pytest.param(None, marks=pytest.mark.long)], ids=["shuffled", "in order"]
)
def test_thirty_times_the_rows_take_no_more_memory_and_no_more_than_thirty_times_as_long(
    tmp_path: Path, content_type: str, seed: int | None
) -> None:
    written, slack = FORMATS[content_type]
    small, large = written(1), written(TIMES)
    for name in ASKED:
        peak, seconds = cost(tmp_path / f"{name}-small", name, content_type, small, seed)
        higher, longer = cost(tmp_path / f"{name}-large", name, content_type, large, seed)
        assert higher < peak + slack, f"{name}: {peak:.0f} MB, then {higher:.0f} MB"
        assert longer < TIMES * seconds, f"{name}: {seconds:.2f} s, then {longer:.2f} s"

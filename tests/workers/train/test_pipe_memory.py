"""A pipe's cost: memory that does not grow with what comes through it, time as File mode takes."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.workers.places import ENVIRONMENT, KMEANS, Place, csv_bytes, job, recordio_bytes
from tests.workers.train.test_memory import PROGRAM, TIMES, block
from tidemill.spec.channel import Channel

pytestmark = pytest.mark.slow
SLACK = 40
"""Megabytes that the blocks made ready may take, which few rows do not fill."""
Bring = Callable[[Place, int], Mapping[str, Any]]


def rows(place: Place, times: int) -> Mapping[str, Any]:
    return {"uri": place.put("in/rows", recordio_bytes(block()[:, 1:]) * times)}


def lines(place: Place, times: int) -> Mapping[str, Any]:
    packed = gzip.compress(csv_bytes(block()), 1) * times
    return {
        "uri": place.put("in/rows", packed),
        "content_type": "text/csv;label_size=1",
        "compression": "Gzip",
    }


def references(place: Place, times: int) -> Mapping[str, Any]:
    uri = place.put("in/rows", recordio_bytes(block()[:, 1:]))
    line = json.dumps({"rows-ref": uri}).encode() + b"\n"
    return {
        "uri": place.put("lists/rows", line * times),
        "data_type": "AugmentedManifestFile",
        "attributes": ("rows-ref",),
    }


def cost(root: Path, bring: Bring, times: int) -> list[float]:
    """Megabytes at the peak, seconds on the processor."""
    place = Place(root)
    channel = Channel("train", input_mode="Pipe", **bring(place, times))
    home = place.train_task(job(KMEANS, {"k": 10, "feature_dim": 10}, [channel]))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home.root)],
        env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    _, code, *found = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stdout
    return [float(f) for f in found]


@pytest.mark.parametrize("bring", [rows, pytest.param(lines, marks=pytest.mark.long), references])
def test_thirty_times_the_rows_take_no_more_memory(tmp_path: Path, bring: Bring) -> None:
    peak, seconds = cost(tmp_path / "small", bring, 1)
    higher, longer = cost(tmp_path / "large", bring, TIMES)
    assert higher < peak + SLACK, f"{peak:.0f} MB, then {higher:.0f} MB"
    assert longer < TIMES * seconds, f"{seconds:.2f} s, then {longer:.2f} s"

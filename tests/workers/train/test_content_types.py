"""Channels of every content type, through the real worker."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.workers.places import (
    KMEANS,
    LINEAR,
    Place,
    csv_bytes,
    exit_of,
    job,
    recordio_bytes,
    train_here,
)
from tidemill.registry import declaration
from tidemill.spec.channel import Channel

Table = np.ndarray[Any, Any]
DICE = np.random.default_rng(4)
ROWS = DICE.normal(size=(500, 3)).astype(np.float32) + DICE.integers(0, 2, (500, 1)) * 5
ROWS = ROWS.astype(np.float32)
LABELS = (ROWS.sum(axis=1) > 7).astype(np.float32)


def parquet_bytes(table: Table) -> bytes:
    out = io.BytesIO()
    columns = {f"c{i}": pyarrow.array(column.tolist()) for i, column in enumerate(table.T)}
    pyarrow.parquet.write_table(pyarrow.table(columns), out, row_group_size=200)
    return out.getvalue()


def npy_bytes(table: Table) -> bytes:
    out = io.BytesIO()
    np.save(out, table)
    return out.getvalue()


def jsonlines_bytes(table: Table, labels: int) -> bytes:
    lines = []
    for row in table.tolist():
        label = {"label": row[0]} if labels else {}
        lines.append(json.dumps({"features": row[labels:], **label}))
    return "\n".join(lines).encode()


WRITERS: dict[str, Callable[[Table, int], bytes]] = {
    "application/x-recordio-protobuf": lambda table, labels: recordio_bytes(
        table[:, labels:], table[:, 0] if labels else None
    ),
    "text/csv": lambda table, labels: csv_bytes(table),
    "application/jsonlines": jsonlines_bytes,
    "application/x-parquet": lambda table, labels: parquet_bytes(table),
    "application/x-npy": lambda table, labels: npy_bytes(table),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("name", ["kmeans", "linear-learner"])
def test_the_documented_types_come_first(name: str) -> None:
    assert declaration(name).content_types == tuple(WRITERS)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("name", ["kmeans", "linear-learner"])
def test_a_model_does_not_depend_on_how_its_rows_are_written(
    tmp_path: Path, name: str, shuffled: bool
) -> None:
    labels = declaration(name).label_size
    table = np.column_stack([LABELS, ROWS])[:, 1 - labels :]
    models = {}
    for content_type, write in WRITERS.items():
        place = Place(tmp_path / content_type.replace("/", "-"))
        uri = place.put("in/rows", write(table, labels))
        seed = 7 if shuffled else None
        channels = [Channel("train", uri, content_type=content_type, shuffle_seed=seed),
                    Channel("test", uri, content_type=content_type)]  # fmt: skip
        asked: dict[str, object] = {"k": 2, "feature_dim": 3}
        if name == "linear-learner":
            asked = {"predictor_type": "binary_classifier", "num_models": 2, "epochs": 2}
        home = train_here(place, job(KMEANS if name == "kmeans" else LINEAR, asked, channels))
        assert exit_of(home) == {"code": 0}, home.failure.read_text()
        models[content_type] = place.artifact()
    assert len(set(models.values())) == 1


@pytest.mark.parametrize("content_type", ["application/x-parquet", "application/x-npy"])
def test_label_size_says_how_many_of_the_first_columns_are_labels(
    place: Place, content_type: str
) -> None:
    table = np.column_stack([LABELS, ROWS])
    uri = place.put("in/rows", WRITERS[content_type](table, 1))
    channel = Channel("train", uri, content_type=f"{content_type};label_size=1")
    home = train_here(place, job(KMEANS, {"k": 2, "feature_dim": 3}, [channel]))
    assert exit_of(home) == {"code": 0}


def test_reading_parquet_does_not_load_pandas(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(parquet_bytes(ROWS))
    program = (
        "import sys; from pathlib import Path; from tidemill.data.stream import open_files\n"
        "for seed in (None, 1):\n"
        "    source = open_files([Path('rows')], 'application/x-parquet', batch_rows=9,\n"
        "                        label_size=1, shuffle_seed=seed)\n"
        "    assert sum(len(batch) for batch, _ in source.read()) == 500\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)

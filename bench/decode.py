"""Bytes of a channel to batches: RecordIO, sparse and dense, CSV and libsvm, in MB a second.

Beside Tidemill: a memcpy of the same bytes (the floor of any decoder), pyarrow's CSV reader, the
SageMaker SDK's RecordIO reader, which makes an object of each record, and scikit-learn's reader of
libsvm. A stream of libsvm looks through the file first, for the width of its rows.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from bench.measure import Row, interleaved, write
from tidemill.data.batch import Csr
from tidemill.data.formats import csv, libsvm, recordio
from tidemill.data.stream import open_files

TASK = "decode"
SDK_RECORDS = 2_000
"""Records that the SDK reads: it would take minutes for all."""


def main() -> None:
    random = np.random.default_rng(0)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for count, columns in ((1_000_000, 8), (500_000, 32), (50_000, 784)):
            features = random.random((count, columns), np.float32)
            body = recordio.encode(features, features[:, 0])
            rows += recordio_rows(
                Path(folder), f"RecordIO dense {count:,} × {columns}", body, count
            )
        matrix = scipy.sparse.random(100_000, 10_000, 0.005, "csr", np.float32, random)
        sparse = Csr(
            matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), matrix.data, 10_000
        )
        body = recordio.encode(sparse, np.ones(len(sparse), np.float32))
        rows += recordio_rows(
            Path(folder), "RecordIO sparse 100,000 × 10,000, 50 a row", body, 100_000
        )
        for count, columns in ((400_000, 30), (15_000, 784)):
            table = random.normal(size=(count, columns)).round(6).tolist()
            text = "\n".join([",".join(map(repr, row)) for row in table]).encode()
            rows += csv_rows(Path(folder), f"CSV {count:,} × {columns}", text)
        for count, columns, stored in ((200_000, 28, 28), (100_000, 100_000, 50)):
            text = libsvm_text(random, count, columns, stored)
            rows += libsvm_rows(
                Path(folder), f"libsvm {count:,} × {columns:,}, {stored} a row", text
            )
    write(TASK, rows)


def recordio_rows(folder: Path, name: str, body: bytes, count: int) -> list[Row]:
    """RecordIO in memory and in a file, against memcpy and the SDK."""
    path = folder / "part.pbr"
    path.write_bytes(body)
    systems = {
        "memcpy": (copier(body), len(body)),
        "tidemill, in memory": (lambda: recordio.decode(body), len(body)),
        "tidemill, stream of the file": (
            lambda: drain(path, "application/x-recordio-protobuf"),
            len(body),
        ),
    }
    with contextlib.suppress(ImportError):
        from sagemaker.serializer_utils import read_records

        part = body[: len(body) * SDK_RECORDS // count]
        part = part[: part.rfind(body[:4])]
        systems["sagemaker SDK"] = (lambda: read_records(io.BytesIO(part)), len(part))
    return measured(name, systems)


def csv_rows(folder: Path, name: str, text: bytes) -> list[Row]:
    """CSV in a file and in memory, against pyarrow as it comes and as we set it."""
    import pyarrow
    import pyarrow.csv

    path = folder / "part.csv"
    path.write_bytes(text)
    headless = pyarrow.csv.ReadOptions(autogenerate_column_names=True)
    single = pyarrow.csv.ReadOptions(autogenerate_column_names=True, use_threads=False)

    def to_matrix(options: Any) -> Any:
        table = pyarrow.csv.read_csv(pyarrow.BufferReader(text), read_options=options)
        return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float32)

    size = len(text)
    return measured(
        name,
        {
            "memcpy": (copier(text), size),
            "pyarrow.csv, table only": (
                lambda: pyarrow.csv.read_csv(pyarrow.BufferReader(text), read_options=headless),
                size,
            ),
            "pyarrow.csv to a float32 matrix": (lambda: to_matrix(headless), size),
            "pyarrow.csv to a matrix, one thread": (lambda: to_matrix(single), size),
            "tidemill, in memory": (lambda: csv.decode(text), size),
            "tidemill, stream of the file": (lambda: drain(path, "text/csv"), size),
        },
    )


def libsvm_text(
    random: np.random.Generator, rows: int, columns: int, stored: int, block: int = 1000
) -> bytes:
    """Lines of numbers of six digits; some thousand different ones, again and again."""
    lines = []
    for _ in range(block):
        places = np.sort(random.choice(columns, stored, replace=False))
        pairs = zip(places.tolist(), random.normal(size=stored).tolist(), strict=True)
        lines.append("1 " + " ".join(f"{place}:{value:.6g}" for place, value in pairs))
    return ("\n".join(lines) + "\n").encode() * (rows // block)


def libsvm_rows(folder: Path, name: str, text: bytes) -> list[Row]:
    """libsvm in a file and in memory, against scikit-learn."""
    from sklearn.datasets import load_svmlight_file

    path = folder / "part.libsvm"
    path.write_bytes(text)
    size = len(text)
    told = f"libsvm;feature_dim={libsvm.decode(text).columns}"
    return measured(
        name,
        {
            "memcpy": (copier(text), size),
            "sklearn.load_svmlight_file": (
                lambda: load_svmlight_file(io.BytesIO(text), dtype=np.float32, zero_based=True),
                size,
            ),
            "tidemill, in memory": (lambda: libsvm.decode(text), size),
            "tidemill, stream of the file": (lambda: drain(path, "libsvm"), size),
            "tidemill, stream, width told": (lambda: drain(path, told), size),
        },
    )


def copier(body: bytes) -> Callable[[], None]:
    """A copy to memory that is there already."""
    source = np.frombuffer(body, np.uint8)
    target = np.zeros_like(source)
    return lambda: np.copyto(target, source)


def drain(path: Path, content_type: str) -> int:
    """Read all batches of a file."""
    stream = open_files([path], content_type, batch_rows=5_000)
    return sum(len(batch) for batch, _ in stream.read())


def measured(name: str, systems: dict[str, tuple[Callable[[], Any], int]]) -> list[Row]:
    """A row for each system, with its MB/s."""
    runs = {system: run for system, (run, _) in systems.items()}
    rows = []
    for system, (wall, cpu, _) in interleaved(runs, repeats=5, warm_up=True).items():
        size = systems[system][1]
        figures = {"MB/s": size / wall / 1e6, "MB": size / 1e6}
        rows.append(Row(TASK, name, system, wall, cpu, figures=figures))
    return rows


if __name__ == "__main__":
    main()

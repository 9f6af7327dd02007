"""Data of any shape → one job channel in S3: arrays, frames, files, folders and S3 URIs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.data import content_type as types
from tidemill.data.batch import Batch, Csr
from tidemill.data.formats import recordio
from tidemill.data.formats.text import labelled
from tidemill.data.memory import features_of, labels_of
from tidemill.errors import Invalid
from tidemill.sdk.connection import Connection

CONTENT_TYPES = {
    ".csv": types.CSV,
    ".pbr": types.RECORDIO,
    ".rec": types.RECORDIO,
    ".jsonl": types.JSON_LINES,
    ".parquet": types.PARQUET,
    ".npy": types.NPY,
    ".txt": types.TEXT,
    ".libsvm": types.LIBSVM,
    ".svm": types.LIBSVM,
}
LARGEST_BODY = 64 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """Where a channel's bytes are. columns, rows: when they are known without reading a file."""

    uri: str
    content_type: str | None
    columns: int | None = None
    rows: int | None = None


def upload(
    connection: Connection,
    data: Any,
    *,
    prefix: str,
    label: str | None = None,
    supervised: bool,
    content_type: str | None = None,
) -> Source:
    """Put ``data`` below ``prefix`` (``s3://bucket/…``) and say how a job is to read it.

    data: array (rows, columns) · (features, labels) · DataFrame or Arrow table (``label`` names
    its label column) · texts, or (texts, labels) · path of a file or folder · S3 URI (nothing is
    copied then).
    supervised: whether a CSV file's first column is the label.
    """
    if isinstance(data, str) and data.startswith("s3://"):
        return Source(data, content_type or _type_of(Path(data), supervised))
    if isinstance(data, str) and not data:  # which would be the working directory
        raise Invalid("a path or an S3 URI", got=data, do="Name the file or folder.")
    if isinstance(data, str | Path):
        return _upload_path(connection, Path(data), prefix, supervised, content_type)
    if isinstance(data, Source):
        return data
    s3, (bucket, key) = connection.client("s3"), _split(prefix)
    if (lines := texts_of(data)) is not None:
        body = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        s3.upload_fileobj(body, bucket, f"{key}/part-00000.txt")
        return Source(prefix, types.TEXT, rows=len(lines))
    batch = _rows_to_learn_from(data, label)
    if supervised and batch.labels is None:
        raise Invalid(
            "labels beside the features",
            got=type(data).__name__,
            do="Pass (X, y), or label='name'.",
        )
    for part, rows in enumerate(_parts(batch)):
        body = io.BytesIO()
        recordio.write(body, rows.features, rows.labels)
        body.seek(0)
        s3.upload_fileobj(body, bucket, f"{key}/part-{part:05d}.pbr")
    return Source(prefix, types.RECORDIO, batch.columns, len(batch))


def texts_of(data: Any) -> list[str] | None:
    """Lines of text where the data are texts, or texts and their labels; None for anything else.

    >>> texts_of((["good\\nfilm", "bad film"], ["pos", "neg"]))
    ['__label__pos good film', '__label__neg bad film']
    """
    texts, labels = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    texts, labels = _listed(texts), _listed(labels)
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    if labels is None:
        return [" ".join(text.splitlines()) for text in texts]
    if len(labels) != len(texts):
        raise Invalid(
            f"a label for each of {len(texts)} texts", got=len(labels), do="Check what pairs them."
        )
    rows = enumerate(zip(texts, labels, strict=True), 1)
    return [labelled(text, label, f"text {number}") for number, (text, label) in rows]


def _listed(values: Any) -> list[Any] | None:
    if isinstance(values, list):
        return values
    return values.tolist() if getattr(values, "ndim", 0) == 1 else None


def _rows_to_learn_from(data: Any, label: str | None) -> Batch:
    if data is None or getattr(data, "ndim", 2) == 1:
        got = None if data is None else f"the shape {data.shape}"
        raise Invalid(
            "rows and columns to learn from", got=got, do="Pass an array (rows, columns)."
        )
    batch = batch_of(data, label)
    if not len(batch) or not batch.columns:
        raise Invalid("rows to learn from", got="0 rows", do="Check what selects them.")
    return batch


def batch_of(data: Any, label: str | None = None) -> Batch:
    """Arrays, frames and tables in memory as one batch.

    >>> batch_of(([[1, 2], [3, 4]], [0, 1])).labels
    array([0., 1.], dtype=float32)
    """
    if label is not None:
        if not hasattr(data, "columns") or label not in _column_names(data):
            raise Invalid(
                f"a frame with a column named {label!r}",
                got=type(data).__name__,
                do="Pass a DataFrame or Arrow table that has it, or (X, y).",
            )
        rest = [c for c in _column_names(data) if c != label]
        return _batch(_select(data, rest), data[label])
    if isinstance(data, tuple) and len(data) == 2:
        return _batch(*data)
    return _batch(data)


def _batch(features: Any, labels: Any = None) -> Batch:
    rows = features_of(features)
    targets = labels_of(labels, len(rows))
    return Batch(
        rows if isinstance(rows, Csr) else np.ascontiguousarray(rows, np.float32),
        None if targets is None else np.ascontiguousarray(targets, np.float32),
    )


def _column_names(frame: Any) -> list[str]:
    names = getattr(frame, "column_names", None)
    return list(names if names is not None else frame.columns)


def _select(frame: Any, names: list[str]) -> Any:
    return frame.select(names) if hasattr(frame, "column_names") else frame[names]


def _parts(batch: Batch) -> Any:
    """Pieces of some 64 MB, so that neither end holds the whole encoded twice."""
    return batch.split(max(1, LARGEST_BODY // (4 * max(1, batch.columns) + 64)))


def _upload_path(
    connection: Connection, path: Path, prefix: str, supervised: bool, content_type: str | None
) -> Source:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise Invalid("a file or a folder with files", got=str(path), do="Check the path.")
    kind = content_type or _type_of(files[0], supervised)
    if kind is None:
        raise Invalid(
            "a file whose ending tells its content type",
            got=files[0].name,
            do=f"Use one of {', '.join(CONTENT_TYPES)}, or pass content_type.",
        )
    s3, (bucket, key) = connection.client("s3"), _split(prefix)
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        s3.upload_file(str(file), bucket, f"{key}/{name}")
    return Source(prefix, kind)


def _type_of(path: Path, supervised: bool) -> str | None:
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    found: str | None = CONTENT_TYPES.get(ending)
    needs_no_label = found == types.CSV and not supervised
    return f"{found};label_size=0" if needs_no_label else found


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.strip("/")


def wire(name: str, source: Source) -> Mapping[str, Any]:
    """The channel as CreateTrainingJob takes it."""
    location = {"S3DataType": "S3Prefix", "S3Uri": source.uri}
    channel = {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {**location, "S3DataDistributionType": "ShardedByS3Key"}},
    }
    if name != "train":
        channel["DataSource"] = {
            "S3DataSource": {**location, "S3DataDistributionType": "FullyReplicated"}
        }
    return {**channel, **({"ContentType": source.content_type} if source.content_type else {})}

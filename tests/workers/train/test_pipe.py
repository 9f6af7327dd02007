"""Channels in Pipe mode through the real worker: the model that files of the same rows give."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.test_algorithms import SAMPLES
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
from tidemill import registry
from tidemill.data.recordio.encode import records
from tidemill.data.recordio.frames import HEADER
from tidemill.spec.channel import Channel
from tidemill.spec.training_job import TrainingJob

TABLE = np.column_stack([LABELS, ROWS])
CLUSTERS: dict[str, object] = {"k": 2, "feature_dim": 3, "epochs": 2, "mini_batch_size": 90}
LINES: dict[str, object] = {
    "predictor_type": "binary_classifier", "num_models": 2, "epochs": 3, "mini_batch_size": 90,
}  # fmt: skip
TRAIN = Channel("train", "s3://mill/in/", content_type="text/csv", input_mode="Pipe")


def asked(channels: Sequence[Channel], image: str = LINEAR, **more: Any) -> TrainingJob:
    return job(image, LINES if image == LINEAR else CLUSTERS, channels, **more)


def artifact(place: Place, *channels: Channel, image: str = LINEAR) -> bytes:
    home = train_here(place, asked(channels, image))
    assert exit_of(home) == {"code": 0}, home.failure.read_text()
    assert not list(home.data.glob("*_*")), "FIFOs"
    return place.artifact()


def failure(place: Place, channel: Channel, image: str = LINEAR) -> str:
    home = train_here(place, asked([channel], image))
    assert exit_of(home) == {"code": 1}
    return home.failure.read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    for i, part in enumerate(np.array_split(TABLE, 5)):
        found.put(f"in/{i}.csv", csv_bytes(part))
    return found


@pytest.fixture
def other(tmp_path: Path) -> Place:
    return Place(tmp_path / "other")


@pytest.fixture
def plain(other: Place) -> bytes:
    """The model of the same rows in File mode."""
    other.put("in/all.csv", csv_bytes(TABLE))
    return artifact(other, replace(TRAIN, input_mode="File"))


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
        models.append(artifact(place, *channels))
    assert models[0] == models[1] == models[2]


@pytest.mark.parametrize("name", registry.names())
def test_every_built_in_makes_the_same_model_of_a_pipe(tmp_path: Path, name: str) -> None:
    sample, models = SAMPLES[name], []
    for mode in ("File", "Pipe"):
        place = Place(tmp_path / mode)
        uri = place.put("in/rows", sample.body)
        channels = [
            Channel(channel, uri, content_type=sample.content_type, input_mode=mode)
            for channel in ("train", sample.test)
            if channel
        ]
        home = train_here(place, job(f"aws/{name}:1", sample.hyperparameters, channels))
        assert exit_of(home) == {"code": 0}, home.failure.read_text()
        models.append(place.artifact())
    assert models[0] == models[1]


def test_objects_without_a_last_line_ending_do_not_run_together(other: Place, plain: bytes) -> None:
    there = Place(other.root / "there")
    for i, part in enumerate(np.array_split(TABLE, 5)):
        there.put(f"in/{i}", csv_bytes(part).removesuffix(b"\n"))
    assert artifact(there, TRAIN) == plain


def test_gzip_is_unpacked_on_the_way(other: Place, plain: bytes) -> None:
    there = Place(other.root / "there")
    for i, part in enumerate(np.array_split(TABLE, 5)):
        there.put(f"in/{i}", gzip.compress(csv_bytes(part)))
    assert artifact(there, replace(TRAIN, compression="Gzip")) == plain


@pytest.mark.parametrize("packed", [False, True])
def test_bare_records_are_wrapped(other: Place, plain: bytes, packed: bool) -> None:
    there = Place(other.root / "there")
    for i, (row, label) in enumerate(zip(ROWS, LABELS, strict=True)):
        (frame,) = records(row[None], label[None])
        size = int.from_bytes(frame[4:HEADER], "little")
        record = frame[HEADER : HEADER + size]
        there.put(f"in/{i:04d}", gzip.compress(record) if packed else record)
    channel = Channel(
        "train", "s3://mill/in/", input_mode="Pipe", record_wrapper="RecordIO",
        compression="Gzip" if packed else "None",
    )  # fmt: skip
    assert artifact(there, channel) == plain


def test_a_manifests_order_is_kept(place: Place, other: Place) -> None:
    order = [3, 1, 4, 0]
    manifest = [{"prefix": "s3://mill/in/"}, *(f"{i}.csv" for i in order)]
    uri = place.put("lists/a", json.dumps(manifest).encode())
    found = artifact(place, replace(TRAIN, uri=uri, data_type="ManifestFile"))
    parts = np.array_split(TABLE, 5)
    other.put("in/all.csv", csv_bytes(np.concatenate([parts[i] for i in order])))
    assert found == artifact(other, replace(TRAIN, input_mode="File"))


@pytest.mark.parametrize("wrapper", ["None", "RecordIO"])
def test_an_augmented_manifest_may_refer_to_objects_of_rows(
    place: Place, plain: bytes, wrapper: str
) -> None:
    if wrapper == "None":
        uris = [f"s3://mill/in/{i}.csv" for i in range(5)]
    else:
        frames = [next(iter(records(r[None], y[None]))) for r, y in zip(ROWS, LABELS, strict=True)]
        sizes = [int.from_bytes(f[4:HEADER], "little") for f in frames]
        uris = [place.put(f"r/{i}", f[8 : 8 + n]) for i, (f, n) in enumerate(zip(frames, sizes))]  # noqa: B905
    lines = [json.dumps({"rows-ref": uri, "rows-ref-metadata": {"by": "hand"}}) for uri in uris]
    channel = replace(
        TRAIN,
        uri=place.put("lists/a", "\n".join(lines).encode()),
        data_type="AugmentedManifestFile",
        attributes=("rows-ref",),
        record_wrapper=wrapper,
        content_type="text/csv" if wrapper == "None" else None,
    )
    assert artifact(place, channel) == plain


def test_a_seed_draws_an_order_of_objects_for_every_epoch(place: Place, plain: bytes) -> None:
    shuffled = replace(TRAIN, shuffle_seed=4)
    first = artifact(place, shuffled)
    assert first != plain
    for root, channel in (("b", shuffled), ("c", replace(TRAIN, shuffle_seed=5))):
        there = Place(place.root / root)
        for i, part in enumerate(np.array_split(TABLE, 5)):
            there.put(f"in/{i}.csv", csv_bytes(part))
        assert (artifact(there, channel) == first) == (channel == shuffled)


@pytest.mark.parametrize("objects", [5, 1])
@pytest.mark.parametrize("seed", [None, 3])
def test_hosts_share_the_objects(tmp_path: Path, objects: int, seed: int | None) -> None:
    place = Place(tmp_path)
    for i, part in enumerate(np.array_split(TABLE, objects)):
        place.put(f"in/{i}.csv", csv_bytes(part[:, 1:]))
    channel = replace(
        TRAIN, distribution="ShardedByS3Key", content_type="text/csv;label_size=0",
        shuffle_seed=seed,
    )  # fmt: skip
    train(place, asked([channel, replace(channel, name="test")], KMEANS, instances=2))
    homes = [place.home("algo-1"), place.home("algo-2")]
    assert all(exit_of(home) == {"code": 0} for home in homes)
    seen = [
        json.loads(line.partition("#metrics ")[2])["Metrics"]["Number of Records Since Last Reset"]
        for home in homes
        for line in home.log.read_text().splitlines()
        if "Number of Records Since Last Reset" in line
    ]
    rows = [found["sum"] for found in seen if found["sum"]]
    assert sum(rows) == 2 * len(TABLE), "two epochs"
    assert len(rows) == (4 if objects == 5 else 2)


def test_only_files_are_downloaded(place: Place) -> None:
    train_here(place, asked([TRAIN]))
    assert [e.name for e in events(place.home(), "status")] == ["Training", "Uploading"]
    there = json.loads((place.home().config / "inputdataconfig.json").read_text())
    assert there["train"]["TrainingInputMode"] == "Pipe"


def test_progress_is_told_within_a_pass(place: Place) -> None:
    train_here(place, asked([TRAIN]))
    told = [e.value for e in events(place.home(), "progress") if e.value is not None]
    assert told == sorted(told)
    assert told[-1] == 1


def test_objects_replaced_meanwhile_do_not_change_the_job(place: Place, plain: bytes) -> None:
    home = place.train_task(asked([TRAIN]))
    assert not home.data.exists()
    assert artifact(place, TRAIN) == plain
    place.put("in/0.csv", b"nonsense")
    place.put("in/9.csv", b"nonsense")
    assert artifact(place, TRAIN) == plain


def test_a_fault_names_the_object_and_its_row(place: Place) -> None:
    place.put("in/3.csv", csv_bytes(TABLE[:70]) + b"1,2,oops,4\n")
    assert failure(place, TRAIN).startswith(
        "ClientError: channel 'train': 3.csv, row 71, column 3: must be a number; got 'oops'"
    )


def test_objects_of_other_widths_name_both(place: Place) -> None:
    place.put("in/3.csv", b"1,2\n")
    assert "3.csv: must have 3 columns, as 0.csv has; got 1" in failure(place, TRAIN)


def test_an_object_that_is_not_gzip_is_the_datas_fault(place: Place) -> None:
    said = failure(place, replace(TRAIN, compression="Gzip"))
    assert said.startswith("ClientError: channel 'train': 0.csv: must be gzip-compressed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"uri": "s3://mill/none/"}, "Data download failed:No S3 objects found"),
        ({"uri": "s3://mill/empty/"}, "must have at least one row"),
        ({"content_type": "text/plain"}, "ContentType must be one of"),
        ({"record_wrapper": "RecordIO"}, "RecordWrapperType must be None, unless ContentType is"),
        (
            {"data_type": "AugmentedManifestFile", "attributes": ("source", "label")},
            "AttributeNames must refer to objects of rows (names that end in -ref), as this "
            "algorithm reads no single values; got ['source', 'label']",
        ),
        (
            {"data_type": "AugmentedManifestFile", "attributes": ("x-ref",)},
            "list, line 2: must have the attribute 'x-ref'",
        ),
        (
            {"data_type": "AugmentedManifestFile", "attributes": ("y-ref",)},
            "must be the S3 URI of an object that is there",
        ),
    ],
)
def test_what_no_algorithm_could_read_is_refused(
    place: Place, change: dict[str, Any], message: str
) -> None:
    place.put("empty/a", b"")
    uri = place.put("list", b'{"x-ref": "s3://mill/in/0.csv", "y-ref": "s3://mill/x"}\n{"z": 1}')
    if "data_type" in change:
        change = {"uri": uri, **change}
    assert message in failure(place, replace(TRAIN, **change))


def test_no_thread_outlives_a_job(place: Place) -> None:
    before = threading.active_count()
    artifact(place, TRAIN, replace(TRAIN, name="validation"), replace(TRAIN, name="test"))
    assert threading.active_count() <= before + 1, "but the pool of the blocks"


def test_recordio_comes_through_in_large_blocks(tmp_path: Path) -> None:
    models = []
    table = np.random.default_rng(1).normal(size=(60_000, 30)).astype(np.float32)
    for mode in ("File", "Pipe"):
        place = Place(tmp_path / mode)
        place.put("in/a", recordio_bytes(table[:50_000]))
        place.put("in/b", recordio_bytes(table[50_000:]))
        home = train_here(
            place,
            job(KMEANS, {"k": 3, "feature_dim": 30},
                [Channel("train", "s3://mill/in/", input_mode=mode)]),
        )  # fmt: skip
        assert exit_of(home) == {"code": 0}
        models.append(place.artifact())
    assert models[0] == models[1]

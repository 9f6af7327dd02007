"""Channels become files: prefixes, manifests and single keys, shared or dealt out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workers.places import BUCKET, KMEANS, Place, job
from tidemill.errors import Invalid, InvalidData, NotFound
from tidemill.spec.channel import Channel
from tidemill.workers.inputs.config import write_config
from tidemill.workers.inputs.download import download


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def brought(
    place: Place, channel: Channel, host: str = "algo-1", hosts: Sequence[str] = ("algo-1",)
) -> dict[str, bytes]:
    home = place.home(host)
    files = download(job(KMEANS, {}, [channel]), home, place.buckets, host, hosts)
    directory = home.channel(channel.name)
    if channel.input_mode == "Pipe":
        directory = home.root / "input" / "objects" / channel.name
    return {str(p.relative_to(directory)): p.read_bytes() for p in files[channel.name]}


def test_a_prefix_brings_what_lies_below_it(place: Place) -> None:
    for key in ("in/b.csv", "in/a.csv", "in/deep/c.csv", "in/", "other/d.csv"):
        place.put(key, key.encode())
    found = brought(place, Channel("train", f"s3://{BUCKET}/in/"))
    assert list(found) == ["a.csv", "b.csv", "deep/c.csv"]
    assert found["deep/c.csv"] == b"in/deep/c.csv"


def test_a_prefix_need_not_end_at_a_slash(place: Place) -> None:
    for key in ("in/part-0", "in/part-1", "in/rest", "in/part/x"):
        place.put(key, b"")
    found = brought(place, Channel("train", f"s3://{BUCKET}/in/part"))
    assert sorted(found) == ["part-0", "part-1", "x"]


def test_an_exact_key_brings_that_object_alone(place: Place) -> None:
    place.put("in/a.csv", b"mine")
    place.put("in/a.csv.metadata", b"not mine")
    assert brought(place, Channel("train", f"s3://{BUCKET}/in/a.csv")) == {"a.csv": b"mine"}


@pytest.mark.parametrize("mode", ["FastFile", "File", "Pipe"])
def test_only_in_fastfile_mode_a_prefix_must_be_a_whole_folder(place: Place, mode: str) -> None:
    for key in ("train/a", "train/deep/b", "train-01/c", "training"):
        place.put(key, b"")
    found = brought(place, Channel("train", f"s3://{BUCKET}/train", input_mode=mode))
    assert len(found) == (2 if mode == "FastFile" else 4)
    assert {"a", "deep/b"} <= set(found)


def test_a_folder_or_an_object_is_wanted_in_fastfile_mode(place: Place) -> None:
    for key in ("train/a", "train/b"):
        place.put(key, key.encode())

    def found(key: str) -> dict[str, bytes]:
        there = Place(place.root / key.replace("/", "-"))
        channel = Channel("train", f"s3://{BUCKET}/{key}", input_mode="FastFile")
        home = there.home()
        files = download(job(KMEANS, {}, [channel]), home, place.buckets, "algo-1", ["algo-1"])
        return {path.name: path.read_bytes() for path in files["train"]}

    assert found("") == found("train/") == {"a": b"train/a", "b": b"train/b"}
    assert found("train/b") == {"b": b"train/b"}
    with pytest.raises(NotFound, match="No S3 objects found"):
        found("tra")


def test_what_comes_through_a_pipe_is_no_file_of_the_channel(place: Place) -> None:
    for i in range(4):
        place.put(f"in/{i}", b"")
    channel = Channel(
        "train", f"s3://{BUCKET}/in/", input_mode="Pipe", distribution="ShardedByS3Key"
    )
    home = place.home()
    for _ in range(2):
        files = download(job(KMEANS, {}, [channel]), home, place.buckets, "algo-2", ["algo-1"] * 2)
        assert [path.name for path in files["train"]] == ["0", "1", "2", "3"], "those of all hosts"
    assert not home.channel("train").exists()


def test_a_manifest_brings_what_it_lists(place: Place) -> None:
    for key in ("in/matrix_0.pbr", "in/matrix_1.pbr", "in/matrix_2.pbr"):
        place.put(key, key.encode())
    manifest = [{"prefix": f"s3://{BUCKET}/in/"}, "matrix_0.pbr", "matrix_2.pbr"]
    uri = place.put("in/.amazon.manifest", json.dumps(manifest).encode())
    found = brought(place, Channel("train", uri, data_type="ManifestFile"))
    assert list(found) == ["matrix_0.pbr", "matrix_2.pbr"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '["a"]', '[{"prefix": 1}, "a"]', '[{"prefix": "s3://mill/"}, {}]']
)
def test_a_broken_manifest_is_refused(place: Place, text: str) -> None:
    uri = place.put("list", text.encode())
    with pytest.raises(InvalidData, match="manifest"):
        brought(place, Channel("train", uri, data_type="ManifestFile"))


def test_a_prefix_of_an_augmented_manifest_is_none(place: Place) -> None:
    place.put("lists/a.json", b"{}")
    more: dict[str, Any] = {"data_type": "AugmentedManifestFile", "attributes": ("a",)}
    found = brought(
        place, Channel("train", f"s3://{BUCKET}/lists/a.json", input_mode="Pipe", **more)
    )
    assert found == {"a.json": b"{}"}
    channel = Channel("test", f"s3://{BUCKET}/lists/", input_mode="Pipe", **more)
    with pytest.raises(NotFound, match="No S3 objects found"):
        brought(place, channel, "algo-2")


def test_a_manifest_that_names_a_missing_object_says_which(place: Place) -> None:
    uri = place.put("list", json.dumps([{"prefix": f"s3://{BUCKET}/"}, "gone.csv"]).encode())
    with pytest.raises(NotFound, match=r"'train'.*s3://mill/gone\.csv"):
        brought(place, Channel("train", uri, data_type="ManifestFile"))


@pytest.mark.parametrize("hosts", [("algo-1", "algo-2"), ("algo-1", "algo-2", "algo-3")])
def test_sharded_objects_are_dealt_to_the_hosts(place: Place, hosts: tuple[str, ...]) -> None:
    for i in range(7):
        place.put(f"in/{i}", b"")
    channel = Channel("train", f"s3://{BUCKET}/in/", distribution="ShardedByS3Key")
    shares = [list(brought(place, channel, host, hosts)) for host in hosts]
    assert sorted(sum(shares, [])) == [str(i) for i in range(7)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_host_may_get_nothing(place: Place) -> None:
    place.put("in/0", b"")
    channel = Channel("train", f"s3://{BUCKET}/in/", distribution="ShardedByS3Key")
    assert brought(place, channel, "algo-2", ("algo-1", "algo-2")) == {}


def test_every_host_tests_on_all_rows(place: Place) -> None:
    for i in range(4):
        place.put(f"in/{i}", b"")
    channel = Channel("test", f"s3://{BUCKET}/in/", distribution="ShardedByS3Key")
    assert len(brought(place, channel, "algo-2", ("algo-1", "algo-2"))) == 4


def test_objects_are_linked_not_copied(place: Place) -> None:
    place.put("in/a", b"bytes")
    brought(place, Channel("train", f"s3://{BUCKET}/in/"))
    linked = place.home().channel("train") / "a"
    assert linked.samefile(place.buckets.path(BUCKET, "in/a"))


def test_an_object_replaced_meanwhile_does_not_change_the_job(place: Place) -> None:
    channel = Channel("train", f"s3://{BUCKET}/in/")
    place.put("in/a", b"old")
    brought(place, channel)
    place.put("in/a", b"new")
    place.put("in/b", b"more")
    assert brought(place, channel) == {"a": b"old"}


def test_keys_that_are_no_paths_get_files_of_their_own(place: Place) -> None:
    keys = ["in/a", "in/a/b", "in/../up", "in//two", "in/" + "long" * 100, "in/ü ?", "in/+/a="]
    for key in keys:
        place.put(key, key.encode())
    found = brought(place, Channel("train", f"s3://{BUCKET}/in/"))
    assert sorted(found.values()) == sorted(key.encode() for key in keys)
    inside = place.home().channel("train").resolve()
    assert all((inside / name).absolute().is_relative_to(inside) for name in found)
    assert not any(".." in Path(name).parts for name in found)


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/none/", "s3://no-such-bucket/in/"])
def test_no_objects_is_said_in_the_words_of_aws(place: Place, uri: str) -> None:
    place.put("in/a", b"")
    with pytest.raises(NotFound) as caught:
        brought(place, Channel("train", uri))
    said = str(caught.value)
    assert f'No S3 objects found under S3 URL "{uri}" given in input data source' in said
    assert "channel 'train'" in said
    assert "bucket exists in the selected region (us-east-1)" in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data_type": "AugmentedManifestFile"}, "AugmentedManifestFile .* input mode is Pipe"),
        ({"record_wrapper": "RecordIO"}, "RecordWrapperType .* input mode is Pipe"),
        ({"data_type": "ManifestFile", "input_mode": "FastFile"}, "S3DataType must be S3Prefix"),
        ({"attributes": ("a",)}, "AttributeNames can only"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(
    place: Place, change: dict[str, Any], named: str
) -> None:
    place.put("in/a", b"")
    channel = replace(Channel("train", f"s3://{BUCKET}/in/"), **change)
    with pytest.raises(Invalid, match=f"'train': {named}"):
        brought(place, channel)


def test_the_config_files_are_those_of_a_container(place: Place) -> None:
    channels = [
        Channel("train", "s3://b/k", content_type="text/csv"),
        Channel("test", "s3://b/t", distribution="ShardedByS3Key"),
    ]
    home = place.home()
    write_config(job(KMEANS, {"k": 3}, channels, instances=2), home, "algo-2", ("algo-1", "algo-2"))
    read = {p.stem: json.loads(p.read_text()) for p in home.config.iterdir()}
    assert read["hyperparameters"] == {"k": "3"}
    assert read["inputdataconfig"] == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        "test": {
            "TrainingInputMode": "File",
            "S3DistributionType": "ShardedByS3Key",
            "RecordWrapperType": "None",
        },
    }
    assert read["resourceconfig"]["current_host"] == "algo-2"
    assert read["resourceconfig"]["hosts"] == ["algo-1", "algo-2"]

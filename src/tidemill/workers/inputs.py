"""Downloading: each channel's objects appear as files of the worker's home, without a copy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tidemill.errors import Invalid, InvalidData, NotFound
from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob
from tidemill.storage import keys, uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.home import write_json

Files = dict[str, tuple[Path, ...]]


def download(
    job: TrainingJob, home: WorkerHome, buckets: Buckets, host: str, hosts: Sequence[str]
) -> Files:
    """Each channel's files on this host, in the order of their keys or of the manifest.

    A worker that was killed and comes back gets the files that it had, whatever S3 holds by then.
    Raises NotFound and Invalid in SageMaker's words.
    """
    record = home.root / "input" / "files.json"
    if record.exists():
        names = json.loads(record.read_text())
        return {
            channel: tuple(home.channel(channel) / name for name in found)
            for channel, found in names.items()
        }
    files = {c.name: _link_channel(c, job.region, home, buckets, host, hosts) for c in job.channels}
    relative = {
        name: [str(path.relative_to(home.channel(name))) for path in found]
        for name, found in files.items()
    }
    write_json(record, relative)
    return files


def write_config(job: TrainingJob, home: WorkerHome, host: str, hosts: Sequence[str]) -> None:
    """hyperparameters.json, inputdataconfig.json and resourceconfig.json, as in /opt/ml."""
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": job.instance_type,
        "hosts": sorted(hosts),
    }
    write_json(home.config / "hyperparameters.json", job.hyperparameters)
    write_json(
        home.config / "inputdataconfig.json", {c.name: _as_container(c) for c in job.channels}
    )
    write_json(
        home.config / "resourceconfig.json",
        {
            "current_host": host,
            "current_instance_type": job.instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": sorted(hosts),
            "instance_groups": [group],
            "network_interface_name": "lo",
        },
    )


def _as_container(channel: Channel) -> dict[str, str]:
    content_type = {"ContentType": channel.content_type} if channel.content_type else {}
    return {
        **content_type,
        "TrainingInputMode": channel.input_mode,
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": channel.record_wrapper,
    }


def _link_channel(
    channel: Channel,
    region: str,
    home: WorkerHome,
    buckets: Buckets,
    host: str,
    hosts: Sequence[str],
) -> tuple[Path, ...]:
    _check(channel)
    directory = home.channel(channel.name)
    shutil.rmtree(directory, ignore_errors=True)  # what a killed attempt had begun
    directory.mkdir(parents=True)
    try:
        found = list(_objects(channel, buckets))
    except NotFound as error:
        raise _absent(channel, region, str(error)) from error
    if not found:
        raise _absent(channel, region, "no objects")
    mine = found[hosts.index(host) :: len(hosts)] if is_dealt(channel) else found
    return tuple(_bring(channel, buckets, b, key, directory, name) for b, key, name in mine)


def is_dealt(channel: Channel) -> bool:
    """Whether each host gets a share of the objects, and not all of them.

    Only training rows are dealt out: every host holds out, and one tests, on all of theirs.
    """
    return channel.distribution == "ShardedByS3Key" and channel.name == "train"


def _check(channel: Channel) -> None:
    wanted = f"channel {channel.name!r}: "
    if channel.data_type not in ("S3Prefix", "ManifestFile"):
        raise Invalid(
            wanted + "S3DataType must be S3Prefix or ManifestFile for this algorithm",
            got=channel.data_type,
            do="List the objects in a manifest file, or put them under one prefix.",
        )
    if channel.record_wrapper != "None":
        raise Invalid(
            wanted + "RecordWrapperType must be None",
            got=channel.record_wrapper,
            do="Store the rows as application/x-recordio-protobuf; they need no wrapping.",
        )


def _objects(channel: Channel, buckets: Buckets) -> Iterator[tuple[str, str, str]]:
    """(bucket, key, file name) of every object; raises NotFound for a missing bucket or key."""
    bucket, key = uri.parse(channel.uri)
    if channel.data_type == "ManifestFile":
        yield from _listed(channel, buckets.get_bytes(bucket, key))
        return
    found = [o.key for o in buckets.list(bucket, key) if not o.key.endswith("/")]
    for each in [key] if key in found else found:
        yield bucket, each, _relative(each, key)


def _listed(channel: Channel, manifest: bytes) -> Iterator[tuple[str, str, str]]:
    """``[{"prefix": "s3://bucket/some/"}, "a.csv", "b.csv", …]``"""
    try:
        first, *rest = json.loads(manifest)
        prefix = first["prefix"]
        if not isinstance(prefix, str) or not all(isinstance(r, str) for r in rest):
            raise ValueError("names must be text")
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidData(
            f'a manifest: a JSON list of {{"prefix": "s3://…/"}} and names ({error})',
            got=manifest[:80].decode(errors="replace"),
            do=f"Correct the object at {channel.uri}.",
        ) from error
    for name in rest:
        bucket, key = uri.parse(prefix + name)
        yield bucket, key, name


def _relative(key: str, prefix: str) -> str:
    if key == prefix:
        return key.rpartition("/")[2]
    folder = prefix if prefix.endswith("/") else prefix + "/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[len(prefix.rpartition("/")[0]) :].lstrip("/")


def _bring(
    channel: Channel, buckets: Buckets, bucket: str, key: str, directory: Path, name: str
) -> Path:
    try:
        source = buckets.path(bucket, key).resolve(strict=True)
        target = _free_place(directory, name)
        _place(source, target)
    except (OSError, NotFound) as error:
        raise NotFound(
            f"Data download failed:channel {channel.name!r}: a readable object s3://{bucket}/{key}",
            got=str(error),
            do="Upload it again, or take it out of the channel.",
        ) from error
    return target


def _free_place(directory: Path, name: str) -> Path:
    """Where a key's file goes: plainly if a file system can hold it so beside the others."""
    plain = keys.plain(name)
    target = directory.joinpath(*(plain or keys.escape(name)))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        is_free = not target.exists()
    except OSError:  # a key ``a`` beside a key ``a/b``
        is_free = False
    if not is_free:
        target = directory.joinpath("+", *keys.escape(name))
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _place(source: Path, target: Path) -> None:
    # A hard link keeps these very bytes even if the object is replaced while the job runs.
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source)


def _absent(channel: Channel, region: str, found: str) -> NotFound:
    return NotFound(
        f'Data download failed:No S3 objects found under S3 URL "{channel.uri}" given in input '
        f"data source (channel {channel.name!r})",
        got=found,
        do=f"Please ensure that the bucket exists in the selected region ({region}) and that "
        "objects exist under that S3 prefix.",
    )

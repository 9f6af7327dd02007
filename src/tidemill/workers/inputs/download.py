"""Downloading: each channel's objects appear as files of the worker's home, without a copy."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tidemill.errors import NotFound
from tidemill.spec.channel import Channel, check
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob
from tidemill.storage import keys
from tidemill.storage.bucket import Buckets
from tidemill.workers.home import write_json
from tidemill.workers.inputs.objects import Found, objects

Files = dict[str, tuple[Path, ...]]


def is_dealt(channel: Channel) -> bool:
    """Whether each host gets a share of the objects, and not all of them.

    Only training rows are dealt out: every host holds out, and one tests, on all of theirs.
    """
    return channel.distribution == "ShardedByS3Key" and channel.name == "train"


def download(
    job: TrainingJob,
    home: WorkerHome,
    buckets: Buckets,
    host: str,
    hosts: Sequence[str],
    dealt: Callable[[Channel], bool] = is_dealt,
) -> Files:
    """Each channel's files on this host, in the order of their keys or of the manifest.

    dealt: tells of a channel whether each host gets a share of its objects
    Those of a channel in Pipe mode lie where only its pipe looks, and are those of all hosts: they
    may be dealt anew for every epoch. A worker that was killed and comes back gets the files that
    it had, whatever S3 holds by then. Raises NotFound and Invalid in SageMaker's words.
    """
    record = home.root / "input" / "files.json"
    if record.exists():
        names = json.loads(record.read_text())
        return {
            channel.name: tuple(_directory(channel, home) / name for name in names[channel.name])
            for channel in job.channels
        }
    files = {}
    for channel in job.channels:
        share = slice(None)
        if channel.input_mode != "Pipe" and dealt(channel):
            share = slice(hosts.index(host), None, len(hosts))
        files[channel.name] = _link_channel(channel, job.region, home, buckets, share)
    relative = {
        c.name: [str(path.relative_to(_directory(c, home))) for path in files[c.name]]
        for c in job.channels
    }
    write_json(record, relative)
    return files


def _directory(channel: Channel, home: WorkerHome) -> Path:
    if channel.input_mode == "Pipe":
        return home.root / "input" / "objects" / channel.name
    return home.channel(channel.name)


def _link_channel(
    channel: Channel, region: str, home: WorkerHome, buckets: Buckets, share: slice
) -> tuple[Path, ...]:
    check(channel)
    directory = _directory(channel, home)
    shutil.rmtree(directory, ignore_errors=True)  # what a killed attempt had begun
    directory.mkdir(parents=True)
    found = objects(channel, buckets, region)[share]
    return tuple(bring(channel, buckets, each, directory) for each in found)


def bring(channel: Channel, buckets: Buckets, found: Found, directory: Path) -> Path:
    """One object as a file in the directory, a link to its bytes; raises NotFound."""
    try:
        source = buckets.path(found.bucket, found.key).resolve(strict=True)
        target = _free_place(directory, found.name)
        _place(source, target)
    except (OSError, NotFound) as error:
        raise NotFound(
            f"Data download failed:channel {channel.name!r}: a readable object "
            f"s3://{found.bucket}/{found.key}",
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

"""Inputs of a processing job: objects appear as files where the program looks for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tidemill.spec.channel import Channel
from tidemill.spec.processing_job import Input
from tidemill.workers.inputs.download import bring
from tidemill.workers.inputs.objects import objects
from tidemill.workers.process.host import Host

COPIED = 64 << 20
"""Bytes: an input up to this size is copied; of larger ones the program gets the very files, which
it cannot change, in directories where what it writes lies apart."""


class Stopped(Exception):
    """The job is to end before its program has begun."""


def bring_all(host: Host) -> list[Path]:
    """Bring all inputs of this host: the directories to be shielded from the program's writes.

    Raises NotFound and Invalid in SageMaker's words, and Stopped.
    """
    shields = []
    for one in host.job.inputs:
        directory = host.place(one)
        directory.mkdir(parents=True, exist_ok=True)
        paths = list(_bring(host, one, directory))
        is_copied = (
            not host.opt_ml.is_real
            or sum(path.stat().st_size for path in paths) <= COPIED
            or any(_overlap(directory, host.place(output)) for output in host.job.outputs)
        )
        for path in paths:
            if is_copied or path.is_symlink():
                _copy(path)
        if not is_copied:
            shields.append(directory)
    return _outermost(shields)


def _bring(host: Host, one: Input, directory: Path) -> Iterator[Path]:
    channel = Channel(one.name, one.uri, one.data_type, one.distribution)
    found = objects(channel, host.buckets, host.job.region)
    if one.distribution == "ShardedByS3Key":
        found = found[host.number :: len(host.names)]
    for each in found:
        if host.wants_to_stop():
            raise Stopped
        yield bring(channel, host.buckets, each, directory)


def _copy(path: Path) -> None:
    """Make it a file of the program's own, in place of a link to an object."""
    draft = path.with_name(f".{path.name[:200]}.draft")
    shutil.copyfile(path, draft)
    draft.replace(path)


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Those that lie in none of the others: what covers them covers these."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept

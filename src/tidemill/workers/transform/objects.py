"""The objects of a job: dealt to its hosts, read as they were, ticked off when they are done."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tidemill.errors import InvalidData
from tidemill.spec.channel import Channel
from tidemill.spec.transform_job import TransformJob
from tidemill.storage.bucket import Buckets
from tidemill.workers.inputs.objects import Found, objects

_BLOCK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


def dealt(job: TransformJob, buckets: Buckets, shared: Path, index: int) -> list[Found]:
    """This host's share. All hosts and all attempts deal the list that the first one made, for
    the outputs may lie under the very prefix of the inputs.
    """
    listed = shared / "objects.json"
    if not listed.exists():
        channel = Channel("TransformInput", job.input_uri, job.data_type)
        found = objects(channel, buckets, job.region)
        draft = shared / f"objects.{index}.draft"
        draft.write_text(json.dumps(found))
        with suppress(FileExistsError):
            os.link(draft, listed)
        draft.unlink()
    return [Found(*each) for each in json.loads(listed.read_text())][index :: job.instances]


def read(buckets: Buckets, found: Found, compression: str) -> Iterator[bytes]:
    """An object's bytes, a block at a time. Raises NotFound, InvalidData."""
    with buckets.open(found.bucket, found.key) as opened:
        blocks = opened.blocks(0, opened.info.size)
        yield from inflated(blocks) if compression == "Gzip" else blocks


def inflated(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip has compressed, of one member or several. Raises InvalidData."""
    stream = zlib.decompressobj(_GZIP)
    try:
        for block in blocks:
            while block:
                if stream.eof:
                    stream = zlib.decompressobj(_GZIP)
                yield stream.decompress(block, _BLOCK)
                block = stream.unused_data if stream.eof else stream.unconsumed_tail
        yield stream.flush()
    except zlib.error as error:
        raise _damaged(str(error)) from None
    if not stream.eof:
        raise _damaged("an end too early")


class Done:
    """The objects that have their output, remembered over the death of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        self._keys = set(lines)

    def __contains__(self, found: Found) -> bool:
        return _line(found) in self._keys

    def add(self, found: Found) -> None:
        """Remember one whose output is there."""
        self._keys.add(_line(found))
        with self._path.open("a") as file:
            file.write(_line(found) + "\n")


def _line(found: Found) -> str:
    return json.dumps(found)


def _damaged(got: str) -> InvalidData:
    do = "Compress the object again, or set CompressionType to None."
    return InvalidData("an object compressed by gzip", got=got, do=do)

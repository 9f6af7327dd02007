"""What comes through a channel's pipe in each epoch: this host's share, in the epoch's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, overload

from tidemill.data.draw import SHARDS, draw
from tidemill.spec.channel import Channel
from tidemill.storage.bucket import Buckets
from tidemill.workers.pipe.augmented import Manifest, Value
from tidemill.workers.pipe.segment import Object, Piece, Segment, Series

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """One of ``of`` equal shares, counted from 0."""

    index: int = 0
    of: int = 1


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class Contents:
    """segments: of an epoch; none on a host that has no share of it · size: about how many bytes a
    segment has, 0 if unknown"""

    segments: Callable[[int], Sequence[Segment]]
    size: float


def contents(
    channel: Channel,
    paths: Sequence[Path],
    buckets: Buckets,
    *,
    is_compressed: bool,
    share: Share = WHOLE,
) -> Contents:
    """The contents of a channel, as its settings say.

    paths: of its objects, in order; of an augmented manifest that alone · share: of this host
    Objects (or lines of a manifest) are dealt to the hosts like cards, in an order drawn anew for
    every epoch where the channel has a seed. Memory: an index of the manifest, if there is one.
    """
    if channel.data_type == "AugmentedManifestFile":
        manifest = Manifest(paths[0], channel.attributes, buckets, is_compressed)
        return _of_manifest(channel, manifest, share)
    return _of_objects(channel, _named(paths, is_compressed), share)


def _of_objects(channel: Channel, objects: Sequence[Object], share: Share) -> Contents:
    def each(epoch: int) -> Sequence[Segment]:
        return [objects[i] for i in _deal(channel, len(objects), epoch, share)]

    def framed(epoch: int) -> Sequence[Segment]:
        order = _deal(channel, len(objects), epoch, share)
        return _series(channel, epoch, order, lambda: (objects[i] for i in order))

    size = sum(o.path.stat().st_size for o in objects)
    if channel.record_wrapper == "RecordIO":
        return Contents(framed, size / share.of)
    return Contents(each, size / max(1, len(objects)))


def _of_manifest(channel: Channel, manifest: Manifest, share: Share) -> Contents:
    def each(epoch: int) -> Sequence[Segment]:
        width, order = len(channel.attributes), _deal(channel, len(manifest), epoch, share)
        return Lazy(
            len(order) * width, lambda i: manifest.value(order[i // width] * width + i % width)
        )

    def framed(epoch: int) -> Sequence[Segment]:
        order = _deal(channel, len(manifest), epoch, share)
        return _series(channel, epoch, order, lambda: manifest.values(order))

    is_framed = channel.record_wrapper == "RecordIO"
    return Contents(framed if is_framed else each, 0)


def _deal(channel: Channel, count: int, epoch: int, share: Share) -> Sequence[int]:
    order = draw(channel.shuffle_seed, count, SHARDS, epoch)
    dealt: list[int] = order[share.index :: share.of].tolist()
    return dealt


def _series(
    channel: Channel,
    epoch: int,
    order: Sequence[int],
    values: Callable[[], Iterable[Object | Value]],
) -> Sequence[Segment]:
    """One segment of a record each."""

    def pieces() -> Iterator[Piece]:
        for value in values():
            yield from value.frame()

    return [Series(f"{channel.name}_{epoch}", pieces)] if order else []


def _named(paths: Sequence[Path], is_compressed: bool) -> list[Object]:
    """The objects that have bytes and are not hidden, as in File mode, called by their names."""
    present = [p for p in paths if not p.name.startswith((".", "_")) and p.stat().st_size]
    is_plain = len({p.name for p in present}) == len(present)
    return [Object(p, p.name if is_plain else str(p), is_compressed) for p in present]


class Lazy(Sequence[T], Generic[T]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, size: int, make: Callable[[int], T]) -> None:
        self._size, self._make = size, make

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(self._size)[index]]
        return self._make(range(self._size)[index])

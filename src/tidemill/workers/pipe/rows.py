"""A channel in Pipe mode as rows: every pass reads a FIFO of its own, from its first byte on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.data import content_type as types
from tidemill.data import lines
from tidemill.data.batch import Batch
from tidemill.data.content_type import ContentType
from tidemill.data.cursor import START, Cursor
from tidemill.data.files import TRAINING, empty
from tidemill.data.formats import libsvm, pairs
from tidemill.data.forward import ForwardSource
from tidemill.data.shard import Format
from tidemill.data.stream import Stream
from tidemill.errors import Invalid, UnsupportedType
from tidemill.spec.channel import Channel
from tidemill.storage.bucket import Buckets
from tidemill.workers.pipe.augmented import REFERENCE
from tidemill.workers.pipe.contents import Contents, Lazy, Share, contents
from tidemill.workers.pipe.feeder import Feeder
from tidemill.workers.pipe.outlet import Outlet
from tidemill.workers.pipe.segment import Replay, Segment


@dataclass(frozen=True, slots=True)
class Plumbing:
    """directory: where the FIFOs appear · buckets: of the objects that manifests refer to
    index, hosts: which one of how many this host is"""

    directory: Path
    buckets: Buckets
    index: int = 0
    hosts: int = 1


@dataclass(frozen=True, slots=True)
class Form:
    """How the bytes become rows. label_size: as for files · is_text: rows are lines of text
    allows_missing: features may be NaN"""

    kind: ContentType
    batch_rows: int
    label_size: int = 0
    is_text: bool = False
    allows_missing: bool = False


class PipeRows:
    """The rows of a channel; one pass at a time.

    Pass n reads ``<channel>_n``. A pass that goes on from a cursor reads the same FIFO again, and
    passes over what lies before. Memory is bounded by the pipe and a few blocks.
    """

    def __init__(
        self, name: str, what: Contents, form: Form, directory: Path, format_: Format | None = None
    ) -> None:
        self._name, self._contents, self._form = name, what, form
        self._directory, self._format = directory, format_
        self._segments: Sequence[Segment] = ()

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        """Batches of one pass; none where this host has no share of it. Raises InvalidData."""
        segments = self._segments = self._contents.segments(pass_)
        if not segments:
            return
        with Outlet(Feeder(self._directory / f"{self._name}_{pass_}", segments)) as outlet:
            sources = Lazy(len(segments), lambda i: self._source(outlet, i, segments[i]))
            rows, missing = self._form.batch_rows, self._form.allows_missing
            yield from Stream(sources, rows, allows_missing=missing).read(pass_, start)

    def share_read(self, cursor: Cursor) -> float:
        """About which fraction of the pass lies before a cursor."""
        count, size = len(self._segments), self._contents.size
        if not count:
            return 1.0
        part = min(1.0, cursor.offset / size) if size else 0.0
        return min(1.0, (cursor.shard + part) / count)

    def _source(self, outlet: Outlet, number: int, segment: Segment) -> ForwardSource:
        form = self._form
        return ForwardSource(
            segment.name,
            form.kind.media,
            form.label_size,
            inflow=lambda: outlet.turn_to(number),
            again=lambda: Replay(segment),
            is_text=form.is_text,
            format=self._format,
        )


def open_pipe(
    channel: Channel, paths: Sequence[Path], form: Form, plumbing: Plumbing, *, is_dealt: bool
) -> PipeRows:
    """The rows of a channel in Pipe mode.

    paths: of its objects on all hosts, in order · is_dealt: whether each host gets a share of them
    Raises Invalid for settings whose bytes no built-in algorithm could read, NoRows, InvalidData.
    """
    _check(channel, form)
    what = contents(
        channel,
        paths,
        plumbing.buckets,
        is_compressed=channel.compression == "Gzip" or all(p.suffix == ".gz" for p in paths),
        share=Share(plumbing.index, plumbing.hosts) if is_dealt else Share(),
    )
    if not is_dealt and not what.segments(0):
        raise empty(f"{len(paths)} objects without a byte")
    has_pairs = form.is_text and channel.data_type == "AugmentedManifestFile"
    format_ = pairs.format_of(len(channel.attributes)) if has_pairs else _format_of(form.kind)
    return PipeRows(channel.name, what, form, plumbing.directory, format_)


def _format_of(kind: ContentType) -> Format | None:
    """A format that depends on more than the media type."""
    if kind.media != types.LIBSVM:
        return None
    return Format(lines.cut, libsvm.reader(libsvm.layout_of(kind)))


def _check(channel: Channel, form: Form) -> None:
    name, is_framed = f"channel {channel.name!r}: ", channel.record_wrapper == "RecordIO"
    media = form.kind.media
    if media not in TRAINING:
        raise UnsupportedType(
            f"{name}ContentType must be one of {', '.join(TRAINING)}",
            got=media,
            do="Convert the data, for JSON to JSON Lines with an instance a line.",
        )
    if channel.data_type == "AugmentedManifestFile" and form.is_text:
        _check_texts(channel, is_framed)
        return
    strange = [a for a in channel.attributes if not a.endswith(REFERENCE)]
    if strange:
        raise Invalid(
            f"{name}AttributeNames must refer to objects of rows (names that end in "
            f"{REFERENCE}), as this algorithm reads no single values",
            got=strange,
            do="Write the rows to objects, and their S3 URIs to the manifest.",
        )
    if is_framed and media != types.RECORDIO:
        raise Invalid(
            f"{name}RecordWrapperType must be None, unless ContentType is {types.RECORDIO}",
            got=media,
            do="Leave RecordWrapperType out.",
        )


def _check_texts(channel: Channel, is_framed: bool) -> None:
    if not is_framed:
        raise Invalid(
            f"channel {channel.name!r}: RecordWrapperType must be RecordIO, or texts and labels "
            "would run into each other",
            got=channel.record_wrapper,
            do="Set RecordWrapperType to RecordIO.",
        )
    if len(channel.attributes) > 2:
        raise Invalid(
            f"channel {channel.name!r}: AttributeNames must be a text, or a text and its label",
            got=list(channel.attributes),
            do='Write ["source", "label"].',
        )

"""The channels of a job as rows, and which one is being read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tidemill.algorithms.base import Declaration
from tidemill.data import content_type, stream
from tidemill.data.batch import Batch
from tidemill.data.content_type import ContentType
from tidemill.data.cursor import START, Cursor
from tidemill.data.files import NoRows
from tidemill.errors import Invalid, UnsupportedType
from tidemill.spec.channel import Channel
from tidemill.training.loop import Rows
from tidemill.workers.inputs.download import is_dealt
from tidemill.workers.pipe.rows import Form, PipeRows, Plumbing, open_pipe
from tidemill.workers.train import earlier

REQUIRED = "train"


class Channels:
    """Opens channels.

    files: see ``inputs.download`` · plumbing: for those in Pipe mode; what is dealt out to several
    hosts may leave one without a row

    ``sizes``: bytes of each file, by channel · ``reading``: the channel whose rows were given out
    last, for whoever has to explain an error in them
    """

    def __init__(
        self,
        declaration: Declaration,
        channels: Sequence[Channel],
        files: Mapping[str, Sequence[Path]],
        batch_rows: int,
        plumbing: Plumbing,
    ) -> None:
        self._declaration, self._files, self._batch_rows = declaration, files, batch_rows
        self._plumbing = plumbing
        self._pipe: PipeRows | None = None
        self._accepted = [content_type.parse(c).media for c in declaration.content_types]
        self._channels = {c.name: c for c in channels}
        self.sizes = {name: [p.stat().st_size for p in paths] for name, paths in files.items()}
        self.reading: str | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._channels

    def files(self, name: str) -> Sequence[Path]:
        """The files of a channel on this host."""
        return self._files[name]

    def rows(self, name: str) -> Rows:
        """The rows of a channel; there are none on a host that got no share of its objects."""
        self.reading = name
        channel = self._channels[name]
        may_lack = self._plumbing.hosts > 1 and is_dealt(channel)
        try:
            rows = self._open(channel)
        except NoRows:
            if not may_lack:
                raise
            rows = None
        return _Watched(self, name, rows, may_lack)

    def share_read(self, cursor: Cursor) -> float:
        """About which fraction of a pass over the training rows lies before a cursor."""
        if self._pipe is not None:
            return self._pipe.share_read(cursor)
        files, size = len(self._files[REQUIRED]), sum(self.sizes[REQUIRED])
        if not files or not size:
            return 1.0
        return min(1.0, (cursor.shard + min(1.0, cursor.offset * files / size)) / files)

    def _open(self, channel: Channel) -> Rows | None:
        kind, files = self._kind(channel), self._files[channel.name]
        labels = self._declaration.label_size if kind.label_size is None else kind.label_size
        missing = self._declaration.allows_missing
        form = Form(kind, self._batch_rows, labels, content_type.TEXT in self._accepted, missing)
        if channel.input_mode == "Pipe":
            pipe = open_pipe(channel, files, form, self._plumbing, is_dealt=is_dealt(channel))
            self._pipe = pipe if channel.name == REQUIRED else self._pipe
            return pipe
        if not files:
            return None
        return stream.open_files(
            files,
            kind,
            batch_rows=self._batch_rows,
            label_size=labels,
            shuffle_seed=channel.shuffle_seed,
            is_compressed=channel.compression == "Gzip" or all(f.suffix == ".gz" for f in files),
            is_text=form.is_text,
            allows_missing=missing,
        )

    def _kind(self, channel: Channel) -> ContentType:
        is_augmented = channel.data_type == "AugmentedManifestFile"
        if is_augmented and content_type.TEXT in self._accepted:
            return ContentType(content_type.TEXT)  # whatever is named: clients name its wrapping
        asked = channel.content_type or self._declaration.default_content_type
        kind = content_type.parse(asked) if content_type.is_known(asked) else None
        if kind is None or kind.media not in self._accepted:
            raise UnsupportedType(
                f"channel {channel.name!r}: ContentType must be one of "
                f"{', '.join(self._accepted)} for {self._declaration.name}",
                got=channel.content_type,
                do="Convert the data, or name the content type that they have.",
            )
        return kind


class _Watched:
    """may_lack: whether it is no error that there are no rows"""

    def __init__(self, channels: Channels, name: str, rows: Rows | None, may_lack: bool) -> None:
        self._channels, self._name, self._rows = channels, name, rows
        self._may_lack = may_lack

    def read(self, pass_: int, start: Cursor = START) -> Iterator[tuple[Batch, Cursor]]:
        if self._rows is not None:
            self._channels.reading = self._name
            try:
                yield from self._rows.read(pass_, start)
            except NoRows:
                if not self._may_lack:
                    raise
            self._channels.reading = None


def check(declaration: Declaration, channels: Sequence[Channel]) -> None:
    """Raise Invalid unless the job has the channels that the algorithm needs, and no others.

    One that goes on from an earlier model can do without rows: then a model is made of what was
    seen before.
    """
    accepted = (*declaration.channels, earlier.CHANNEL)
    names = [c.name for c in channels]
    for name in names:
        if name not in accepted:
            raise Invalid(
                f"{declaration.name}: channels must be among {', '.join(accepted)}",
                got=name,
                do="Rename the channel in InputDataConfig, or take it out.",
            )
    if REQUIRED not in names and earlier.CHANNEL not in names:
        raise Invalid(
            f"{declaration.name}: the channel {REQUIRED!r} is required",
            got=names,
            do=f"Add a channel named {REQUIRED!r} to InputDataConfig.",
        )

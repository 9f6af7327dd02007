"""How requests of one content type and Accept are read, and the answers to them written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tidemill.algorithms.base import Columns, Declaration, Dialogue, Seamed
from tidemill.data import answer
from tidemill.data import content_type as types
from tidemill.data.batch import Batch
from tidemill.data.content_type import ContentType
from tidemill.data.seam import Seam, seam
from tidemill.errors import TidemillError
from tidemill.workers.serve.deal import deal
from tidemill.workers.serve.load import Load, load, together

Loaded = tuple[list[Load], Mapping[int, TidemillError]]


@dataclass(frozen=True, slots=True)
class Form:
    """media: of the answers · load: bodies to batches, and what was wrong with the others
    deal: the answers of one batch to the body of each of its requests
    media_of: of the answer to one request, by its index, where they are not all of one
    seam: how an answer is put together of those to slices of its rows, where it can be"""

    media: str
    load: Callable[[Sequence[bytes]], Loaded]
    deal: Callable[[Columns, Load], list[bytes]]
    media_of: Callable[[int], str] | None = None
    seam: Seam | None = None


def form_of(declaration: Declaration, asked: ContentType, accept: str | None) -> Form:
    """The form of a request; raises UnsupportedType when no answer would be accepted."""
    if declaration.dialogue is not None:
        return _own(declaration.dialogue, asked, accept)
    media = answer.negotiate(accept, answer.in_kind(asked.media, declaration.csv_accept))
    names = declaration.response_columns
    if declaration.verbose_columns and answer.is_verbose(accept):
        names = (*names, *declaration.verbose_columns)

    def dealt(columns: Columns, load: Load) -> list[bytes]:
        return deal(columns, load.counts, media, declaration.response_key, names)

    cut = seam(media, declaration.response_key)
    return Form(media, partial(load, kind=asked), dealt, seam=cut)


def _own(dialogue: Dialogue, asked: ContentType, accept: str | None) -> Form:
    """As the algorithm has it; JSON is answered in kind, the rest as it prefers."""
    in_kind = asked.media in (types.JSON, types.JSON_LINES) and asked.media in dialogue.accepts
    default = asked.media if in_kind else dialogue.accepts[0]
    media = answer.negotiate(accept, default, tuple(dialogue.accepts))
    wanted = ContentType(media, answer.parameters_of(accept, media))

    def dealt(columns: Columns, load: Load) -> list[bytes]:
        bodies, at = [], 0
        for count in load.counts:
            mine = {name: column[at : at + count] for name, column in columns.items()}
            bodies.append(dialogue.encode(mine, load.batch.rows(at, at + count), wanted))
            at += count
        return bodies

    def decode(body: bytes) -> Batch:
        return dialogue.decode(body, asked)

    cut = dialogue.seams.get(media) if isinstance(dialogue, Seamed) else None
    return Form(media, partial(together, decode=decode), dealt, seam=cut)

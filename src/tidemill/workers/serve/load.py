"""The bodies of many requests as few batches; a bad body spoils no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from tidemill.data import content_type as types
from tidemill.data import request
from tidemill.data.batch import Batch, Csr, concatenate
from tidemill.data.checks import require_finite
from tidemill.data.content_type import ContentType
from tidemill.data.formats import json
from tidemill.errors import TidemillError

_RECORD_MAGIC = 0xCED7230A.to_bytes(4, "little")
Counts = Sequence[int]
SMALL = 2 << 10
"""Bytes of a body, up to which many are quicker decoded in one go than each by the kernel."""


@dataclass(frozen=True, slots=True)
class Load:
    """Rows of several requests. requests: their indices · counts: rows of each, in that order"""

    batch: Batch
    requests: Sequence[int]
    counts: Counts


def load(
    bodies: Sequence[bytes], kind: ContentType
) -> tuple[list[Load], Mapping[int, TidemillError]]:
    """Batches of one width each, and what was wrong with the bodies that are in none."""
    is_small = sum(map(len, bodies)) <= SMALL * len(bodies)
    if is_small and len(bodies) > 1 and (joined := _in_one_go(bodies, kind)):
        batch, counts = joined
        return [Load(batch, range(len(bodies)), counts)], {}
    return together(bodies, lambda body: request.decode(body, kind))


def _in_one_go(bodies: Sequence[bytes], kind: ContentType) -> tuple[Batch, Counts] | None:
    """All bodies, the quick way; None when one of them is out of the ordinary."""
    join = _JOINS.get(kind.media)
    try:
        return join(bodies, kind) if join else None
    except TidemillError:
        return None


def together(
    bodies: Sequence[bytes], decode: Callable[[bytes], Batch]
) -> tuple[list[Load], Mapping[int, TidemillError]]:
    """The bodies decoded one by one, and joined with those that are alike."""
    alike: dict[tuple[int, ...], list[tuple[int, Batch]]] = {}
    errors: dict[int, TidemillError] = {}
    for index, body in enumerate(bodies):
        try:
            batch = decode(body)
        except TidemillError as error:
            errors[index] = error
        else:
            alike.setdefault(_looks(batch), []).append((index, batch))
    loads = [
        Load(concatenate([b for _, b in found]), [i for i, _ in found], [len(b) for _, b in found])
        for found in alike.values()
    ]
    return loads, errors


def _looks(batch: Batch) -> tuple[int, ...]:
    """What two batches must have in common to be joined."""
    has = (isinstance(batch.features, Csr), batch.labels is None, batch.weights is None)
    return (batch.columns, *has, batch.text is None)


def _join_lines(bodies: Sequence[bytes], kind: ContentType) -> tuple[Batch, Counts] | None:
    """Bodies of one line each. Quotes and carriage returns could make one body end in another."""
    lines = [body.rstrip(b"\r\n") for body in bodies]
    joined = b"\n".join(lines)
    if joined.count(b"\n") != len(lines) - 1 or b'"' in joined or b"\r" in joined:
        return None
    batch = request.decode(joined, kind)
    return (batch, [1] * len(lines)) if len(batch) == len(lines) else None


def _join_instances(bodies: Sequence[bytes], kind: ContentType) -> tuple[Batch, Counts] | None:
    try:
        found = [orjson.loads(body)["instances"] for body in bodies]
    except (ValueError, TypeError, KeyError):
        return None
    if not all(isinstance(instances, list) and instances for instances in found):
        return None
    instances = [i for several in found for i in several]
    batch = json.rows(instances, "instance {}".format)
    require_finite(batch)
    return batch, [len(several) for several in found]


def _join_json_lines(bodies: Sequence[bytes], kind: ContentType) -> tuple[Batch, Counts] | None:
    try:
        instances = [orjson.loads(body) for body in bodies]
    except ValueError:  # more than a line, or not JSON
        return None
    batch = json.rows(instances, "line {}".format)
    require_finite(batch)
    return batch, [1] * len(bodies)


def _join_records(bodies: Sequence[bytes], kind: ContentType) -> tuple[Batch, Counts] | None:
    """Bodies of one whole record each."""
    for body in bodies:
        length = int.from_bytes(body[4:8], "little")
        if body[:4] != _RECORD_MAGIC or len(body) != 8 + (length + 3 & ~3):
            return None
    batch = request.decode(b"".join(bodies), kind)
    return (batch, [1] * len(bodies)) if len(batch) == len(bodies) else None


_JOINS: Mapping[str, Callable[[Sequence[bytes], ContentType], tuple[Batch, Counts] | None]] = {
    types.CSV: _join_lines,
    types.JSON: _join_instances,
    types.JSON_LINES: _join_json_lines,
    types.RECORDIO: _join_records,
}

"""What is built of each AWS service, read from the code that answers: for the page that tells it.

built: does what AWS documents · record only: written down, told, changed and removed, but nothing
here acts on it; or (of S3) told as what was never set · not built: refused by name
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import parse_qsl

from tidemill.gateway.call import Handler
from tidemill.gateway.resources.record import Record
from tidemill.gateway.s3 import app
from tidemill.gateway.s3.call import Call
from tidemill.gateway.s3.problem import Problem
from tidemill.gateway.services import SPOKEN, Spoken
from tidemill.gateway.wire.model import Operation, service

Depth = Literal["built", "record only", "not built"]
BUILT: Depth = "built"
RECORD: Depth = "record only"
MISSING: Depth = "not built"

# Records that are more: jobs, Search and lineage write and read them.
_ALIVE = frozenset(
    {
        "Action",
        "Artifact",
        "Context",
        "Experiment",
        "ModelPackageGroup",
        "Trial",
        "TrialComponent",
    }
)
# On the wire it is ListBuckets: clients of directory buckets ask another host.
_ELSEWHERE = frozenset({"ListDirectoryBuckets", "WriteGetObjectResponse"})


def coverage() -> dict[str, dict[str, Depth]]:
    """Service → operation → how far it is built, for every operation that AWS's model has.

    >>> coverage()["Amazon SageMaker"]["CreateTrainingJob"]
    'built'
    """
    return {**{spoken.title: _of(spoken) for spoken in SPOKEN}, "Amazon S3": _of_buckets()}


def of_names(model: str, built: Mapping[str, object]) -> dict[str, Depth]:
    """The same, of a service of which these operations are built."""
    return {name: BUILT if name in built else MISSING for name in service(model).names}


def _of(spoken: Spoken) -> dict[str, Depth]:
    records = {name for handler in spoken.handlers.values() for name in _recorded(handler)}
    found = of_names(spoken.model, spoken.handlers)
    return {name: RECORD if d == BUILT and name in records else d for name, d in found.items()}


def _recorded(handler: Handler) -> set[str]:
    """The operations of the record that a handler belongs to, if it is one's."""
    owner = getattr(handler, "__self__", None)
    if not isinstance(owner, Record) or owner.noun.name in _ALIVE:
        return set()
    return {f"{verb}{owner.noun.name}" for verb in ("Create", "Describe", "Update", "Delete")} | {
        f"List{owner.plural}"
    }


def _of_buckets() -> dict[str, Depth]:
    model = service("s3")
    found = {name: model.operation(name) for name in model.names}
    return {name: _of_bucket(one) for name, one in found.items() if one is not None}


def _of_bucket(operation: Operation) -> Depth:
    """What a request that has all it must have would be taken for."""
    if operation.name in _ELSEWHERE:
        return MISSING
    try:
        chosen = app.operation(_asked(operation))
    except Problem:
        return MISSING
    return RECORD if app.is_unset(chosen) else BUILT


def _asked(operation: Operation) -> Call:
    path, _, query = operation.uri.partition("?")
    required = operation.input.required if operation.input else ()
    places = [operation.places[name] for name in required if name in operation.places]
    named = {name: "1" for place, name in places if place == "querystring"}
    nobody: Any = SimpleNamespace(method=operation.method)
    return Call(
        nobody,
        nobody,
        nobody,
        "bucket" if "{Bucket}" in path else "",
        "key" if "{Key" in path else "",
        {**dict(parse_qsl(query, keep_blank_values=True)), **named},
        {name.lower(): "x" for place, name in places if place == "header"},
    )

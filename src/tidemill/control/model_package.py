"""Model packages: versions of a group, numbered from 1 and never twice, or named by themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, Invalid
from tidemill.store.base import Document, Query, Row

KIND = "model_package"
GROUP = "model_package_group"
VERSIONED, UNVERSIONED = "Versioned", "Unversioned"
TYPE_LABEL, GROUP_LABEL = "type", "group"
# A client that repeats a request does so within minutes: of older ones nothing need be known.
_TOKENS_KEPT = 100


def create_version(
    verbs: Verbs, region: str, group: str, request: Mapping[str, Any], token: str = ""
) -> str:
    """Write the next version of a group down; its name, ``GROUP/NUMBER``.

    request: with its ModelApprovalStatus · token: of the client; the same one again with the same
    request is the same version, with another raises Invalid. Raises NotFound without the group.
    """
    made = {"digest": _digest(request)}

    def next_of(row: Row) -> tuple[Row, Row]:
        state = row.document["state"]
        tokens: dict[str, Any] = state.get("tokens", {})
        if token in tokens:
            raise _Repeated(row.name, *tokens[token])
        number = state.get("latest", 0) + 1
        kept = dict(list(tokens.items())[1 - _TOKENS_KEPT :])
        if token:
            kept[token] = [number, made["digest"]]
        document = {**row.document, "state": {**state, "latest": number, "tokens": kept}}
        return _version(verbs, row, number, request), replace(row, document=document)

    try:
        return verbs.create_beside(GROUP, region, group, next_of).name
    except _Repeated as earlier:
        _must_be_the_same(earlier.digest, made["digest"], token)
        return f"{group}/{earlier.number}"


def create_unversioned(
    verbs: Verbs,
    region: str,
    name: str,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
    token: str = "",
) -> str:
    """Write a package of its own down; its name. Raises Conflict when that is taken."""
    digest = _digest(request)
    document: Document = {
        "request": dict(request),
        "labels": {TYPE_LABEL: [UNVERSIONED]},
        "state": {"token": token, "digest": digest},
    }
    try:
        return verbs.create(KIND, region, name, document, "", tags).name
    except Conflict:
        known = verbs.describe(KIND, region, name).document["state"]
        if not token or known.get("token") != token:
            raise
        _must_be_the_same(known["digest"], digest, token)
        return name


def is_empty(verbs: Verbs, group: Row) -> bool:
    """Whether a group has no versions."""
    query = Query(KIND, group.region, labels=((GROUP_LABEL, group.name),), limit=1)
    return not verbs.list(query).rows


def _version(verbs: Verbs, group: Row, number: int, request: Mapping[str, Any]) -> Row:
    now = verbs.clock()
    document: Document = {
        "request": dict(request),
        "labels": {TYPE_LABEL: [VERSIONED], GROUP_LABEL: [group.name]},
        "state": {"group": group.name, "version": number},
    }
    status = request["ModelApprovalStatus"]
    return Row(KIND, group.region, f"{group.name}/{number}", status, now, now, document)


class _Repeated(Exception):
    """The client's token is known."""

    def __init__(self, group: str, number: int, digest: str) -> None:
        super().__init__(group)
        self.number = number
        self.digest = digest


def _must_be_the_same(earlier: str, now: str, token: str) -> None:
    if earlier != now:
        raise Invalid(
            "a ClientToken that belongs to this very request",
            got=token,
            do="Use a new token for a new request, or send the first one again unchanged.",
        )


def _digest(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]

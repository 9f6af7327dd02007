"""Feature groups: written down, changed, described for those who keep their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, NotFound
from tidemill.spec.feature_group import FeatureGroup, feature, seconds
from tidemill.storage import uri
from tidemill.store.base import Row

KIND = "feature_group"
CREATED, DELETING, DELETE_FAILED = "Created", "Deleting", "DeleteFailed"
ACTIVE, BLOCKED, DISABLED = "Active", "Blocked", "Disabled"
OFFLINE = "offline"
"""The label by which lists find groups by the status of their offline store."""
PARTIAL = ("Standard_V2", "InMemory")


def create(
    verbs: Verbs, region: str, name: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Write a feature group down; raises Conflict when the name is taken."""
    status = ACTIVE if "OfflineStoreConfig" in request else DISABLED
    document = {
        "request": dict(request),
        "state": {"offline": {"Status": status}},
        "labels": {OFFLINE: [status]},
    }
    return verbs.create(KIND, region, name, document, CREATED, tags)


def spec(row: Row, account: str) -> FeatureGroup:
    """The feature group that a row holds."""
    request = row.document["request"]
    online: Mapping[str, Any] = request.get("OnlineStoreConfig", {})
    defined = [feature(said) for said in request["FeatureDefinitions"]]
    return FeatureGroup(
        row.name,
        request["RecordIdentifierFeatureName"],
        request["EventTimeFeatureName"],
        {one.name: one for one in defined},
        bool(online.get("EnableOnlineStore")),
        resolved_uri(row, account),
        seconds(online.get("TtlDuration")),
        online.get("StorageType") in PARTIAL,
    )


def resolved_uri(row: Row, account: str) -> str:
    """Where the offline store's files of this group lie; empty where it has none."""
    config = row.document["request"].get("OfflineStoreConfig")
    if config is None:
        return ""
    return uri.join(
        config["S3StorageConfig"]["S3Uri"],
        f"{account}/sagemaker/{row.region}/offline-store/{row.name}-{int(row.created)}/data",
    )


def table_name(row: Row) -> str:
    """Of its offline store, as a catalog of tables would have it."""
    return f"{row.name.replace('-', '_')}_{int(row.created)}"


def add(verbs: Verbs, region: str, name: str, definitions: Sequence[Mapping[str, Any]]) -> None:
    """Add features; what was written before has none of them. Raises NotFound, Conflict."""
    now = verbs.clock()

    def changed(row: Row) -> Row:
        _must_be_created(row)
        request = row.document["request"]
        known = {said["FeatureName"]: said for said in request["FeatureDefinitions"]}
        fresh = {said["FeatureName"]: said for said in definitions}
        if taken := known.keys() & fresh.keys():
            raise Conflict("features that the group does not have", got=sorted(taken), do="")
        state = row.document["state"]
        added = {**state.get("added", {}), **dict.fromkeys(fresh, now)}
        return _with(
            row,
            {**request, "FeatureDefinitions": [*known.values(), *fresh.values()]},
            {**state, "added": added, "updated": True},
        )

    verbs.change(KIND, region, name, changed)


def configure(verbs: Verbs, region: str, name: str, sent: Mapping[str, Mapping[str, Any]]) -> None:
    """Change members of the request's OnlineStoreConfig, ThroughputConfig; an empty one goes."""

    def changed(row: Row) -> Row:
        _must_be_created(row)
        request = dict(row.document["request"])
        for member, fields in sent.items():
            config = {**request.get(member, {}), **fields}
            request[member] = {key: value for key, value in config.items() if value != {}}
        return _with(row, request, {**row.document["state"], "updated": True})

    verbs.change(KIND, region, name, changed)


def annotate(
    verbs: Verbs,
    region: str,
    name: str,
    of: str,
    fn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    """Put ``fn(metadata)`` in place of what is known of a feature; ``fn`` may raise to refuse."""
    now = verbs.clock()

    def changed(row: Row) -> Row:
        state = row.document["state"]
        metadata: Mapping[str, Any] = state.get("metadata", {})
        told = {**fn(metadata.get(of, {})), "modified": now}
        return _with(row, row.document["request"], {**state, "metadata": {**metadata, of: told}})

    verbs.change(KIND, region, name, changed)


def offline_status(verbs: Verbs, row: Row, reason: str = "") -> None:
    """Write down whether the offline store can be written into, if that is news.

    Raises NotFound when the group is gone, as ``status`` and ``remove`` do.
    """
    told = {"Status": BLOCKED, "BlockedReason": reason[:1024]} if reason else {"Status": ACTIVE}

    def changed(found: Row) -> Row:
        _must_be(row, found)
        state = found.document["state"]
        if state["offline"] == told:
            return found
        document = {**found.document, "labels": {OFFLINE: [told["Status"]]}}
        return replace(found, document={**document, "state": {**state, "offline": told}})

    verbs.change(KIND, row.region, row.name, changed)


def status(verbs: Verbs, row: Row, wanted: str, failure: str = "") -> Row:
    """Write down how the group stands."""

    def changed(found: Row) -> Row:
        _must_be(row, found)
        state = {**found.document["state"], "failure": failure[:1024]}
        return replace(found, status=wanted, document={**found.document, "state": state})

    return verbs.change(KIND, row.region, row.name, changed)


def remove(verbs: Verbs, row: Row) -> None:
    """Forget the group."""
    verbs.delete(KIND, row.region, row.name, lambda found: _must_be(row, found))


def _must_be(row: Row, found: Row) -> None:
    """Under the name of one that was deleted there may be another by now."""
    if found.serial != row.serial:
        raise NotFound("a feature group that is not deleted", got=row.name, do="")


def _with(row: Row, request: Mapping[str, Any], state: Mapping[str, Any]) -> Row:
    return replace(row, document={**row.document, "request": request, "state": state})


def _must_be_created(row: Row) -> None:
    if row.status != CREATED:
        raise Conflict("a feature group in status Created", got=row.status, do="")

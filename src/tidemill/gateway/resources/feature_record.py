"""Records of feature groups on the wire: the operations of the feature store's runtime."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from tidemill.control import feature_group as groups
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.feature_group import NOUN, name_of, named
from tidemill.gateway.wire.errors import Fault
from tidemill.spec import feature_record
from tidemill.spec.feature_group import FeatureGroup, seconds
from tidemill.spec.feature_record import MICROSECONDS, Record
from tidemill.store.features import Kept, Write

VALIDATION, NOT_FOUND = "ValidationError", "ResourceNotFound"
PAGE = 100
MOST_UPDATED = 100
ONLINE, OFFLINE = "OnlineStore", "OfflineStore"
_MARK = 12
_NEVER = 1 << 62


class Found(NamedTuple):
    """part: the number that the group's records are kept under"""

    part: int
    group: FeatureGroup


def put(call: Call) -> None:
    asked = call.request
    with _said(call):
        write = _write(_find(call, named(call)), asked, asked.get("TtlDuration"))
        call.platform.features.put([write], _now(call))


def get(call: Call) -> dict[str, Any]:
    asked = call.request
    with _said(call, NOT_FOUND):
        found = _find(call, named(call))
        wanted = _wanted(found.group, asked.get("FeatureNames"))
        kept = call.platform.features.get(
            found.part, asked["RecordIdentifierValueAsString"], _now(call)
        )
    return {} if kept is None or kept.deleted else _told(call, kept, wanted)


def delete(call: Call) -> None:
    """Softly, so that it is known to be deleted; or for good. Offline that is told either way."""
    asked = call.request
    features, now = call.platform.features, _now(call)
    with _said(call):
        found = _find(call, named(call))
        group, who = found.group, asked["RecordIdentifierValueAsString"]
        moment = asked["EventTime"]
        record = Record(
            feature_record.identifier(who),
            feature_record.event(group, moment),
            {group.identifier: who, group.event_time: moment},
        )
        online, offline = _stores(group, asked)
        kept = _kept(record, group.ttl, deleted=True)
        write = Write(found.part, kept, online, offline)
        if online and asked.get("DeletionMode") == "HardDelete":
            features.remove(write, now)
        else:
            features.put([write], now)


def update(call: Call) -> None:
    """Some features of a record that is there; the others stay."""
    asked = call.request
    with _said(call, NOT_FOUND):
        found = _find(call, named(call))
        group = found.group
        if not group.partial:
            raise _invalid("UpdateRecord needs an online store of type Standard_V2 or InMemory.")
        if len(asked["Features"]) > MOST_UPDATED:
            raise _invalid(f"UpdateRecord takes at most {MOST_UPDATED} features.")
        fresh = feature_record.checked(group, asked["Features"])
        who = asked["RecordIdentifierValueAsString"]
        if fresh.get(group.identifier, who) != who:
            raise _invalid("The identifier of a record cannot be changed.")
        if "TtlDuration" in asked and group.event_time not in fresh:
            raise _invalid("A TtlDuration needs an EventTime among the features.")
        told = {one["FeatureName"] for one in asked["Features"]}
        gone = told - fresh.keys() - {group.identifier, group.event_time}
        online, offline = _stores(group, asked)

        def changed(kept: Kept | None) -> Write:
            if kept is None or kept.deleted:
                raise Fault(NOT_FOUND, f"Record {who} does not exist.", status=404)
            values = {**orjson.loads(kept.body), **fresh}
            sent = [_feature(name, value) for name, value in values.items() if name not in gone]
            record = feature_record.record(group, sent)
            if record.event < kept.event:
                raise Fault(
                    "ConflictException",
                    f"The EventTime is older than the record's: {feature_record.told(kept.event)}.",
                    status=409,
                )
            ttl = seconds(asked.get("TtlDuration"))
            lasts = None if kept.expires is None else kept.expires - kept.event
            expires = None if lasts is None else record.event + lasts
            fresh_kept = _kept(record, ttl)
            merged = fresh_kept if ttl else replace(fresh_kept, expires=expires)
            return Write(found.part, merged, online, offline)

        call.platform.features.change(found.part, who, changed, _now(call))


def batch_get(call: Call) -> dict[str, Any]:
    records, errors = [], []
    for one in call.request["Identifiers"]:
        given = one["FeatureGroupName"]
        try:
            found = _find(call, name_of(call, given))
            wanted = _wanted(found.group, one.get("FeatureNames"))
        except (Fault, Invalid) as error:
            fault = error if isinstance(error, Fault) else _invalid(str(error))
            errors += [
                {
                    "FeatureGroupName": given,
                    "RecordIdentifierValueAsString": who,
                    "ErrorCode": fault.code,
                    "ErrorMessage": fault.message,
                }
                for who in one["RecordIdentifiersValueAsString"]
            ]
            continue
        for who in one["RecordIdentifiersValueAsString"]:
            kept = call.platform.features.get(found.part, who, _now(call))
            told = {} if kept is None or kept.deleted else _told(call, kept, wanted)
            if told:
                records.append(
                    {"FeatureGroupName": given, "RecordIdentifierValueAsString": who, **told}
                )
    return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}


def batch_write(call: Call) -> dict[str, Any]:
    writes, errors, entries = [], [], []
    for entry in call.request["Entries"]:
        try:
            found = _find(call, name_of(call, entry["FeatureGroupName"]))
            ttl = entry.get("TtlDuration", call.request.get("TtlDuration"))
            writes.append(_write(found, entry, ttl))
            entries.append(entry)
        except (Fault, Invalid) as error:
            fault = error if isinstance(error, Fault) else _invalid(str(error))
            errors.append(
                {"Entry": entry, "ErrorCode": fault.code, "ErrorMessage": fault.message[:2048]}
            )
    try:
        call.platform.features.put(writes, _now(call))
        left = []
    except NotFound:  # one of the groups went in between
        left = entries
    return {"Errors": errors, "UnprocessedEntries": left}


def list_(call: Call) -> dict[str, Any]:
    asked = call.request
    with _said(call, NOT_FOUND):
        found = _find(call, named(call))
        if not found.group.online:
            raise _invalid(_no_online(found.group))
        limit = asked.get("MaxResults", PAGE)
        page = call.platform.features.identifiers(
            found.part,
            _after(found.part, asked.get("NextToken")),
            limit + 1,
            _now(call),
            deleted=asked.get("IncludeSoftDeletedRecords", False),
        )
    if len(page) <= limit:
        return {"RecordIdentifiers": page}
    return {"RecordIdentifiers": page[:limit], "NextToken": _token(found.part, page[limit - 1])}


@contextmanager
def _said(call: Call, unknown: str = VALIDATION) -> Iterator[None]:
    """Errors in the words of this service. unknown: the code where there is no such group"""
    try:
        yield
    except Fault as fault:
        if fault.code == NOT_FOUND and unknown == VALIDATION:
            raise Fault(VALIDATION, fault.message) from None
        raise
    except Invalid as error:
        raise _invalid(str(error)) from None
    except NotFound:  # it went in between
        status = 404 if unknown == NOT_FOUND else 400
        raise Fault(unknown, NOUN.missing(call, named(call)).message, status=status) from None
    except Conflict:
        raise _invalid(
            "EventTime must be later than that of the record in the online store."
        ) from None


def _find(call: Call, name: str) -> Found:
    try:
        row = NOUN.find(call, name)
    except Fault as fault:
        raise Fault(NOT_FOUND, fault.message, status=404) from None
    if row.status != groups.CREATED:
        raise Fault(NOT_FOUND, NOUN.missing(call, name).message, status=404)
    return Found(row.serial, groups.spec(row, call.platform.account))


def _write(found: Found, asked: Mapping[str, Any], ttl: Mapping[str, Any] | None) -> Write:
    """What a PutRecord, or an entry of a BatchWriteRecord, asks for."""
    record = feature_record.record(found.group, asked["Record"])
    online, offline = _stores(found.group, asked)
    return Write(found.part, _kept(record, seconds(ttl) or found.group.ttl), online, offline)


def _stores(group: FeatureGroup, asked: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the online and the offline store are meant: those that are named, else all."""
    wanted = asked.get("TargetStores")
    if wanted is None:
        return group.online, bool(group.offline)
    if ONLINE in wanted and not group.online:
        raise _invalid(_no_online(group))
    if OFFLINE in wanted and not group.offline:
        raise _invalid(f"The offline store of FeatureGroup {group.name} is not enabled.")
    return ONLINE in wanted, OFFLINE in wanted


def _no_online(group: FeatureGroup) -> str:
    return f"The online store of FeatureGroup {group.name} is not enabled."


def _wanted(group: FeatureGroup, names: list[str] | None) -> frozenset[str] | None:
    """The features to tell; None for all."""
    if not group.online:
        raise _invalid(_no_online(group))
    for name in names or ():
        if name not in group.features:
            raise _invalid(f"FeatureGroup {group.name} has no feature {name}.")
    return None if names is None else frozenset(names)


def _kept(record: Record, ttl: int, *, deleted: bool = False) -> Kept:
    expires = min(record.event + ttl * MICROSECONDS, _NEVER) if ttl else None
    return Kept(record.identifier, record.event, expires, deleted, orjson.dumps(record.values))


def _told(call: Call, kept: Kept, wanted: frozenset[str] | None) -> dict[str, Any]:
    """A record as an answer has it; nothing when none of the wanted features has a value."""
    values: Mapping[str, Any] = orjson.loads(kept.body)
    told = [_feature(name, v) for name, v in values.items() if wanted is None or name in wanted]
    if not told:
        return {}
    if kept.expires is None or call.request.get("ExpirationTimeResponse") != "Enabled":
        return {"Record": told}
    return {"Record": told, "ExpiresAt": feature_record.told(kept.expires)}


def _feature(name: str, value: Any) -> dict[str, Any]:
    key = "ValueAsString" if isinstance(value, str) else "ValueAsStringList"
    return {"FeatureName": name, key: value}


def _invalid(message: str) -> Fault:
    return Fault(VALIDATION, f"Validation Error: {message}")


def _now(call: Call) -> int:
    return int(call.verbs.clock() * MICROSECONDS)


def _token(part: int, last: str) -> str:
    """It holds the last identifier of its page, and a mark by which it is known again."""
    mark = hashlib.sha256(f"{part}\0{last}".encode()).digest()[:_MARK]
    return urlsafe_b64encode(mark + last.encode()).decode()


def _after(part: int, token: str | None) -> str | None:
    if token is None:
        return None
    try:
        last = urlsafe_b64decode(token)[_MARK:].decode()
    except ValueError:
        last = ""
    if _token(part, last) != token:
        raise _invalid("NextToken was not issued by ListRecords; start again without it.")
    return last


OPERATIONS: dict[str, Handler] = {
    "PutRecord": put,
    "GetRecord": get,
    "DeleteRecord": delete,
    "UpdateRecord": update,
    "BatchGetRecord": batch_get,
    "BatchWriteRecord": batch_write,
    "ListRecords": list_,
}

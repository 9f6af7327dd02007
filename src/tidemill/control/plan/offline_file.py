"""How records lie in the offline store: Parquet, by the hour of their event, as SageMaker does.

``year=2024/month=01/day=31/hour=12/20240131T124500Z_x1Y2…16 characters….parquet``, the time being
that of the newest record in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from tidemill.data import arrow
from tidemill.spec.feature_group import Feature, FeatureGroup
from tidemill.store.features import Load, Spooled

HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TYPES = {"Integral": "int64", "Fractional": "float64", "String": "string"}
_READ = {"Integral": int, "Fractional": float, "String": str}


class OfflineFile(NamedTuple):
    """path: below the feature group's directory · table: of Arrow"""

    path: str
    table: Any


def files(group: FeatureGroup, load: Load, rows: Sequence[Spooled]) -> Iterator[OfflineFile]:
    """The files of a load: one an hour of events, the same ones whenever they are asked for."""
    wanted = schema(group)
    by_hour = sorted(rows, key=lambda row: row.event // HOUR)
    for hour, found in groupby(by_hour, key=lambda row: row.event // HOUR):
        inside = list(found)
        newest = _moment(max(row.event for row in inside))
        path = (
            f"{_moment(hour * HOUR):year=%Y/month=%m/day=%d/hour=%H}/"
            f"{newest:%Y%m%dT%H%M%SZ}_{_token(load, hour)}.parquet"
        )
        yield OfflineFile(path, _table(group, wanted, load, inside))


def schema(group: FeatureGroup) -> Any:
    """The columns, as Arrow has them: the features in order, and those that tell of the writing."""
    pa = arrow.module()
    time = pa.timestamp("us", tz="UTC")
    features = [pa.field(one.name, _kind(one)) for one in group.features.values()]
    ours = (("write_time", time), ("api_invocation_time", time), ("is_deleted", pa.bool_()))
    return pa.schema([*features, *(pa.field(name, kind) for name, kind in ours)])


def _kind(feature: Feature) -> Any:
    pa = arrow.module()
    kind = pa.type_for_alias(_TYPES[feature.type])
    return pa.list_(kind) if feature.collection else kind


def _table(group: FeatureGroup, wanted: Any, load: Load, rows: Sequence[Spooled]) -> Any:
    pa = arrow.module()
    told = [orjson.loads(row.body) for row in rows]
    columns: list[list[Any]] = [
        [_value(feature, values.get(name)) for values in told]
        for name, feature in group.features.items()
    ]
    columns += [
        [load.written] * len(rows),
        [row.received for row in rows],
        [row.deleted for row in rows],
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, wanted, strict=True)]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _value(feature: Feature, told: Any) -> Any:
    if told is None:
        return None
    read: Any = _READ[feature.type]
    return [read(one) for one in told] if feature.collection else read(told)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _token(load: Load, hour: int) -> str:
    """Sixteen letters and digits that no other load has."""
    digest = hashlib.sha256(f"{load.part}/{load.last}/{load.written}/{hour}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:16])

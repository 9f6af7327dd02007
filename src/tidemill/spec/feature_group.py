"""A feature group: the features of its records, and where records are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Type = Literal["Integral", "Fractional", "String"]
RESERVED = frozenset({"is_deleted", "write_time", "api_invocation_time"})
"""Columns of the offline store that are not features."""
MOST_FEATURES = 2_500
SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3_600, "Days": 86_400, "Weeks": 604_800}


@dataclass(frozen=True, slots=True)
class Feature:
    """collection: List, Set or Vector, empty for a single value · dimension: of a Vector"""

    name: str
    type: Type
    collection: str = ""
    dimension: int = 0


@dataclass(frozen=True, slots=True)
class FeatureGroup:
    """identifier, event_time: names of the features that tell whose a record is, and of when
    online: whether the newest record of each is kept at hand · ttl: seconds that it is kept, from
    its event on; 0 for ever · partial: whether single features of a record may be changed there
    offline: the S3 URI below which all records are written; empty for nowhere
    """

    name: str
    identifier: str
    event_time: str
    features: Mapping[str, Feature]
    online: bool
    offline: str = ""
    ttl: int = 0
    partial: bool = False


def feature(said: Mapping[str, Any]) -> Feature:
    """A feature as SageMaker defines it.

    >>> feature({"FeatureName": "age", "FeatureType": "Integral"})
    Feature(name='age', type='Integral', collection='', dimension=0)
    """
    vector: Mapping[str, Any] = said.get("CollectionConfig", {}).get("VectorConfig", {})
    return Feature(
        said["FeatureName"],
        said["FeatureType"],
        said.get("CollectionType", ""),
        vector.get("Dimension", 0),
    )


def seconds(duration: Mapping[str, Any] | None) -> int:
    """Of a TtlDuration; 0 where there is none.

    >>> seconds({"Unit": "Hours", "Value": 2})
    7200
    """
    return SECONDS[duration["Unit"]] * int(duration["Value"]) if duration else 0

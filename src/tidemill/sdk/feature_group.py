"""What a feature group knew at a moment: its offline store read as tables, joined in time."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidemill.errors import Invalid, Missing
from tidemill.sdk.connection import Connection, current

if TYPE_CHECKING:
    import pandas as pd

READERS = 8
WRITTEN = ("write_time", "api_invocation_time", "is_deleted")
"""Columns of the offline store that are not features."""
_EVENT, _ASKED = "__event", "__asked"
_PANDAS = {"Integral": "Int64", "Fractional": "float64", "String": "str"}


class FeatureGroup:
    """A feature group's history. Needs pandas; memory grows with the records read.

    What was put within the last minute may still be on its way.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self.name = name
        self._connection = connection

    def describe(self) -> dict[str, Any]:
        """What DescribeFeatureGroup tells."""
        client = self._connection.client("sagemaker")
        told: dict[str, Any] = client.describe_feature_group(FeatureGroupName=self.name)
        return told

    def history(self) -> pd.DataFrame:
        """Every record ever put, and the markers of deletions, in the order of their events.

        Of two at one moment the one that came later stands later.
        """
        return self._history(self.describe()).drop(columns=_EVENT)

    def as_of(self, moment: str | float | datetime | None = None) -> pd.DataFrame:
        """The newest record of each identifier at a moment (now), without those deleted.

        moment: ISO 8601 text, seconds since 1970, or a datetime
        """
        described = self.describe()
        rows = self._history(described)
        if moment is not None:
            rows = rows[rows[_EVENT] <= _moments(_pandas().Series([moment])).iloc[0]]
        newest = rows.groupby(described["RecordIdentifierFeatureName"], sort=False).tail(1)
        kept: pd.DataFrame = newest[~newest["is_deleted"].astype(bool)]
        return kept.drop(columns=[_EVENT, *WRITTEN]).reset_index(drop=True)

    def join(self, frame: pd.DataFrame, *, at: str, on: str | None = None) -> pd.DataFrame:
        """The rows of ``frame``, each with the features as they were at its moment.

        at: the column of moments · on: of identifiers, by default named as the group's own.
        What did not exist then, or was deleted, is null. No row sees anything of its future.
        """
        described = self.describe()
        key, event = described["RecordIdentifierFeatureName"], described["EventTimeFeatureName"]
        on = on or key
        for column in (at, on):
            if column not in frame.columns:
                raise Invalid("a column of the frame", got=column, do="Name one that it has.")
        rows = self._history(described)
        features = [n for n in _names(described) if n not in (key, event)]
        if taken := sorted({*features} & {*frame.columns}):
            raise Invalid(
                "columns that no feature is named as", got=taken, do="Rename them in the frame."
            )
        right = rows[[key, _EVENT, "is_deleted", *features]].rename(columns={key: _key(on)})
        left = frame.assign(
            **{_ASKED: _moments(frame[at]), _key(on): frame[on].astype(rows[key].dtype)}
        )
        left = left.set_axis(range(len(left))).sort_values(_ASKED, kind="stable").reset_index()
        keys = {"left_on": _ASKED, "right_on": _EVENT, "by": _key(on)}
        found: pd.DataFrame = _pandas().merge_asof(left, right, **keys)
        found = found.set_index("index").sort_index().set_axis(frame.index)
        # What no record was found for has no marker either.
        gone = found["is_deleted"].astype("object").fillna(True).astype(bool)
        found[features] = found[features].mask(gone)
        return found[[*frame.columns, *features]]

    def _history(self, described: Mapping[str, Any]) -> pd.DataFrame:
        """With a column of the moments of the events."""
        arrow = importlib.import_module("pyarrow")
        tables = self._tables(described)
        if tables:
            table = arrow.concat_tables(tables, promote_options="default")
            whole = {arrow.int64(): _pandas().Int64Dtype()}
            rows: pd.DataFrame = table.to_pandas(types_mapper=whole.get)
        else:
            rows = _empty(described)
        rows[_EVENT] = _moments(rows[described["EventTimeFeatureName"]])
        order = [_EVENT, "api_invocation_time", "write_time"]
        return rows.sort_values(order, kind="stable").reset_index(drop=True)

    def _tables(self, described: Mapping[str, Any]) -> list[Any]:
        if "OfflineStoreConfig" not in described:
            raise Invalid(
                "a feature group with an offline store",
                got=self.name,
                do="Create it with an OfflineStoreConfig.",
            )
        place = urlsplit(described["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"])
        s3, parquet = self._connection.client("s3"), importlib.import_module("pyarrow.parquet")

        def read(key: str) -> Any:
            body = s3.get_object(Bucket=place.netloc, Key=key)["Body"].read()
            return parquet.ParquetFile(io.BytesIO(body)).read()

        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(read, self._keys(s3, place.netloc, place.path[1:] + "/")))

    @staticmethod
    def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (one["Key"] for one in page.get("Contents", ()))


def feature_group(name: str, *, connection: Connection | None = None) -> FeatureGroup:
    """The feature group of that name, to be read as it was at any moment."""
    return FeatureGroup(name, connection or current())


def _names(described: Mapping[str, Any]) -> list[str]:
    return [one["FeatureName"] for one in described["FeatureDefinitions"]]


def _key(on: str) -> str:
    return f"__{on}"


def _empty(described: Mapping[str, Any]) -> pd.DataFrame:
    defined = described["FeatureDefinitions"]
    kinds = {
        one["FeatureName"]: "object" if "CollectionType" in one else _PANDAS[one["FeatureType"]]
        for one in defined
    }
    times = dict.fromkeys(WRITTEN[:2], "datetime64[us, UTC]")
    empty: dict[str, list[Any]] = {name: [] for name in (*kinds, *WRITTEN)}
    frame: pd.DataFrame = _pandas().DataFrame(empty)
    return frame.astype({**kinds, **times, "is_deleted": "bool"})


def _moments(column: pd.Series[Any]) -> pd.Series[Any]:
    """Of ISO 8601 text, seconds since 1970 or datetimes; those of no zone are taken for UTC."""
    pandas = _pandas()
    is_number = pandas.api.types.is_numeric_dtype(column)
    if is_number:
        found = pandas.to_datetime(column.astype("float64"), unit="s", utc=True)
    else:
        found = pandas.to_datetime(column, utc=True, format="ISO8601")
    moments: pd.Series[Any] = found.dt.as_unit("us")
    return moments


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError as error:
        raise Missing("pandas", got="none installed", do="pip install pandas") from error

"""Asynchronous endpoints: where the answers of queued requests go, and how many run at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MOST_CONCURRENT = 8
"""Of a replica, where the endpoint's config does not say: enough to fill its batches."""
LEAST_TTL, LONGEST_TTL = 60, 21_600
LONGEST_TIMEOUT, TIMEOUT = 3600, 900


@dataclass(frozen=True, slots=True)
class AsyncInference:
    """An AsyncInferenceConfig.

    output, failure: S3 URIs above all answers, and above all reasons why there is none
    concurrent: requests that one replica has under way at the most
    """

    output: str
    failure: str
    concurrent: int = MOST_CONCURRENT


def from_document(document: Mapping[str, Any] | None) -> AsyncInference | None:
    """Read what ``dataclasses.asdict`` (and JSON) made of one; None stays None, and fields of a
    later version are passed over.
    """
    if document is None:
        return None
    names = {one.name for one in fields(AsyncInference)}
    return AsyncInference(**{name: v for name, v in document.items() if name in names})

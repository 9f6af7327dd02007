"""Serverless variants: what is asked of one, and how much it is used at the moment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

LEAST_MEMORY, LARGEST_MEMORY, MEMORY_STEP = 1024, 6144, 1024
MOST_CONCURRENT = 200
# Bytes of a request's body, and seconds that an answer may take: AWS's bounds.
MAX_BODY, LONGEST_TIMEOUT = 4 * 2**20, 60.0


@dataclass(frozen=True, slots=True)
class Serverless:
    """A ServerlessConfig.

    memory_mb: asked for · max_concurrency: requests that may be under way or held at once
    provisioned: for so many of them replicas are kept warm
    """

    memory_mb: int
    max_concurrency: int
    provisioned: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """Of the serverless variant of an endpoint, as the router tells it.

    at: epoch seconds when a request last came, was held or was under way · peak: the most requests
    at once of the last half minute or so · at_once: the same of the last second
    """

    region: str
    endpoint: str
    at: float = 0.0
    peak: int = 0
    at_once: int = 0


def from_document(document: Mapping[str, Any] | None) -> Serverless | None:
    """Read what ``dataclasses.asdict`` (and JSON) made of one; None stays None, and fields of a
    later version are passed over.
    """
    if document is None:
        return None
    names = {one.name for one in fields(Serverless)}
    return Serverless(**{name: v for name, v in document.items() if name in names})


def to_json(demands: Iterable[Demand]) -> str:
    """The file that the router keeps (``spec.home.Home.demand``)."""
    return json.dumps([asdict(one) for one in demands])


def from_json(text: str) -> dict[tuple[str, str], Demand]:
    """By region and endpoint; raises ValueError or TypeError for anything else than such a file.

    >>> demand = Demand("us-east-1", "mill", 2.5, 3)
    >>> from_json(to_json([demand])) == {("us-east-1", "mill"): demand}
    True
    """
    names = {one.name for one in fields(Demand)}
    told = [Demand(**{k: v for k, v in dict(d).items() if k in names}) for d in json.loads(text)]
    return {(one.region, one.endpoint): one for one in told}

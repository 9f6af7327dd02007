"""Asynchronous endpoints: where the answers of queued requests go, and how many run at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from tidemill.errors import NotFound

MOST_CONCURRENT = 8
"""Of a replica, where the endpoint's config does not say: enough to fill its batches."""
LEAST_TTL, LONGEST_TTL = 60, 21_600
LONGEST_TIMEOUT, TIMEOUT = 3600, 900
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class AsyncInference:
    """An AsyncInferenceConfig.

    output, failure: S3 URIs above all answers, and above all reasons why there is none
    concurrent: requests that one replica has under way at the most · success_topic, error_topic:
    ARNs of who is told of answers, and of failures; empty for nobody
    """

    output: str
    failure: str
    concurrent: int = MOST_CONCURRENT
    success_topic: str = ""
    error_topic: str = ""


def from_document(document: Mapping[str, Any] | None) -> AsyncInference | None:
    """Read what ``dataclasses.asdict`` (and JSON) made of one; None stays None, and fields of a
    later version are passed over.
    """
    if document is None:
        return None
    names = {one.name for one in fields(AsyncInference)}
    return AsyncInference(**{name: v for name, v in document.items() if name in names})


def webhook(topics: str, arn: str) -> str:
    """The URL that a topic stands for. topics: JSON, names of topics → URLs on this machine.
    Raises NotFound.

    >>> webhook('{"done": "http://127.0.0.1:9000/done"}', "arn:aws:sns:eu-west-1:123456789012:done")
    'http://127.0.0.1:9000/done'
    """
    name = arn.rpartition(":")[2]
    try:
        url = json.loads(topics)[name]
        parts = urlsplit(url)
        is_here = parts.scheme == "http" and parts.hostname in LOOPBACK and parts.port != 0
    except (ValueError, KeyError, TypeError, AttributeError):
        url, is_here = None, False
    if not is_here:
        raise NotFound(
            f"topics.json in the platform's home must say which webhook topic {name!r} is",
            got=url,
            do='Write {"%s": "http://127.0.0.1:PORT/PATH"} there.' % name,  # noqa: UP031
        )
    found: str = url
    return found

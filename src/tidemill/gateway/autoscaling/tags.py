"""Tags of scalable targets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from tidemill.control import scalable_target
from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import Fault

MOST_TAGS = 50
_TAGGING = threading.Lock()


def list_all(call: Call) -> dict[str, Any]:
    """In the order of addition."""
    return {"Tags": dict(call.verbs.store.tags(_found(call)))}


def add(call: Call) -> None:
    """Those of a known key are replaced."""
    _change(call, lambda old: {**old, **call.request["Tags"]})


def remove(call: Call) -> None:
    """Keys that are not there are passed over."""
    gone = frozenset(call.request["TagKeys"])
    _change(call, lambda old: {k: v for k, v in old.items() if k not in gone})


def _change(call: Call, fn: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
    arn = _found(call)
    with _TAGGING:  # one process writes tags
        tags = fn(call.verbs.store.tags(arn))
        if len(tags) > MOST_TAGS:
            raise Fault("TooManyTagsException", f"A resource may have at most {MOST_TAGS} tags.")
        call.verbs.store.set_tags(arn, tags)


def _found(call: Call) -> str:
    arn: str = call.request["ResourceARN"]
    for row in call.verbs.store.unfinished(scalable_target.KIND, [scalable_target.ACTIVE]):
        if row.region == call.region and scalable_target.arn(call.verbs, row) == arn:
            return arn
    raise Fault("ResourceNotFoundException", f"No scalable target has the ARN {arn!r:.300}.")

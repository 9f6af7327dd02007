"""Variants whose count is scaled: rows of kind ``scalable_target``, named by their resource id."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tidemill.control import endpoint, scaling_activity, scaling_policy, scheduled_action
from tidemill.control.plan import fleet
from tidemill.control.scaling_activity import Activity
from tidemill.control.verbs import Verbs
from tidemill.errors import NotFound
from tidemill.store.base import Document, Row
from tidemill.traffic.scaling import Scaled

KIND, ACTIVE = "scalable_target", "Active"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED = "sagemaker:variant:DesiredProvisionedConcurrency"
"""Of a serverless variant."""
COUNTED = {DIMENSION: "desired instance count", PROVISIONED: "desired provisioned concurrency"}
"""Dimensions, and what each is called in scaling activities."""
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one. endpoint: serial of its row · last: change of its count · doing: the
    change under way · rests: no new change before that time
    """

    id: str
    endpoint: int
    last: Scaled
    doing: Document | None = None
    rests: float = 0.0

    def to_document(self) -> Document:
        """JSON."""
        return asdict(self)


def target(row: Row) -> Target:
    """Read what ``to_document`` wrote."""
    state = row.document["state"]
    return Target(**{**state, "last": Scaled(**state["last"])})


def names(resource: str) -> tuple[str, str] | None:
    """Endpoint and variant; None when it is no id of a variant.

    >>> names("endpoint/mill/variant/AllTraffic"), names("table/mill")
    (('mill', 'AllTraffic'), None)
    """
    match = _RESOURCE.fullmatch(resource)
    return None if match is None else (match[1], match[2])


def arn(verbs: Verbs, row: Row) -> str:
    """Application Auto Scaling's ARN of a target."""
    id = row.document["state"]["id"]
    service = "arn:aws:application-autoscaling"
    return f"{service}:{row.region}:{verbs.account}:scalable-target/{id}"


def count(verbs: Verbs, region: str, resource: str) -> tuple[Row, int] | None:
    """The endpoint's row and the count wanted of the variant; None when either is not there.

    Of a serverless variant the provisioned concurrency.
    """
    row, variant = _variant(verbs, region, resource)
    if row is None or variant is None:
        return None
    bounds = variant.get("serverless")
    return row, bounds["provisioned"] if bounds else variant["count"]


def dimension(verbs: Verbs, region: str, resource: str) -> str | None:
    """Which of ``COUNTED`` the variant has; None when it is not there."""
    _, variant = _variant(verbs, region, resource)
    if variant is None:
        return None
    return PROVISIONED if variant.get("serverless") else DIMENSION


def _variant(verbs: Verbs, region: str, resource: str) -> tuple[Row | None, Document | None]:
    named = names(resource)
    row = verbs.store.get(endpoint.KIND, region, named[0]) if named else None
    if row is None or named is None:
        return None, None
    variants = row.document["state"]["variants"]
    return row, next((v for v in variants if v["name"] == named[1]), None)


def fewest(row: Row) -> int:
    """The least that a count may be scaled to. row: of the endpoint"""
    return fleet.from_document(row.document["state"]).live.fewest


def register(
    verbs: Verbs, region: str, resource: str, request: Mapping[str, Any], tags: Mapping[str, str]
) -> Row:
    """Make it scalable, or change what the request names; what it does not name stays.

    tags: of a new one. Raises NotFound when there is no such variant.
    """

    def made() -> Row:
        found = count(verbs, region, resource)
        if found is None:
            raise NotFound("a variant of an endpoint", got=resource, do="DescribeEndpoint it.")
        now, (served, wanted) = verbs.clock(), found
        state = Target(f"0{secrets.token_hex(20)}", served.serial, Scaled(now, wanted, wanted))
        document = {"request": dict(request), "state": state.to_document()}
        return Row(KIND, region, resource, ACTIVE, now, now, document)

    change = partial(_changed, request=request)
    put = partial(verbs.put, KIND, region, resource, make=made, change=change)
    return put(arn=partial(arn, verbs), tags=tags)


def change(verbs: Verbs, region: str, resource: str, request: Mapping[str, Any]) -> Row:
    """Change what the request names of one that is there; raises NotFound."""
    return verbs.change(KIND, region, resource, lambda row: _changed(row, request))


def deregister(verbs: Verbs, region: str, resource: str) -> None:
    """Let it be, with its policies, their alarms and its schedule; raises NotFound."""
    verbs.describe(KIND, region, resource)
    for policy in scaling_policy.of(verbs, region, resource):
        scaling_policy.delete(verbs, policy)
    for action in scheduled_action.of(verbs, region, resource):
        scheduled_action.delete(verbs, action)
    _leave(verbs, verbs.delete(KIND, region, resource, arn=partial(arn, verbs)))


def _leave(verbs: Verbs, row: Row) -> None:
    """A change that was under way is followed no more."""
    doing = target(row).doing
    if doing is not None:
        said = {"status": "Unfulfilled", "message": "The scalable target was deregistered."}
        activity = Activity(**{**doing["activity"], **said, "end": verbs.clock()})
        scaling_activity.record(verbs, row.region, row.name, activity)


def _changed(row: Row, request: Mapping[str, Any]) -> Row:
    old = row.document["request"]
    suspended = {**old.get("SuspendedState", {}), **request.get("SuspendedState", {})}
    merged = {**old, **request, "SuspendedState": suspended}
    return replace(row, document={**row.document, "request": merged})

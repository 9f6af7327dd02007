"""SimulatePrincipalPolicy and SimulateCustomPolicy: what would be decided, by what decides."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.auth.access import EVERYTHING, ROLE, USER, Caller
from tidemill.auth.policy import Asked, Policy, Verdict, decide
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.entity import checked, missing, page
from tidemill.gateway.iam.roles import is_any_made
from tidemill.gateway.wire.errors import Fault

_KINDS = {"user": USER, "role": ROLE, "assumed-role": ROLE}


def simulate_principal_policy(call: Call) -> dict[str, Any]:
    caller = _principal(call, call.request["PolicySourceArn"])
    more = _policies(call, "PolicyInputList")
    context = {} if caller is None else caller.context(call.region, time.time())
    if caller is None:
        return _evaluated(call, (EVERYTHING,), (), context)
    return _evaluated(call, (*caller.policies, *more), caller.limits, context)


def simulate_custom_policy(call: Call) -> dict[str, Any]:
    limit = _policies(call, "PermissionsBoundaryPolicyInputList")
    return _evaluated(call, _policies(call, "PolicyInputList"), (limit,) if limit else (), {})


def _policies(call: Call, key: str) -> tuple[Policy, ...]:
    return tuple(checked(document) for document in call.request.get(key, ()))


def _evaluated(
    call: Call,
    policies: Sequence[Policy],
    limits: Sequence[Sequence[Policy]],
    context: Mapping[str, str],
) -> dict[str, Any]:
    given = {
        entry["ContextKeyName"].lower(): next(iter(entry.get("ContextKeyValues", ())), "")
        for entry in call.request.get("ContextEntries", ())
        if "ContextKeyName" in entry
    }
    both = {**context, **given}

    def verdict(action: str, resource: str) -> Verdict:
        return decide(policies, Asked(action, resource, both), limits)

    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": verdict(action, resource),
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in call.request["ActionNames"]
        for resource in call.request.get("ResourceArns") or ["*"]
    ]
    return page(call, "EvaluationResults", [(f"{n:06}", one) for n, one in enumerate(results)])


def _principal(call: Call, arn: str) -> Caller | None:
    """Whose policies are asked for; None may do everything."""
    access, parts = call.platform.access, arn.split(":", 5)
    kind, _, path = parts[-1].partition("/")
    if len(parts) < 6 or kind not in (*_KINDS, "root"):
        raise Fault("InvalidInput", f"Invalid Entity Arn: {arn}")
    name = path.split("/")[0] if kind == "assumed-role" else path.rpartition("/")[2]
    found = access.principal(_KINDS[kind], name) if kind in _KINDS else None
    if found is None and kind != "root" and (kind == "user" or is_any_made(call)):
        raise missing(f"The {_KINDS[kind]} with name {name} cannot be found.")
    return found


OPERATIONS: dict[str, Handler] = {
    "SimulateCustomPolicy": simulate_custom_policy,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}

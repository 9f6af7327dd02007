"""What a call asks for, in the words of policies: its action and the ARN of what it is about."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping

from tidemill.auth.access import ROLE, USER, Caller
from tidemill.auth.policy import Asked
from tidemill.auth.refusal import NotAllowed
from tidemill.gateway.call import Call

# Where actions are not called as signatures are scoped.
_PREFIXES = {"monitoring": "cloudwatch"}
_VERB = re.compile(r"(?:BatchDescribe|[A-Z][a-z]+?)(?=[A-Z])")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_KINDS = {
    "Trial": "experiment-trial",
    "TrialComponent": "experiment-trial-component",
    "EndpointWeightsAndCapacities": "endpoint",
}
_NAMES = {"EndpointWeightsAndCapacities": "EndpointName"}
# What anybody may ask who has a key, or is decided by whom a role trusts, too.
_FREE = frozenset({"sts:AssumeRole", "sts:GetCallerIdentity", "sts:GetSessionToken"})
_ROLES = ("RoleArn", "ExecutionRoleArn")
_OWN = frozenset(
    {"CreateAccessKey", "DeleteAccessKey", "GetUser", "ListAccessKeys", "UpdateAccessKey"}
)


def check(caller: Caller | None, call: Call, scope: str) -> None:
    """Raises NotAllowed. caller: None is the administrator · scope: of the signature"""
    if caller is None:
        return
    for asked in asked_for(caller, call, scope):
        must_allow(caller, asked)


def must_allow(caller: Caller, asked: Asked) -> None:
    """Raises NotAllowed, in AWS's words, unless its policies allow it."""
    verdict = caller.verdict(asked)
    if verdict != "allowed":
        raise NotAllowed(caller.refusal(asked, verdict), do="")


def asked_for(caller: Caller, call: Call, scope: str) -> Iterator[Asked]:
    """All that must be allowed for a call to be done."""
    action = f"{_PREFIXES.get(scope, scope)}:{call.operation.name}"
    if action in _FREE:
        return
    context = caller.context(call.region, time.time())
    find = _RESOURCES.get(scope)
    for resource in (find(call, caller) if find else None) or ["*"]:
        yield Asked(action, resource, context)
    if call.operation.name.startswith("Create") and scope == "sagemaker":
        for role in {call.request[name] for name in _ROLES if name in call.request}:
            passed = {**context, "iam:passedtoservice": "sagemaker.amazonaws.com"}
            yield Asked("iam:PassRole", role, passed)


def _of_sagemaker(call: Call, caller: Caller) -> list[str]:
    """By the name of the operation: ``DescribeTrainingJob`` is about ``TrainingJobName``."""
    request, name = call.request, call.operation.name
    if "ResourceArn" in request:
        return [request["ResourceArn"]]
    if "ModelPackageArnList" in request:
        return list(request["ModelPackageArnList"])
    noun = _VERB.sub("", name, count=1)
    if noun.endswith("Record"):
        named = [request, *request.get("Identifiers", ()), *request.get("Entries", ())]
        groups = {one["FeatureGroupName"] for one in named if "FeatureGroupName" in one}
        return [_arn(call, "feature-group", group) for group in sorted(groups)]
    said = request.get(_NAMES.get(noun, f"{noun}Name")) or request.get(f"{noun}Arn")
    kind = _KINDS.get(noun) or _WORD.sub("-", noun).lower()
    return [_arn(call, kind, said)] if said else []


def _arn(call: Call, kind: str, said: str) -> str:
    """Of a thing that is named by its name or its ARN."""
    if said.startswith("arn:"):
        return said
    return f"arn:aws:sagemaker:{call.region}:{call.platform.account}:{kind}/{said}"


def _of_logs(call: Call, caller: Caller) -> list[str]:
    group = call.request.get("logGroupName") or call.request.get("logGroupIdentifier")
    if group is None:
        return []
    if group.startswith("arn:"):
        return [f"{group.removesuffix(':*')}:*"]
    return [f"arn:aws:logs:{call.region}:{call.platform.account}:log-group:{group}:*"]


def _of_alarms(call: Call, caller: Caller) -> list[str]:
    named = [call.request.get("AlarmName"), *call.request.get("AlarmNames", ())]
    before = f"arn:aws:cloudwatch:{call.region}:{call.platform.account}:alarm:"
    return [before + name for name in named if name]


def _of_iam(call: Call, caller: Caller) -> list[str]:
    """A user or role before a policy: policies are attached to those; oneself where none is."""
    request, account = call.request, call.platform.account
    path = request.get("Path", "/")
    for key, kind in (("UserName", USER), ("RoleName", ROLE)):
        if key in request:
            there = call.platform.access.principal(kind, request[key])
            return [there.arn if there else f"arn:aws:iam::{account}:{kind}{path}{request[key]}"]
    for key in ("PolicyArn", "PolicySourceArn"):
        if key in request:
            return [request[key]]
    if "PolicyName" in request:
        return [f"arn:aws:iam::{account}:policy{path}{request['PolicyName']}"]
    return [caller.arn] if call.operation.name in _OWN else []


_RESOURCES: Mapping[str, Callable[[Call, Caller], list[str]]] = {
    "sagemaker": _of_sagemaker,
    "logs": _of_logs,
    "monitoring": _of_alarms,
    "iam": _of_iam,
}

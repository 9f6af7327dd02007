"""Managed policies and their versions: ours, and those that AWS keeps itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tidemill.auth.managed import MANAGED
from tidemill.control import identity
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.entity import (
    POLICIES,
    ROLES,
    USERS,
    State,
    checked,
    in_use,
    missing,
    page,
)
from tidemill.gateway.wire.errors import Fault
from tidemill.store.base import Row

MOST_VERSIONS = 5
_SINCE = 1_577_836_800


def create_policy(call: Call) -> dict[str, Any]:
    document = call.request["PolicyDocument"]
    checked(document)
    first = {"id": "v1", "document": document, "created": call.verbs.clock()}
    state: State = {
        "versions": [first],
        "default": "v1",
        "next": 2,
        "description": call.request.get("Description", ""),
    }
    return {"Policy": told(call, POLICIES.create(call, state, ("Tags",)))}


def get_policy(call: Call) -> dict[str, Any]:
    arn = call.request["PolicyArn"]
    return {"Policy": _kept_by_aws(arn) if arn in MANAGED else told(call, find(call))}


def list_policies(call: Call) -> dict[str, Any]:
    scope = call.request.get("Scope", "All")
    ours = identity.rows(call.verbs.store, identity.POLICY) if scope != "AWS" else []
    found = [(POLICIES.arn(call, row), told(call, row)) for row in ours]
    if scope != "Local":
        found += [(arn, _kept_by_aws(arn)) for arn in MANAGED]
    if call.request.get("OnlyAttached"):
        found = [(arn, one) for arn, one in found if holders(call, arn)]
    return page(call, "Policies", sorted(found, key=lambda pair: pair[0]))


def delete_policy(call: Call) -> None:
    row = find(call)
    arn = POLICIES.arn(call, row)

    def check(row: Row) -> None:
        if holders(call, arn):
            raise in_use("must detach it from all users and roles first.")
        if len(row.document["state"]["versions"]) > 1:
            raise in_use("must delete all versions but the default first.")

    POLICIES.delete(call, check, row.name)


def create_policy_version(call: Call) -> dict[str, Any]:
    document = call.request["PolicyDocument"]
    checked(document)

    def added(state: State) -> State:
        if len(state["versions"]) >= MOST_VERSIONS:
            message = (
                f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a "
                "new version, you must delete an existing version."
            )
            raise Fault("LimitExceeded", message, status=409)
        new = {"id": f"v{state['next']}", "document": document, "created": call.verbs.clock()}
        default = new["id"] if call.request.get("SetAsDefault") else state["default"]
        versions = [*state["versions"], new]
        return {**state, "versions": versions, "default": default, "next": state["next"] + 1}

    row = _change(call, added)
    return {"PolicyVersion": _version(row, row.document["state"]["versions"][-1])}


def get_policy_version(call: Call) -> dict[str, Any]:
    arn, wanted = call.request["PolicyArn"], call.request["VersionId"]
    if arn in MANAGED and wanted == "v1":
        of_aws = {"Document": quote(MANAGED[arn]), "VersionId": "v1", "IsDefaultVersion": True}
        return {"PolicyVersion": {**of_aws, "CreateDate": _SINCE}}
    row = find(call)
    return {"PolicyVersion": _version(row, _find_version(row.document["state"], wanted))}


def list_policy_versions(call: Call) -> dict[str, Any]:
    arn = call.request["PolicyArn"]
    if arn in MANAGED:
        one = {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": _SINCE}
        return page(call, "Versions", [("v1", one)])
    row = find(call)
    told = [_version(row, one) for one in row.document["state"]["versions"]]
    bare = [{k: v for k, v in one.items() if k != "Document"} for one in told]
    return page(call, "Versions", [(one["VersionId"], one) for one in bare])


def set_default_policy_version(call: Call) -> None:
    wanted = call.request["VersionId"]

    def chosen(state: State) -> State:
        _find_version(state, wanted)
        return {**state, "default": wanted}

    _change(call, chosen)


def delete_policy_version(call: Call) -> None:
    wanted = call.request["VersionId"]

    def without(state: State) -> State:
        _find_version(state, wanted)
        if wanted == state["default"]:
            raise in_use("it is the default version of the policy.")
        return {**state, "versions": [one for one in state["versions"] if one["id"] != wanted]}

    _change(call, without)


def find(call: Call, arn: str = "") -> Row:
    """The policy of that ARN, or of the request's; raises NoSuchEntity."""
    arn = arn or call.request["PolicyArn"]
    name = arn.rpartition("/")[2]
    row = call.verbs.store.get(identity.POLICY, identity.REGION, name)
    if row is None or POLICIES.arn(call, row) != arn:
        raise missing(f"Policy {arn} does not exist or is not attachable.")
    return row


def holders(call: Call, arn: str) -> int:
    """How many users and roles have it."""
    store = call.verbs.store
    having = [*identity.rows(store, USERS.kind), *identity.rows(store, ROLES.kind)]
    states = [row.document["state"] for row in having]
    return sum(arn in state["attached"] or arn == state["boundary"] for state in states)


def must_be(call: Call, arn: str) -> str:
    """The ARN of a policy that is there, or nothing; raises NoSuchEntity."""
    if arn and arn not in MANAGED:
        find(call, arn)
    return arn


def told(call: Call, row: Row) -> dict[str, Any]:
    state, arn = row.document["state"], POLICIES.arn(call, row)
    found: dict[str, Any] = {
        "PolicyName": row.name,
        "PolicyId": state["id"],
        "Arn": arn,
        "Path": state["path"],
        "DefaultVersionId": state["default"],
        "AttachmentCount": holders(call, arn),
        "IsAttachable": True,
        "CreateDate": row.created,
        "UpdateDate": row.modified,
    }
    return {**found, "Description": state["description"]} if state["description"] else found


def _kept_by_aws(arn: str) -> dict[str, Any]:
    return {
        "PolicyName": arn.rpartition("/")[2],
        "Arn": arn,
        "Path": "/",
        "DefaultVersionId": "v1",
        "IsAttachable": True,
        "CreateDate": _SINCE,
        "UpdateDate": _SINCE,
    }


def _change(call: Call, fn: Callable[[State], State]) -> Row:
    return POLICIES.change(call, fn, find(call).name)


def _find_version(state: State, wanted: str) -> dict[str, Any]:
    for one in state["versions"]:
        if one["id"] == wanted:
            return dict(one)
    raise missing(f"Policy version {wanted} does not exist.")


def _version(row: Row, one: dict[str, Any]) -> dict[str, Any]:
    return {
        "Document": quote(one["document"]),
        "VersionId": one["id"],
        "IsDefaultVersion": one["id"] == row.document["state"]["default"],
        "CreateDate": one["created"],
    }


OPERATIONS: dict[str, Handler] = {
    "CreatePolicy": create_policy,
    "CreatePolicyVersion": create_policy_version,
    "DeletePolicy": delete_policy,
    "DeletePolicyVersion": delete_policy_version,
    "GetPolicy": get_policy,
    "GetPolicyVersion": get_policy_version,
    "ListPolicies": list_policies,
    "ListPolicyVersions": list_policy_versions,
    "SetDefaultPolicyVersion": set_default_policy_version,
}

"""Roles. Until the first is made, every name is one that trusts SageMaker and may do everything."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tidemill.control import identity
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.entity import ROLES, State, below, checked, in_use, page
from tidemill.gateway.iam.policies import must_be
from tidemill.store.base import Row

_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
_SINCE = 1_577_836_800  # 2020: a role has to have been made some day
_HOUR = 3600
_ECHOED = ("Tags",)


def create_role(call: Call) -> dict[str, Any]:
    request = call.request
    checked(request["AssumeRolePolicyDocument"], trust=True)
    state: State = {
        "inline": {},
        "attached": [],
        "boundary": must_be(call, request.get("PermissionsBoundary", "")),
        "trust": request["AssumeRolePolicyDocument"],
        "description": request.get("Description", ""),
        "longest": request.get("MaxSessionDuration", _HOUR),
    }
    return {"Role": told(call, ROLES.create(call, state, _ECHOED))}


def get_role(call: Call) -> dict[str, Any]:
    if not is_any_made(call):
        return {"Role": _phantom(call)}
    return {"Role": told(call, ROLES.find(call))}


def is_any_made(call: Call) -> bool:
    """Has anybody made a role?"""
    return bool(identity.rows(call.verbs.store, identity.ROLE))


def list_roles(call: Call) -> dict[str, Any]:
    found = identity.rows(call.verbs.store, identity.ROLE)
    return page(call, "Roles", [(row.name, told(call, row)) for row in found if below(call, row)])


def delete_role(call: Call) -> None:
    def check(row: Row) -> None:
        if row.document["state"]["inline"]:
            raise in_use("must delete policies first.")
        if row.document["state"]["attached"]:
            raise in_use("must detach all policies first.")

    ROLES.delete(call, check)


def update_role(call: Call) -> dict[str, Any]:
    sent = {
        "description": call.request.get("Description"),
        "longest": call.request.get("MaxSessionDuration"),
    }
    given = {name: value for name, value in sent.items() if value is not None}
    ROLES.change(call, lambda state: {**state, **given})
    return {}


def update_assume_role_policy(call: Call) -> None:
    checked(call.request["PolicyDocument"], trust=True)
    ROLES.change(call, lambda state: {**state, "trust": call.request["PolicyDocument"]})


def told(call: Call, row: Row) -> dict[str, Any]:
    """AWS sends documents percent-encoded, and botocore decodes them."""
    state = row.document["state"]
    found: dict[str, Any] = {
        "Path": state["path"],
        "RoleName": row.name,
        "RoleId": state["id"],
        "Arn": ROLES.arn(call, row),
        "CreateDate": row.created,
        "AssumeRolePolicyDocument": quote(state["trust"]),
        "MaxSessionDuration": state["longest"],
    }
    if state["description"]:
        found["Description"] = state["description"]
    if state["boundary"]:
        kind = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": state["boundary"]}
        found["PermissionsBoundary"] = kind
    if row.document["request"].get("Tags"):
        found["Tags"] = row.document["request"]["Tags"]
    return found


def _phantom(call: Call) -> dict[str, Any]:
    name = call.request["RoleName"]
    return {
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROATIDEMILLTIDEMILL",
        "Arn": f"arn:aws:iam::{call.platform.account}:role/{name}",
        "CreateDate": _SINCE,
        "AssumeRolePolicyDocument": quote(_TRUST),
        "MaxSessionDuration": _HOUR,
    }


OPERATIONS: dict[str, Handler] = {
    "CreateRole": create_role,
    "DeleteRole": delete_role,
    "GetRole": get_role,
    "ListRoles": list_roles,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "UpdateRole": update_role,
}

"""Users and their access keys. A secret is told once, when its key is made, and never again."""

from __future__ import annotations

import secrets
from typing import Any

from tidemill.auth.access import USER
from tidemill.control import identity
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.entity import (
    USERS,
    State,
    below,
    in_use,
    missing,
    new_id,
    page,
)
from tidemill.gateway.iam.policies import must_be
from tidemill.gateway.wire.errors import Fault
from tidemill.store.base import Row

MOST_KEYS = 2
_ECHOED = ("Tags",)


def create_user(call: Call) -> dict[str, Any]:
    boundary = must_be(call, call.request.get("PermissionsBoundary", ""))
    state: State = {"inline": {}, "attached": [], "boundary": boundary, "keys": []}
    return {"User": told(call, USERS.create(call, state, _ECHOED))}


def get_user(call: Call) -> dict[str, Any]:
    name = call.request.get("UserName")
    if name is None and (call.caller is None or call.caller.kind != USER):
        account = call.platform.account
        root = {"UserId": account, "Arn": f"arn:aws:iam::{account}:root"}
        return {"User": {"Path": "/", "UserName": "root", **root, "CreateDate": 0}}
    return {"User": told(call, USERS.find(call, name or _own(call)))}


def list_users(call: Call) -> dict[str, Any]:
    found = identity.rows(call.verbs.store, identity.USER)
    return page(call, "Users", [(row.name, told(call, row)) for row in found if below(call, row)])


def delete_user(call: Call) -> None:
    def check(row: Row) -> None:
        state = row.document["state"]
        if state["keys"]:
            raise in_use("must delete access keys first.")
        if state["inline"]:
            raise in_use("must delete policies first.")
        if state["attached"]:
            raise in_use("must detach all policies first.")

    USERS.delete(call, check)


def told(call: Call, row: Row) -> dict[str, Any]:
    state = row.document["state"]
    found: dict[str, Any] = {
        "Path": state["path"],
        "UserName": row.name,
        "UserId": state["id"],
        "Arn": USERS.arn(call, row),
        "CreateDate": row.created,
    }
    if state["boundary"]:
        kind = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": state["boundary"]}
        found["PermissionsBoundary"] = kind
    if row.document["request"].get("Tags"):
        found["Tags"] = row.document["request"]["Tags"]
    return found


def create_access_key(call: Call) -> dict[str, Any]:
    name = call.request.get("UserName") or _own(call)
    key = {
        "id": new_id("AKIA"),
        "secret": secrets.token_urlsafe(30),
        "status": identity.ACTIVE,
        "created": call.verbs.clock(),
    }

    def added(state: State) -> State:
        if len(state["keys"]) >= MOST_KEYS:
            message = f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}"
            raise Fault("LimitExceeded", message, status=409)
        return {**state, "keys": [*state["keys"], key]}

    USERS.change(call, added, name)
    shown = {**_shown(name, key), "SecretAccessKey": key["secret"]}
    return {"AccessKey": shown}


def list_access_keys(call: Call) -> dict[str, Any]:
    name = call.request.get("UserName") or _own(call)
    keys = USERS.find(call, name).document["state"]["keys"]
    return page(call, "AccessKeyMetadata", [(key["id"], _shown(name, key)) for key in keys])


def update_access_key(call: Call) -> None:
    _rekey(call, lambda key: {**key, "status": call.request["Status"]})


def delete_access_key(call: Call) -> None:
    _rekey(call, lambda key: None)


def _rekey(call: Call, fn: Any) -> None:
    id, name = call.request["AccessKeyId"], call.request.get("UserName") or _own(call)

    def changed(state: State) -> State:
        if all(key["id"] != id for key in state["keys"]):
            raise missing(f"The Access Key with id {id} cannot be found.")
        keys = [fn(key) if key["id"] == id else key for key in state["keys"]]
        return {**state, "keys": [key for key in keys if key is not None]}

    USERS.change(call, changed, name)


def _shown(name: str, key: dict[str, Any]) -> dict[str, Any]:
    return {
        "UserName": name,
        "AccessKeyId": key["id"],
        "Status": key["status"],
        "CreateDate": key["created"],
    }


def _own(call: Call) -> str:
    """The caller's own name, where a request names nobody."""
    if call.caller is None or call.caller.kind != USER:
        raise Fault(
            "ValidationError", "Must specify userName when calling with non-User credentials"
        )
    return call.caller.name


OPERATIONS: dict[str, Handler] = {
    "CreateAccessKey": create_access_key,
    "CreateUser": create_user,
    "DeleteAccessKey": delete_access_key,
    "DeleteUser": delete_user,
    "GetUser": get_user,
    "ListAccessKeys": list_access_keys,
    "ListUsers": list_users,
    "UpdateAccessKey": update_access_key,
}

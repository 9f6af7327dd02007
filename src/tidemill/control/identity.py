"""Users, roles and policies as rows, and the directory of them that decisions are made by."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tidemill.auth.access import Access
from tidemill.auth.managed import MANAGED
from tidemill.store.base import Row, Store

REGION = "aws-global"
USER, ROLE, POLICY = "iam_user", "iam_role", "iam_policy"
ACTIVE = "Active"
NOTHING = '{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
_writing = threading.Lock()


def rows(store: Store, kind: str) -> list[Row]:
    """All of a kind, by name."""
    return sorted(store.unfinished(kind, (ACTIVE,)), key=lambda row: row.name)


def publish(store: Store, access: Access, path: Path, account: str) -> None:
    """Let gateway and router decide by what the store holds now."""
    with _writing:
        found = directory(store, account)
        access.load(found)
        temporary = path.with_suffix(".new")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(found, file)
        temporary.replace(path)


def directory(store: Store, account: str) -> dict[str, dict[str, Any]]:
    """As ``auth.access`` reads it."""
    users, roles = rows(store, USER), rows(store, ROLE)
    policies = {arn(row, account): default(row) for row in rows(store, POLICY)}
    known = {**MANAGED, **policies}
    return {
        "keys": {
            key["id"]: {"secret": key["secret"], "user": row.name}
            for row in users
            for key in row.document["state"]["keys"]
            if key["status"] == ACTIVE
        },
        "users": {row.name: _entity(row, known, account) for row in users},
        "roles": {row.name: _entity(row, known, account) for row in roles},
    }


def _entity(row: Row, known: dict[str, str], account: str) -> dict[str, Any]:
    state = row.document["state"]
    attached: Iterable[str] = (known[one] for one in state["attached"] if one in known)
    return {
        "arn": arn(row, account),
        "id": state["id"],
        "policies": [*state["inline"].values(), *attached],
        "boundary": known.get(state["boundary"], NOTHING) if state["boundary"] else "",
    }


def arn(row: Row, account: str) -> str:
    """``arn:aws:iam::ACCOUNT:user/PATH/NAME``"""
    kind = row.kind.removeprefix("iam_")
    return f"arn:aws:iam::{account}:{kind}{row.document['state']['path']}{row.name}"


def default(row: Row) -> str:
    """The document of a policy's default version."""
    state = row.document["state"]
    return next(str(v["document"]) for v in state["versions"] if v["id"] == state["default"])

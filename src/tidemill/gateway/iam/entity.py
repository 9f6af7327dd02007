"""What users, roles and policies share: how they are found, made, changed, told and removed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.auth.policy import Policy, parse
from tidemill.control import identity
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import Fault
from tidemill.store.base import Row

State = dict[str, Any]
MOST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Entity:
    """kind: of its rows · name: ``User`` or ``Role`` · prefix: of its unique ids"""

    kind: str
    name: str
    prefix: str

    @property
    def key(self) -> str:
        return f"{self.name}Name"

    def find(self, call: Call, name: str | None = None) -> Row:
        """The row of that name, or of the request's; raises NoSuchEntity."""
        name = call.request[self.key] if name is None else name
        try:
            return call.verbs.describe(self.kind, identity.REGION, name)
        except NotFound:
            raise missing(f"The {self.name.lower()} with name {name} cannot be found.") from None

    def create(self, call: Call, state: Mapping[str, Any], told: Iterable[str] = ()) -> Row:
        """Make one. told: members of the request to be echoed"""
        name, request = call.request[self.key], call.request
        kept = {key: request[key] for key in told if key in request}
        whole = {"id": new_id(self.prefix), "path": request.get("Path", "/"), **state}
        document = {"request": kept, "state": whole}
        try:
            row = call.verbs.create(self.kind, identity.REGION, name, document, identity.ACTIVE)
        except Conflict:
            message = f"{self.name} with name {name} already exists."
            raise Fault("EntityAlreadyExists", message, status=409) from None
        publish(call)
        return row

    def change(self, call: Call, fn: Callable[[State], State], name: str | None = None) -> Row:
        """Put ``fn(state)`` in place of its state, where all decisions see it."""
        row = self.find(call, name)

        def changed(row: Row) -> Row:
            state = fn(row.document["state"])
            return replace(row, document={**row.document, "state": state})

        row = call.verbs.change(row.kind, row.region, row.name, changed)
        publish(call)
        return row

    def delete(self, call: Call, check: Callable[[Row], None], name: str | None = None) -> None:
        """Remove it; check raises to refuse."""
        row = self.find(call, name)
        call.verbs.delete(row.kind, row.region, row.name, check)
        publish(call)

    def arn(self, call: Call, row: Row) -> str:
        return identity.arn(row, call.platform.account)


USERS = Entity(identity.USER, "User", "AIDA")
ROLES = Entity(identity.ROLE, "Role", "AROA")
POLICIES = Entity(identity.POLICY, "Policy", "ANPA")


def publish(call: Call) -> None:
    """From here on, gateway and router decide by it."""
    platform = call.platform
    identity.publish(platform.verbs.store, platform.access, platform.home.access, platform.account)


def missing(message: str) -> Fault:
    return Fault("NoSuchEntity", message, status=404)


def in_use(message: str) -> Fault:
    return Fault("DeleteConflict", f"Cannot delete entity, {message}", status=409)


def new_id(prefix: str) -> str:
    """A unique id: a name that comes again gets another."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return prefix + "".join(secrets.choice(letters) for _ in range(16))


def checked(document: str, *, trust: bool = False) -> Policy:
    """A policy document; raises MalformedPolicyDocument."""
    try:
        return parse(document, trust=trust)
    except Invalid as error:
        raise Fault("MalformedPolicyDocument", str(error)) from None


def page(call: Call, key: str, items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """One page of a list. key: its member · items: (name, what is told of it), by name"""
    after, most = call.request.get("Marker", ""), call.request.get("MaxItems", MOST_ITEMS)
    rest = [item for item in items if item[0] > after]
    told: dict[str, Any] = {key: [one for _, one in rest[:most]], "IsTruncated": len(rest) > most}
    return {**told, "Marker": rest[most - 1][0]} if len(rest) > most else told


def below(call: Call, row: Row) -> bool:
    """Is it below the path that a list asks for?"""
    return str(row.document["state"]["path"]).startswith(call.request.get("PathPrefix", "/"))

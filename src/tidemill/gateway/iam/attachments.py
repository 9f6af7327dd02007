"""The policies of a user or a role: inline ones by their names, managed ones by their ARNs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.entity import ROLES, USERS, Entity, State, checked, missing, page
from tidemill.gateway.iam.policies import must_be


@dataclass(frozen=True, slots=True)
class Attachments:
    """All that may be done to the policies of one kind of entity."""

    entity: Entity

    def operations(self) -> dict[str, Handler]:
        """By their names on the wire."""
        name = self.entity.name
        return {
            f"Put{name}Policy": self.put,
            f"Get{name}Policy": self.get,
            f"Delete{name}Policy": self.delete,
            f"List{name}Policies": self.inline,
            f"Attach{name}Policy": self.attach,
            f"Detach{name}Policy": self.detach,
            f"ListAttached{name}Policies": self.attached,
        }

    def put(self, call: Call) -> None:
        name, document = call.request["PolicyName"], call.request["PolicyDocument"]
        checked(document)
        self.entity.change(call, lambda s: {**s, "inline": {**s["inline"], name: document}})

    def get(self, call: Call) -> dict[str, Any]:
        name, row = call.request["PolicyName"], self.entity.find(call)
        document = row.document["state"]["inline"].get(name)
        if document is None:
            raise self._none(name)
        return {self.entity.key: row.name, "PolicyName": name, "PolicyDocument": quote(document)}

    def delete(self, call: Call) -> None:
        name = call.request["PolicyName"]

        def without(state: State) -> State:
            if name not in state["inline"]:
                raise self._none(name)
            kept = {key: value for key, value in state["inline"].items() if key != name}
            return {**state, "inline": kept}

        self.entity.change(call, without)

    def inline(self, call: Call) -> dict[str, Any]:
        names = sorted(self.entity.find(call).document["state"]["inline"])
        return page(call, "PolicyNames", [(name, name) for name in names])

    def attach(self, call: Call) -> None:
        arn = must_be(call, call.request["PolicyArn"])
        self.entity.change(call, lambda s: {**s, "attached": [*_without(s, arn), arn]})

    def detach(self, call: Call) -> None:
        arn = call.request["PolicyArn"]

        def without(state: State) -> State:
            if arn not in state["attached"]:
                raise missing(f"Policy {arn} was not found.")
            return {**state, "attached": _without(state, arn)}

        self.entity.change(call, without)

    def attached(self, call: Call) -> dict[str, Any]:
        arns = sorted(self.entity.find(call).document["state"]["attached"])
        told = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]
        return page(call, "AttachedPolicies", list(zip(arns, told, strict=True)))

    def _none(self, name: str) -> Exception:
        kind = self.entity.name.lower()
        return missing(f"The {kind} policy with name {name} cannot be found.")


def _without(state: State, arn: str) -> list[str]:
    return [one for one in state["attached"] if one != arn]


OPERATIONS: dict[str, Handler] = {
    **Attachments(USERS).operations(),
    **Attachments(ROLES).operations(),
}

"""What all resources share: a name, an ARN, and AWS's words for "no such" and "taken"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.errors import Conflict, NotFound
from tidemill.gateway.call import Call
from tidemill.gateway.wire.errors import VALIDATION, Fault, invalid
from tidemill.gateway.wire.json import path
from tidemill.store.base import Row


@dataclass(frozen=True, slots=True)
class Noun:
    """kind: of its rows, and of its ARNs · name: as in CreateX · unknown, taken: messages, with
    ``{arn}`` and ``{name}``, and the codes they go with · prefix: of its members XName and XArn,
    where that is not the name
    """

    kind: str
    name: str
    unknown: str
    taken: str
    taken_code: str = VALIDATION
    unknown_code: str = VALIDATION
    prefix: str = ""

    @property
    def key(self) -> str:
        """The request's member that names it."""
        return f"{self.prefix or self.name}Name"

    @property
    def arn_key(self) -> str:
        """The answer's member with its ARN."""
        return f"{self.prefix or self.name}Arn"

    def missing(self, call: Call, name: str) -> Fault:
        """The error for a name that nothing has."""
        message = self.unknown.format(arn=call.arn(self.kind, name), name=name)
        return Fault(self.unknown_code, message)

    def find(self, call: Call, name: str | None = None) -> Row:
        """The row of that name, or of the request's."""
        name = call.request[self.key] if name is None else name
        try:
            return call.verbs.describe(self.kind, call.region, name)
        except NotFound:
            raise self.missing(call, name) from None

    def create(self, call: Call, make: Callable[[dict[str, str]], Row]) -> dict[str, Any]:
        """Make it with the request's tags, and answer its ARN."""
        arn = call.arn(self.kind, call.request[self.key])
        must_be_named(call.request, self.key)
        try:
            make(tags(call.request.get("Tags", ())))
        except Conflict:
            message = self.taken.format(arn=arn, name=call.request[self.key])
            raise Fault(self.taken_code, message) from None
        return {self.arn_key: arn}

    def delete(self, call: Call, remove: Callable[[str, str], object]) -> None:
        """Remove the one that the request names; the answer is empty."""
        name = call.request[self.key]
        try:
            remove(call.region, name)
        except NotFound:
            raise self.missing(call, name) from None


def must_be_named(request: Mapping[str, Any], key: str, at: str = "") -> None:
    """The model's patterns let some names be empty; nothing can be called so."""
    if not request[key]:
        raise invalid(
            f"1 validation error detected: Value '' at '{path(at, key)}' failed to satisfy "
            "constraint: Member must have length greater than or equal to 1"
        )


def tags(sent: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Key → value, in order; ``aws:`` is AWS's own."""
    found = {tag["Key"]: tag["Value"] for tag in sent}
    for key in found:
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag keys must not start with 'aws:', which is reserved; got '{key}'.")
    return found

"""What policies say: documents read into statements, and the one decision made from them.

As IAM documents it: an explicit deny wins over every allow, and what nothing allows is denied.
Pure: no clock, no store; ``decide`` is what guards every call, and what simulations answer by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from tidemill.auth.condition import KNOWN, Condition, Context
from tidemill.auth.wildcard import matches
from tidemill.errors import Invalid

Verdict = Literal["allowed", "explicitDeny", "implicitDeny"]
VERSIONS = ("2012-10-17", "2008-10-17")
LONGEST = 131_072
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ANYTHING: tuple[str, ...] = ("*",)
_ELEMENTS = frozenset(
    {
        *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"),
        *("Principal", "NotPrincipal"),
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that somebody wants to do. action: ``service:Operation`` · resource: an ARN, or
    ``*`` where an action has none · context: of the request, keys in lower case
    """

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """actions: in lower case · not_actions, not_resources: all but those
    principals: of a trust policy, as ``AWS:arn`` or ``Service:name``
    """

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    not_actions: bool = False
    not_resources: bool = False
    principals: tuple[str, ...] = ()

    def applies(self, asked: Asked) -> bool:
        """Is this what the statement speaks of?"""

        def fill(text: str) -> str | None:
            return filled(text, asked.context)

        wanted = [text for one in self.resources if (text := fill(one)) is not None]
        action = asked.action.lower()
        return (
            any(matches(one, action) for one in self.actions) is not self.not_actions
            and any(matches(one, asked.resource) for one in wanted) is not self.not_resources
            and all(condition.holds(asked.context, fill) for condition in self.conditions)
        )


Policy = tuple[Statement, ...]


def decide(
    policies: Iterable[Policy], asked: Asked, limits: Sequence[Iterable[Policy]] = ()
) -> Verdict:
    """limits: sets of policies that must allow it, too (boundaries, policies of sessions)."""
    verdicts = [_decide(policies, asked), *(_decide(limit, asked) for limit in limits)]
    if "explicitDeny" in verdicts:
        return "explicitDeny"
    return "implicitDeny" if "implicitDeny" in verdicts else "allowed"


def _decide(policies: Iterable[Policy], asked: Asked) -> Verdict:
    verdict: Verdict = "implicitDeny"
    for policy in policies:
        for statement in policy:
            if not (statement.effect == "Allow" and verdict == "allowed") and statement.applies(
                asked
            ):
                if statement.effect == "Deny":
                    return "explicitDeny"
                verdict = "allowed"
    return verdict


def trusts(policy: Policy, principal: str, asked: Asked) -> bool:
    """May it, by a trust policy? principal: ``AWS:arn`` or ``Service:name``"""
    mine = [
        statement
        for statement in policy
        if any(_is_meant(one, principal) for one in statement.principals)
    ]
    return _decide([tuple(mine)], asked) == "allowed"


def _is_meant(named: str, principal: str) -> bool:
    """An account stands for all that are in it: ``123456789012``, ``arn:aws:iam::ACCOUNT:root``."""
    if named in ("*", "AWS:*", principal):
        return True
    kind, _, who = named.partition(":")
    if kind != "AWS" or not principal.startswith("AWS:"):
        return False
    account = who.split(":")[4] if who.endswith(":root") and who.count(":") == 5 else who
    return account.isdecimal() and principal.split(":")[5:6] == [account]


def filled(text: str, context: Context) -> str | None:
    """A text with its ``${variables}`` put in; None when the request has no value for one.

    >>> filled("home/${aws:username}/*", {"aws:username": "ada"})
    'home/ada/*'
    """
    if "${" not in text:
        return text
    values = [context.get(name.lower()) for name in _VARIABLE.findall(text)]
    if None in values:
        return None
    # What a request brings along is no pattern.
    if any("*" in value or "?" in value for value in values if value):
        return None
    return _VARIABLE.sub(lambda found: context[found[1].lower()], text)


def parse(document: str, *, trust: bool = False) -> Policy:
    """A document's statements; raises Invalid, in a sentence that says what is wrong with it.

    trust: of a role: with principals in place of resources
    """
    if len(document) > LONGEST:
        _refuse("The policy is too long.", f"{len(document)} characters")
    try:
        said = json.loads(document)
    except (ValueError, RecursionError):
        _refuse("This policy contains invalid Json.", document[:60])
    if not isinstance(said, dict) or not {"Statement"} <= said.keys() <= {
        "Version",
        "Id",
        "Statement",
    }:
        _refuse("Syntax errors in policy.", "members other than Version, Id, Statement")
    if said.get("Version", VERSIONS[1]) not in VERSIONS:
        _refuse(f"The policy's Version must be one of {', '.join(VERSIONS)}.", said["Version"])
    statements = said["Statement"]
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        _refuse("Syntax errors in policy.", "a Statement that is no list of statements")
    return tuple(_statement(one, trust) for one in statements)


def _statement(said: Any, trust: bool) -> Statement:
    if not isinstance(said, dict) or not said.keys() <= _ELEMENTS:
        _refuse("Syntax errors in policy.", f"a statement {str(said)[:80]}")
    if said.get("Effect") not in ("Allow", "Deny"):
        _refuse("A statement's Effect must be Allow or Deny.", said.get("Effect"))
    actions, not_actions = _either(said, "Action")
    if any(one != "*" and ":" not in one for one in actions):
        _refuse(
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", actions
        )
    if trust:
        if said.keys() & {"Resource", "NotResource", "NotPrincipal"}:
            _refuse("Has prohibited field Resource.", sorted(said))
        resources, not_resources = _ANYTHING, False
    else:
        if said.keys() & {"Principal", "NotPrincipal"}:
            _refuse("Policy document should not specify a principal.", sorted(said))
        resources, not_resources = _either(said, "Resource")
    return Statement(
        said["Effect"],
        tuple(one.lower() for one in actions),
        resources,
        tuple(_conditions(said.get("Condition", {}))),
        not_actions,
        not_resources,
        tuple(_principals(said)) if trust else (),
    )


def _either(said: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    """The element, or its opposite ``Not…``: exactly one of the two."""
    opposite = f"Not{name}"
    if (name in said) == (opposite in said):
        _refuse(f"Policy statement must contain {name.lower()}s.", sorted(said))
    return _texts(said[name if name in said else opposite], name), opposite in said


def _texts(value: Any, name: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, (str, bool, int, float)) else value
    if not isinstance(values, list) or not all(
        isinstance(one, (str, bool, int, float)) for one in values
    ):
        _refuse(f"{name} must be a text or a list of texts.", str(value)[:80])
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)


def _conditions(said: Any) -> Iterable[Condition]:
    if not isinstance(said, dict):
        _refuse("Syntax errors in policy.", f"a Condition {str(said)[:80]}")
    for operator, wanted in said.items():
        name = operator.removesuffix("IfExists")
        if name not in KNOWN or not isinstance(wanted, dict):
            _refuse(f"Tidemill evaluates the conditions {', '.join(sorted(KNOWN))}.", operator)
        for key, values in wanted.items():
            yield Condition(name, key.lower(), _texts(values, key), name != operator)


def _principals(said: Mapping[str, Any]) -> Iterable[str]:
    given = said.get("Principal")
    if given == "*":
        return ["*"]
    if not isinstance(given, dict) or not given:
        _refuse("Missing required field Principal.", str(given)[:80])
    return [f"{kind}:{one}" for kind, of in given.items() for one in _texts(of, "Principal")]


def _refuse(message: str, got: object) -> NoReturn:
    raise Invalid(message, got=got, do="Mend the document.")

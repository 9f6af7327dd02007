"""Who a key belongs to, and what its holder may do: the administrator everything, others by policy.

The directory of users and roles comes as one JSON document: the gateway makes it from the store,
and the router reads it from a file, so that both decide alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from tidemill.auth import session
from tidemill.auth.credentials import Credentials
from tidemill.auth.identity import Identity
from tidemill.auth.policy import Asked, Policy, Verdict, decide, parse
from tidemill.auth.refusal import ExpiredToken, UnknownKey
from tidemill.errors import Invalid

TOKEN = "x-amz-security-token"  # noqa: S105  (a header)
ROOT, USER, ROLE = "root", "user", "role"
Directory = Mapping[str, Mapping[str, Any]]
"""keys: id → {secret, user} · users, roles: name → {arn, id, policies, boundary}, as documents."""
EVERYTHING = parse('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody other than the administrator's own key. kind: of who acts · name, id: of that
    user or role · arn: as told · policies: what it may · limits: what must allow it, too
    """

    kind: str
    name: str
    id: str
    arn: str
    account: str
    policies: tuple[Policy, ...]
    limits: tuple[tuple[Policy, ...], ...] = ()

    def context(self, region: str, now: float) -> dict[str, str]:
        """What conditions may ask of every request. now: epoch seconds"""
        known = {
            "aws:userid": self.id,
            "aws:principalarn": self.arn,
            "aws:principalaccount": self.account,
            "aws:principaltype": "User" if self.kind == USER else "AssumedRole",
            "aws:requestedregion": region,
            "aws:epochtime": str(int(now)),
            "aws:currenttime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "aws:securetransport": "false",
        }
        return known | ({"aws:username": self.name} if self.kind == USER else {})

    def verdict(self, asked: Asked) -> Verdict:
        """What its policies say."""
        return decide(self.policies, asked, self.limits)

    def refusal(self, asked: Asked, verdict: Verdict) -> str:
        """AWS's sentence for what it may not do."""
        why = (
            "with an explicit deny in an identity-based policy"
            if verdict == "explicitDeny"
            else f"because no identity-based policy allows the {asked.action} action"
        )
        on = f" on resource: {asked.resource}" if asked.resource != "*" else ""
        return f"User: {self.arn} is not authorized to perform: {asked.action}{on} {why}"


class Access:
    """The keys of a platform, and the callers behind them; ``load`` replaces all but the root.

    keys: access key id → secret, of permanent keys
    """

    def __init__(self, root: Credentials, account: str) -> None:
        self.root = root
        self.account = account
        self.keys: dict[str, str] = dict(root.keys)
        self._callers: dict[str, Caller] = {}
        self._users: Directory = {}
        self._roles: Directory = {}

    def load(self, directory: Directory) -> None:
        """Take these users and roles for those that there are."""
        users, roles = directory.get("users", {}), directory.get("roles", {})
        keys, callers = dict(self.root.keys), {}
        for id, one in directory.get("keys", {}).items():
            user = users.get(one["user"])
            if id not in keys and user is not None:
                keys[id] = one["secret"]
                callers[id] = self._caller(USER, one["user"], user, user["arn"], user["id"])
        self._users, self._roles, self._callers, self.keys = users, roles, callers, keys

    def keys_for(self, headers: Mapping[str, str], query: str, now: float) -> Mapping[str, str]:
        """The keys that may sign a request: with a session's token, its own and no other.

        Raises ExpiredToken. A token that is none of ours stands beside a permanent key unheeded.
        """
        if TOKEN not in headers and "ecurity-" not in query:
            return self.keys
        grant, token = self._granted(headers, query)
        if grant is None:
            return self.keys
        if now > grant.until:
            raise ExpiredToken("The security token included in the request is expired.")
        return {grant.key: session.secret(token, self.root.secret_access_key)}

    def caller(
        self, identity: Identity, headers: Mapping[str, str], query: str = ""
    ) -> Caller | None:
        """Whose request it is, once its signature was found good; None is the administrator.

        Raises UnknownKey when the user or role behind it is gone.
        """
        key = identity.access_key_id
        if key == self.root.access_key_id:
            return None
        known = self._callers.get(key)
        if known is not None:
            return known
        grant, _ = self._granted(headers, query)
        if grant is None or grant.key != key:
            raise _gone()
        return self._of_session(grant)

    def principal(self, kind: str, name: str) -> Caller | None:
        """A user or role as it stands, for simulations; None when there is none."""
        said = (self._users if kind == USER else self._roles).get(name)
        return None if said is None else self._caller(kind, name, said, said["arn"], said["id"])

    def grant(self, headers: Mapping[str, str], query: str = "") -> session.Grant | None:
        """What a request's session token grants, if it has one of ours."""
        return self._granted(headers, query)[0]

    def _granted(self, headers: Mapping[str, str], query: str) -> tuple[session.Grant | None, str]:
        token = headers.get(TOKEN, "")
        if not token:
            fields = {name.lower(): value for name, value in parse_qsl(query)}
            token = fields.get(TOKEN, "")
        return session.read(token, self.root.secret_access_key), token

    def _of_session(self, grant: session.Grant) -> Caller | None:
        narrowed = ((_policy(grant.policy),),) if grant.policy else ()
        if grant.kind == ROOT and not grant.name:
            return None if not narrowed else self._root(narrowed)
        if grant.kind == ROOT:  # a role that nobody made may what its giver may
            return self._phantom(grant, narrowed)
        said = (self._users if grant.kind == USER else self._roles).get(grant.name)
        if said is None or said["id"] != grant.id:
            raise _gone()
        arn, id = said["arn"], said["id"]
        if grant.kind == ROLE:
            arn, id = assumed(self.account, grant.name, grant.session), f"{id}:{grant.session}"
        return self._caller(grant.kind, grant.name, said, arn, id, narrowed)

    def _root(self, limits: tuple[tuple[Policy, ...], ...]) -> Caller:
        arn = f"arn:aws:iam::{self.account}:root"
        return Caller(ROOT, "root", self.account, arn, self.account, (EVERYTHING,), limits)

    def _phantom(self, grant: session.Grant, limits: tuple[tuple[Policy, ...], ...]) -> Caller:
        arn = assumed(self.account, grant.name, grant.session)
        id = f"AROATIDEMILL:{grant.session}"
        return Caller(ROLE, grant.name, id, arn, self.account, (EVERYTHING,), limits)

    def _caller(
        self,
        kind: str,
        name: str,
        said: Mapping[str, Any],
        arn: str,
        id: str,
        limits: tuple[tuple[Policy, ...], ...] = (),
    ) -> Caller:
        if said.get("boundary"):
            limits = (*limits, (_policy(said["boundary"]),))
        policies = tuple(_policies(said["policies"]))
        return Caller(kind, name, id, arn, self.account, policies, limits)


def assumed(account: str, role: str, name: str) -> str:
    """The ARN of a session of a role."""
    return f"arn:aws:sts::{account}:assumed-role/{role}/{name}"


def _policies(documents: Iterable[str]) -> Iterable[Policy]:
    return map(_policy, documents)


@lru_cache(maxsize=1024)
def _policy(document: str) -> Policy:
    try:
        return parse(document)
    except Invalid:  # written by a version that knew more: better to allow nothing
        return parse('{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}')


def _gone() -> UnknownKey:
    return UnknownKey("The security token included in the request is invalid.")

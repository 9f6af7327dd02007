"""STS: who am I, and keys for a time. The administrator is told as an assumed role, because the
SDKs turn its ARN into that of an execution role.
"""

from __future__ import annotations

import secrets
from typing import Any

from tidemill.auth import session
from tidemill.auth.access import ROLE, ROOT, USER, assumed
from tidemill.auth.policy import Asked, parse, trusts
from tidemill.auth.session import Grant
from tidemill.control import identity
from tidemill.errors import Invalid
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.iam.roles import is_any_made
from tidemill.gateway.wire.errors import Fault

ADMINISTRATOR, SESSION = "TidemillExecutionRole", "tidemill"
_HOUR, _HALF_DAY = 3600, 43_200


def get_caller_identity(call: Call) -> dict[str, Any]:
    account, caller = call.platform.account, call.caller
    if caller is None:
        arn = assumed(account, ADMINISTRATOR, SESSION)
        return {"UserId": f"AROATIDEMILL:{SESSION}", "Account": account, "Arn": arn}
    return {"UserId": caller.id, "Account": account, "Arn": caller.arn}


def assume_role(call: Call) -> dict[str, Any]:
    """By a role's trust policy; the administrator may take a role that nobody has made."""
    request, name = call.request, call.request["RoleSessionName"]
    role = request["RoleArn"].rpartition("/")[2]
    if "PolicyArns" in request:
        raise Fault("ValidationError", "PolicyArns is not supported: give the document as Policy.")
    policy = _narrowing(request.get("Policy", ""))
    seconds = request.get("DurationSeconds", _HOUR)
    if is_any_made(call) or call.caller is not None:
        row = call.verbs.store.get(identity.ROLE, identity.REGION, role)
        if row is None or identity.arn(row, call.platform.account) != request["RoleArn"]:
            raise _may_not_assume(call)
        state = row.document["state"]
        _must_be_trusted(call, state["trust"])
        if seconds > state["longest"]:
            raise Fault(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        kind, id = ROLE, state["id"]
    else:
        kind, id = ROOT, "AROATIDEMILL"
    given = _keys(call, Grant(_new_id(), kind, role, id, name, _until(call, seconds), policy))
    user = {"AssumedRoleId": f"{id}:{name}", "Arn": assumed(call.platform.account, role, name)}
    return {"Credentials": given, "AssumedRoleUser": user}


def get_session_token(call: Call) -> dict[str, Any]:
    """Keys for a time, that may what the caller may."""
    caller, until = call.caller, _until(call, call.request.get("DurationSeconds", _HALF_DAY))
    if caller is None:
        return {"Credentials": _keys(call, Grant(_new_id(), ROOT, "", "", "", until))}
    if caller.kind != USER:
        raise _denied("Cannot call GetSessionToken with session credentials")
    return {"Credentials": _keys(call, Grant(_new_id(), USER, caller.name, caller.id, "", until))}


def _narrowing(document: str) -> str:
    try:
        return document and (parse(document), document)[1]
    except Invalid as error:
        raise Fault("MalformedPolicyDocument", str(error)) from None


def _must_be_trusted(call: Call, trust: str) -> None:
    """A role trusts by name, or an account whose own policies then decide."""
    caller = call.caller
    if caller is None:
        return  # whoever may write the trust policy need not be named in it
    context = caller.context(call.region, call.verbs.clock())
    if "ExternalId" in call.request:
        context["sts:externalid"] = call.request["ExternalId"]
    policy, asked = parse(trust, trust=True), Asked("sts:AssumeRole", "*", context)
    known = call.platform.access.principal(caller.kind, caller.name)
    names = {f"AWS:{caller.arn}", f"AWS:{known.arn}" if known else ""}
    is_named = any(names & set(statement.principals) for statement in policy)
    own = caller.verdict(Asked("sts:AssumeRole", call.request["RoleArn"], context))
    if (
        own == "explicitDeny"
        or not any(trusts(policy, name, asked) for name in names)
        or not (is_named or own == "allowed")
    ):
        raise _may_not_assume(call)


def _may_not_assume(call: Call) -> Fault:
    who = call.caller.arn if call.caller else "the administrator"
    return _denied(
        f"User: {who} is not authorized to perform: sts:AssumeRole on resource: "
        f"{call.request['RoleArn']}"
    )


def _denied(message: str) -> Fault:
    return Fault("AccessDenied", message, status=403)


def _until(call: Call, seconds: int) -> float:
    return float(int(call.verbs.clock() + seconds))


def _new_id() -> str:
    return session.access_key_id(secrets.token_bytes(16))


def _keys(call: Call, grant: Grant) -> dict[str, Any]:
    secret, token = session.mint(grant, call.platform.access.root.secret_access_key)
    return {
        "AccessKeyId": grant.key,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": grant.until,
    }


OPERATIONS: dict[str, Handler] = {
    "AssumeRole": assume_role,
    "GetCallerIdentity": get_caller_identity,
    "GetSessionToken": get_session_token,
}

"""STS: who am I? An assumed role, because the SDKs turn its ARN into that of an execution role."""

from __future__ import annotations

from typing import Any

from tidemill.gateway.call import Call, Handler

ROLE = "TidemillExecutionRole"
SESSION = "tidemill"


def get_caller_identity(call: Call) -> dict[str, Any]:
    account = call.platform.account
    return {
        "UserId": f"AROATIDEMILL:{SESSION}",
        "Account": account,
        "Arn": f"arn:aws:sts::{account}:assumed-role/{ROLE}/{SESSION}",
    }


OPERATIONS: dict[str, Handler] = {"GetCallerIdentity": get_caller_identity}

"""What a caller's policies say to one action on a bucket or an object."""

from __future__ import annotations

import time

from tidemill.auth.policy import Asked
from tidemill.gateway.s3.call import Call
from tidemill.gateway.s3.problem import Problem

_CONTEXT = ("prefix", "delimiter", "max-keys")


def must_allow(call: Call, action: str, bucket: str = "", key: str = "") -> None:
    """Raises AccessDenied. action: without its ``s3:`` · bucket: none for all of them"""
    caller = call.caller
    if caller is None:
        return
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "") if bucket else "*"
    context = caller.context(call.identity.region, time.time())
    context |= {f"s3:{name}": call.query[name] for name in _CONTEXT if name in call.query}
    asked = Asked(f"s3:{action}", resource, context)
    verdict = caller.verdict(asked)
    if verdict != "allowed":
        raise Problem("AccessDenied", 403, caller.refusal(asked, verdict))

"""IAM, as far as the SDKs ask: every role exists, trusts SageMaker, and may do everything.

Tidemill has one user, who holds the platform's keys; roles are names that requests carry along.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tidemill.gateway.call import Call, Handler

# AWS sends the trust policy percent-encoded, and botocore decodes it.
_TRUST = quote(
    json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sagemaker.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )
)
_SINCE = 1_577_836_800  # 2020: a role has to have been made some day


def get_role(call: Call) -> dict[str, Any]:
    name = call.request["RoleName"]
    return {
        "Role": {
            "Path": "/",
            "RoleName": name,
            "RoleId": "AROATIDEMILLTIDEMILL",
            "Arn": f"arn:aws:iam::{call.platform.account}:role/{name}",
            "CreateDate": _SINCE,
            "AssumeRolePolicyDocument": _TRUST,
            "MaxSessionDuration": 3600,
        }
    }


def simulate_principal_policy(call: Call) -> dict[str, Any]:
    resources = call.request.get("ResourceArns") or ["*"]
    return {
        "IsTruncated": False,
        "EvaluationResults": [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"}
            for action in call.request["ActionNames"]
            for resource in resources
        ],
    }


OPERATIONS: dict[str, Handler] = {
    "GetRole": get_role,
    "SimulatePrincipalPolicy": simulate_principal_policy,
}

"""The policies that AWS keeps itself, of those that scripts for SageMaker attach.

They allow what AWS's allow of the services that are spoken here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_BUCKETS = ["arn:aws:s3:::*SageMaker*", "arn:aws:s3:::*Sagemaker*", "arn:aws:s3:::*sagemaker*"]
_READ = ["sagemaker:Describe*", "sagemaker:List*", "sagemaker:BatchDescribe*", "sagemaker:Get*"]


def _allow(actions: Sequence[str], resources: str | Sequence[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resources}


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


MANAGED = {
    f"arn:aws:iam::aws:policy/{name}": document
    for name, document in {
        "AdministratorAccess": _document(_allow(["*"])),
        "AmazonS3FullAccess": _document(_allow(["s3:*"])),
        "AmazonS3ReadOnlyAccess": _document(_allow(["s3:Get*", "s3:List*"])),
        "AmazonSageMakerFullAccess": _document(
            _allow(["sagemaker:*", "application-autoscaling:*", "cloudwatch:*", "logs:*"]),
            _allow(["iam:GetRole", "iam:ListRoles"]),
            _allow(["s3:CreateBucket", "s3:GetBucketLocation", "s3:ListBucket"]),
            _allow(["s3:ListAllMyBuckets", "s3:GetBucketCORS", "s3:PutBucketCORS"]),
            _allow(
                ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                _BUCKETS,
            ),
            {
                **_allow(["iam:PassRole"], "arn:aws:iam::*:role/*"),
                "Condition": {"StringEquals": {"iam:PassedToService": ["sagemaker.amazonaws.com"]}},
            },
        ),
        "AmazonSageMakerReadOnly": _document(
            _allow([*_READ, "application-autoscaling:Describe*", "cloudwatch:DescribeAlarms"])
        ),
        "CloudWatchFullAccess": _document(_allow(["cloudwatch:*", "logs:*"])),
        "CloudWatchLogsFullAccess": _document(_allow(["logs:*", "cloudwatch:GenerateQuery"])),
        "CloudWatchReadOnlyAccess": _document(
            _allow(["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"]),
            _allow(["logs:Describe*", "logs:Get*", "logs:FilterLogEvents"]),
        ),
        "IAMFullAccess": _document(_allow(["iam:*"])),
        "IAMReadOnlyAccess": _document(_allow(["iam:Get*", "iam:List*", "iam:Simulate*"])),
        "ReadOnlyAccess": _document(
            _allow([*_READ, "s3:Get*", "s3:List*", "logs:Get*", "logs:Describe*"]),
            _allow(["cloudwatch:Get*", "cloudwatch:List*", "cloudwatch:Describe*", "iam:Get*"]),
            _allow(["iam:List*", "logs:FilterLogEvents", "application-autoscaling:Describe*"]),
        ),
    }.items()
}
"""ARN → document."""

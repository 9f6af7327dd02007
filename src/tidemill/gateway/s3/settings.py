"""Settings that a bucket or object here always has, told in the words of S3."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from tidemill.gateway.s3 import answers
from tidemill.gateway.s3.call import Call, off_loop
from tidemill.gateway.s3.problem import Problem, not_implemented
from tidemill.gateway.s3.xml import Node, document

# What is never set answers with the error that S3 gives when it is not set.
_ABSENT = {
    "analytics": "NoSuchConfiguration",
    "cors": "NoSuchCORSConfiguration",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "intelligent-tiering": "NoSuchConfiguration",
    "inventory": "NoSuchConfiguration",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "metrics": "NoSuchConfiguration",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "ownershipControls": "OwnershipControlsNotFoundError",
    "policy": "NoSuchBucketPolicy",
    "policyStatus": "NoSuchBucketPolicy",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "tagging": "NoSuchTagSet",
    "website": "NoSuchWebsiteConfiguration",
}
_FIXED: dict[str, tuple[str, Sequence[Node]]] = {
    "accelerate": ("AccelerateConfiguration", []),
    "logging": ("BucketLoggingStatus", []),
    "notification": ("NotificationConfiguration", []),
    "requestPayment": ("RequestPaymentConfiguration", [("Payer", "BucketOwner")]),
    "versioning": ("VersioningConfiguration", []),
}
OF_BUCKET = (*_ABSENT, *_FIXED, "acl", "location")
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


async def get_of_bucket(call: Call, name: str) -> Response:
    """GetBucketVersioning, GetBucketPolicy and so on."""
    about = await off_loop(call.buckets.bucket, call.bucket)
    if name in _ABSENT:
        raise Problem(_ABSENT[name], 404, f"The bucket has no {name}.", BucketName=call.bucket)
    if name == "location":
        return _location("" if about.region == "us-east-1" else about.region)
    if name == "acl":
        return _acl(call.server.account)
    return answers.xml(*_FIXED[name])


async def delete_of_bucket(call: Call, name: str) -> Response:
    """What was never set is gone at once."""
    if name not in _ABSENT:
        raise not_implemented(name)
    await off_loop(call.buckets.require, call.bucket)
    return answers.empty(204)


async def acl_of_object(call: Call) -> Response:
    """GetObjectAcl: the one account may do everything."""
    await off_loop(call.buckets.head, call.bucket, call.key)
    return _acl(call.server.account)


def _location(region: str) -> Response:
    """The element is the answer itself, empty for us-east-1."""
    body = document("LocationConstraint", []).replace(
        b"></LocationConstraint>", f">{region}</LocationConstraint>".encode()
    )
    return Response(body, media_type="application/xml")


def _acl(account: str) -> Response:
    grantee = (
        f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser"><ID>{account}</ID>'
        f"<DisplayName>{account}</DisplayName></Grantee>"
    )
    grant: Node = ("AccessControlList", [("Grant", [("Permission", "FULL_CONTROL")])])
    body = document("AccessControlPolicy", [answers.owner(account), grant])
    return Response(
        body.replace(b"<Grant>", b"<Grant>" + grantee.encode()), media_type="application/xml"
    )

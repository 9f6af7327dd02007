"""Which action of policies each operation of S3 is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.responses import Response

from tidemill.gateway.s3 import buckets, listing, multipart, objects, puts, settings
from tidemill.gateway.s3.allowed import must_allow
from tidemill.gateway.s3.call import Call

Operation = Callable[[Call], Awaitable[Response]]

_OF_ALL: Mapping[Operation, str] = {buckets.list_all: "ListAllMyBuckets"}
_OF_BUCKETS: Mapping[Operation, str] = {
    buckets.create: "CreateBucket",
    buckets.delete: "DeleteBucket",
    buckets.head: "ListBucket",
    listing.version_1: "ListBucket",
    listing.version_2: "ListBucket",
    listing.versions: "ListBucketVersions",
    multipart.list_uploads: "ListBucketMultipartUploads",
}
_OF_OBJECTS: Mapping[Operation, str] = {
    multipart.abort: "AbortMultipartUpload",
    multipart.complete: "PutObject",
    multipart.copy_part: "PutObject",
    multipart.create: "PutObject",
    multipart.list_parts: "ListMultipartUploadParts",
    multipart.put_part: "PutObject",
    objects.attributes: "GetObjectAttributes",
    objects.delete: "DeleteObject",
    objects.get: "GetObject",
    objects.head: "GetObject",
    puts.copy: "PutObject",
    puts.delete_tags: "DeleteObjectTagging",
    puts.get_tags: "GetObjectTagging",
    puts.put: "PutObject",
    puts.put_tags: "PutObjectTagging",
    settings.acl_of_object: "GetObjectAcl",
}
_COPIES = (puts.copy, multipart.copy_part)
_SETTINGS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "AnalyticsConfiguration",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "metrics": "MetricsConfiguration",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}


def check(call: Call, chosen: Operation) -> None:
    """Raises AccessDenied unless the caller's policies allow the operation.

    DeleteObjects asks for each key by itself, while it goes.
    """
    if call.caller is None or chosen is objects.delete_many:
        return
    if isinstance(chosen, partial):
        verb = "Get" if call.method == "GET" else "Put"
        must_allow(call, verb + _SETTINGS[chosen.keywords["name"]], call.bucket)
    elif chosen in _OF_ALL:
        must_allow(call, _OF_ALL[chosen])
    elif chosen in _OF_BUCKETS:
        must_allow(call, _OF_BUCKETS[chosen], call.bucket)
    else:
        must_allow(call, _OF_OBJECTS[chosen], call.bucket, call.key)
    if chosen in _COPIES:
        must_allow(call, "GetObject", *puts.source_name(call))

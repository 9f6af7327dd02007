"""S3's older presigned URLs (signature version 2), which boto3 still makes in older regions."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote

from tidemill.auth.identity import UNSIGNED, Identity
from tidemill.auth.refusal import Expired, MalformedSignature, UnknownKey, WrongSignature

# The parameters that name a sub-resource or change the answer, and so are signed.
SIGNED = frozenset(
    {
        "accelerate",
        "acl",
        "cors",
        "defaultObjectAcl",
        "location",
        "logging",
        "partNumber",
        "policy",
        "requestPayment",
        "torrent",
        "versioning",
        "versionId",
        "versions",
        "website",
        "uploads",
        "uploadId",
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "delete",
        "lifecycle",
        "tagging",
        "restore",
        "storageClass",
        "notification",
        "replication",
        "analytics",
        "metrics",
        "inventory",
        "select",
        "select-type",
        "object-lock",
    }
)


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    *,
    keys: Mapping[str, str],
    now: float,
) -> Identity:
    """As ``sigv4.verify``, for a URL with AWSAccessKeyId, Signature and Expires."""
    pairs = [
        (n, equals, unquote(v)) for n, equals, v in (p.partition("=") for p in query.split("&"))
    ]
    sent = {name: value for name, _, value in pairs}
    id, expires, given = (sent.get(n, "") for n in ("AWSAccessKeyId", "Expires", "Signature"))
    if not id or not expires.isdecimal() or not given:
        raise MalformedSignature(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters."
        )
    secret = keys.get(id)
    if secret is None:
        raise UnknownKey("The AWS Access Key Id you provided does not exist in our records.")
    resources = sorted((n, eq, v) for n, eq, v in pairs if n in SIGNED)
    resource = path + ("?" if resources else "") + "&".join("".join(r) for r in resources)
    text = f"{method}\n{_lines(sent, headers, expires)}{resource}"
    wanted = b64encode(hmac.digest(secret.encode(), text.encode(), "sha1"))
    if not hmac.compare_digest(wanted, given.encode()):
        raise WrongSignature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method."
        )
    if now > int(expires[:15]):
        raise Expired("Request has expired.", got=expires, do="Sign a new URL.")
    return Identity(id, "us-east-1", "s3", UNSIGNED, "", given)


def _lines(sent: Mapping[str, str], headers: Mapping[str, str], expires: str) -> str:
    """Content-MD5, Content-Type, Expires and the x-amz-* headers, which may stand in the query."""
    both = {**headers, **{n.lower(): v for n, v in sent.items()}}
    custom = "".join(
        f"{name}:{both[name].strip()}\n" for name in sorted(both) if name.startswith("x-amz-")
    )
    md5, media = (headers.get(n, both.get(n, "")) for n in ("content-md5", "content-type"))
    return f"{md5}\n{media}\n{expires}\n{custom}"

"""Who signed this request? AWS Signature Version 4, from the server's side; no clock, no socket.

Header-signed requests and presigned URLs. Cheap enough to stand before every prediction.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import unquote

from tidemill.auth import canonical, sigv2
from tidemill.auth.identity import UNSIGNED, Identity
from tidemill.auth.refusal import (
    Expired,
    MalformedSignature,
    MissingSignature,
    UnknownKey,
    UnsignedHeader,
    WrongPayload,
    WrongSignature,
    WrongTime,
)

SKEW = 900.0
LONGEST_PRESIGNED = 604_800
ALGORITHM = "AWS4-HMAC-SHA256"
STREAMING = frozenset(
    {
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    }
)
# A region becomes the name of a directory, which may have 255 bytes.
_CREDENTIAL = r"([^/,\s]+)/([0-9]{8})/([A-Za-z0-9-]{1,64})/([A-Za-z0-9-]{1,64})/aws4_request"
_NAMES = r"[a-z0-9;!#$%&'*+.^_`|~-]+"
_AUTHORIZATION = re.compile(
    rf"AWS4-HMAC-SHA256 Credential={_CREDENTIAL}, *"
    rf"SignedHeaders=({_NAMES}), *Signature=([0-9a-f]{{64}})"
)
_SCOPE = re.compile(_CREDENTIAL)
_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEX = re.compile(r"[0-9a-f]{64}")


class _Claim(NamedTuple):
    """What the request says of itself, before anything is believed."""

    access_key_id: str
    day: str
    region: str
    service: str
    signed: str
    signature: str
    date: str
    payload: str


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    keys: Mapping[str, str],
    now: float,
    skew: float = SKEW,
    digest: str | None = None,
) -> Identity:
    """Say who signed the request, or raise one of ``auth.refusal``.

    path, query: as sent, still percent-encoded, without the ``?`` · headers: names in lower case,
    values as text (latin-1), repeated ones joined by ``,`` · body: None when it is still to be read
    (S3 only: check it with ``auth.payload`` against the ``payload`` of the answer)
    keys: access key id → secret · now: epoch seconds · skew: seconds that clocks may differ
    digest: the SHA-256 of the body in hex, where it was taken as the body came (not for S3)
    """
    authorization = headers.get("authorization")
    if authorization is not None:
        claim = _from_header(authorization, headers, body, digest)
        _check_moment(claim.date, now, skew)
        in_query = query
    elif "X-Amz-Signature=" in query:
        claim = _from_query(query, headers, body, now, skew, digest)
        in_query = canonical.query(query, without="X-Amz-Signature")
    elif "AWSAccessKeyId=" in query:
        return sigv2.verify(method, path, query, headers, keys=keys, now=now)
    else:
        raise MissingSignature("Missing Authentication Token.")
    names = claim.signed.split(";")
    _check_signed(headers, names)
    request = (
        f"{method}\n{canonical.path(path, claim.service)}\n{canonical.query(in_query)}\n"
        f"{canonical.headers(headers, names)}\n{claim.signed}\n{claim.payload}"
    )
    _check_signature(claim, request, keys)
    if body is not None and claim.service == "s3":
        _check_body(claim.payload, body)
    return Identity(
        claim.access_key_id,
        claim.region,
        claim.service,
        claim.payload,
        claim.date,
        claim.signature,
    )


def _from_header(
    authorization: str, headers: Mapping[str, str], body: bytes | None, digest: str | None
) -> _Claim:
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise MalformedSignature(
            f"Authorization header must be '{ALGORITHM} Credential=KEY/DAY/REGION/SERVICE/"
            "aws4_request, SignedHeaders=..., Signature=...'.",
            got=authorization[:40],
        )
    key, day, region, service, signed, signature = match.groups()
    date = headers.get("x-amz-date") or _from_http_date(headers.get("date", ""))
    if date[:8] != day:
        raise WrongSignature(f"Credential should be scoped to the request's date, {date[:8]!r}.")
    payload = _payload(service, headers.get("x-amz-content-sha256"), body, digest)
    return _Claim(key, day, region, service, signed, signature, date, payload)


def _from_query(
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    now: float,
    skew: float,
    digest: str | None,
) -> _Claim:
    sent = {n: unquote(v) for n, _, v in (p.partition("=") for p in query.split("&"))}
    match = _SCOPE.fullmatch(sent.get("X-Amz-Credential", ""))
    date, seconds = sent.get("X-Amz-Date", ""), sent.get("X-Amz-Expires", "")
    signed = sent.get("X-Amz-SignedHeaders", "")
    readable = match and re.fullmatch(_NAMES, signed) and seconds.isdecimal()
    if not match or not readable or sent.get("X-Amz-Algorithm") != ALGORITHM:
        raise MalformedSignature(
            "Query-string authentication requires X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders and X-Amz-Expires."
        )
    key, day, region, service = match.groups()
    if date[:8] != day:
        raise WrongSignature(f"Credential should be scoped to the request's date, {date[:8]!r}.")
    _check_lifetime(date, int(seconds[:9]), now, skew)
    said = headers.get("x-amz-content-sha256") or sent.get("X-Amz-Content-Sha256")
    payload = (said or UNSIGNED) if service == "s3" else _payload(service, None, body, digest)
    return _Claim(key, day, region, service, signed, sent.get("X-Amz-Signature", ""), date, payload)


def _payload(service: str, said: str | None, body: bytes | None, digest: str | None) -> str:
    """The hash that was signed. Only S3 may declare it; elsewhere it is always taken anew."""
    if service != "s3":
        return digest or sha256(body or b"").hexdigest()
    if said is None:
        raise MalformedSignature("Missing required header for this request: x-amz-content-sha256.")
    if said == UNSIGNED or said in STREAMING or _HEX.fullmatch(said):
        return said
    raise MalformedSignature(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
        f"{', '.join(sorted(STREAMING))}, or a valid sha256 value.",
        got=said[:64],
    )


def _check_signed(headers: Mapping[str, str], names: list[str]) -> None:
    if "host" not in names:
        raise UnsignedHeader("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    for name in headers:
        if name.startswith("x-amz-") and name not in names:
            raise UnsignedHeader(
                f"There were headers present in the request which were not signed: {name}."
            )


def _check_signature(claim: _Claim, request: str, keys: Mapping[str, str]) -> None:
    secret = keys.get(claim.access_key_id)
    if secret is None:
        raise UnknownKey(
            "The security token included in the request is invalid: this platform has no access "
            f"key {claim.access_key_id[:64]!r}."
        )
    key = signing_key(secret, claim.day, claim.region, claim.service)
    wanted = _signature(key, claim, sha256(_encoded(request)).hexdigest())
    if not hmac.compare_digest(wanted, claim.signature.encode("utf-8", "replace")):
        raise WrongSignature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method."
        )


def _signature(key: bytes, claim: _Claim, digest: str) -> bytes:
    """The hex signature of one canonical request's digest."""
    scope = f"{claim.day}/{claim.region}/{claim.service}/aws4_request"
    text = f"{ALGORITHM}\n{claim.date}\n{scope}\n{digest}"
    return hmac.digest(key, text.encode("utf-8", "replace"), "sha256").hex().encode()


@lru_cache(maxsize=256)
def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """The key of one day, region and service."""
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _encoded(request: str) -> bytes:
    try:
        return request.encode("latin-1")
    except UnicodeEncodeError:
        return request.encode("utf-8", "surrogateescape")


def _check_body(payload: str, body: bytes) -> None:
    if _HEX.fullmatch(payload) and sha256(body).hexdigest() != payload:
        raise WrongPayload(
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            do="Send the bytes that were signed.",
        )


def _check_moment(date: str, now: float, skew: float) -> None:
    if abs(now - _seconds(date)) > skew:
        raise WrongTime(
            f"Signature expired or not yet valid: {date} is more than {skew / 60:g} min from the "
            "server's time. The difference between the request time and the current time is too "
            "large.",
            do="Set this machine's clock.",
        )


def _check_lifetime(date: str, seconds: int, now: float, skew: float) -> None:
    if not 0 < seconds <= LONGEST_PRESIGNED:
        raise MalformedSignature(
            f"X-Amz-Expires must be from 1 to {LONGEST_PRESIGNED} seconds, a week.", got=seconds
        )
    signed = _seconds(date)
    if now > signed + seconds:
        raise Expired("Request has expired.", got=date, do="Sign a new URL.")
    if now < signed - skew:
        raise Expired("Request is not yet valid.", got=date, do="Set this machine's clock.")


@lru_cache(maxsize=64)
def _seconds(date: str) -> float:
    if not _MOMENT.fullmatch(date):
        raise MalformedSignature("Date must be in ISO-8601 'basic format', 20240131T120000Z.")
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%S%z").timestamp()
    except ValueError as error:
        raise MalformedSignature(f"Date cannot be read: {error}.") from None


def _from_http_date(date: str) -> str:
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError):
        raise MalformedSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        ) from None

"""Temporary keys: nothing is stored, all that they are good for stands in their token.

The token is what was granted, with a MAC of the platform's own secret; the secret key of the pair
is a MAC of the token. Who changes the one has no use for the other.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass
from hashlib import sha256

PREFIX = "ASIA"
LONGEST = 16_384
_MAC = 32


@dataclass(frozen=True, slots=True)
class Grant:
    """key: the access key id · kind: ``user`` or ``role``, or ``root`` for the administrator
    name, id: of the user or role; a new one of the same name has another id · session: its name
    until: epoch seconds · policy: a document that narrows it, or empty
    """

    key: str
    kind: str
    name: str
    id: str
    session: str
    until: float
    policy: str = ""


def mint(grant: Grant, root: str) -> tuple[str, str]:
    """The secret access key and the session token. root: the platform's own secret"""
    text = json.dumps(asdict(grant), separators=(",", ":")).encode()
    token = urlsafe_b64encode(_mac(root, text) + text).decode()
    return secret(token, root), token


def read(token: str, root: str) -> Grant | None:
    """What it grants; None for anything that was not minted here."""
    if not token or len(token) > LONGEST:
        return None
    try:
        data = urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        return None
    text = data[_MAC:]
    if not hmac.compare_digest(data[:_MAC], _mac(root, text)):
        return None
    return Grant(**json.loads(text))


def secret(token: str, root: str) -> str:
    """The secret access key that goes with a token."""
    key = hmac.digest(root.encode(), b"tidemill session secret", "sha256")
    return urlsafe_b64encode(hmac.digest(key, token.encode(), "sha256")).decode()[:40]


def access_key_id(seed: bytes) -> str:
    """A key id of a session, from random bytes."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return PREFIX + "".join(letters[byte % 32] for byte in sha256(seed).digest()[:16])


def _mac(root: str, text: bytes) -> bytes:
    key = hmac.digest(root.encode(), b"tidemill session token", "sha256")
    return hmac.digest(key, text, "sha256")

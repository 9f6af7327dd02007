"""The platform's own keys: made at the first start, in a file that only its owner can read."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import string
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tidemill.errors import Invalid

VARIABLES = ("TIDEMILL_ACCESS_KEY_ID", "TIDEMILL_SECRET_ACCESS_KEY")

# A signature names the key between slashes and commas of a header.
_KEY, _SECRET = re.compile(r"[A-Za-z0-9_.-]+"), re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """One access key and its secret."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, secret_access_key=…)"

    @property
    def keys(self) -> dict[str, str]:
        """As ``sigv4.verify`` wants them: access key id → secret."""
        return {self.access_key_id: self.secret_access_key}

    @property
    def metrics_token(self) -> str:
        """For ``GET /metrics`` and nothing else; the secret cannot be told from it.

        >>> len(Credentials("AKIA", "secret").metrics_token)
        64
        """
        return hmac.digest(self.secret_access_key.encode(), b"tidemill metrics", "sha256").hex()


def load_or_create(path: Path, environ: Mapping[str, str]) -> Credentials:
    """The pair in the file; the first caller makes it, from the environment or at random.

    Of several first callers at one moment exactly one makes the file, and all get its pair.
    """
    if not path.exists():
        _create(path, _first(environ))
    return load(path)


def load(path: Path) -> Credentials:
    """The pair in the file. Raises Invalid when it is not one."""
    text = path.read_text(encoding="utf-8")
    try:
        return Credentials(**json.loads(text))
    except (ValueError, TypeError):
        raise Invalid(
            f"{path} must hold JSON with access_key_id and secret_access_key",
            got=f"{len(text)} characters",
            do="Restore the file, or delete it to have new keys made.",
        ) from None


def _first(environ: Mapping[str, str]) -> Credentials:
    key, secret = (environ.get(name, "") for name in VARIABLES)
    if bool(key) != bool(secret):
        raise Invalid(
            " and ".join(VARIABLES) + " must be set together",
            got="one of them",
            do="Set both, or neither to have random keys made.",
        )
    if key and not (_KEY.fullmatch(key) and _SECRET.fullmatch(secret)):
        raise Invalid(
            f"{VARIABLES[0]} must be of letters, digits, '_', '-', '.', its secret without spaces",
            got=key,
            do="Requests could not be signed with anything else.",
        )
    if key:
        return Credentials(key, secret)
    letters = string.ascii_uppercase + "234567"
    return Credentials(
        "AKIA" + "".join(secrets.choice(letters) for _ in range(16)), secrets.token_urlsafe(30)
    )


def _create(path: Path, credentials: Credentials) -> None:
    """Write beside and link into place: the name appears whole, and never over another's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".credentials-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(credentials), file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)

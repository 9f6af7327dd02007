"""Page tokens: where a list goes on, signed so that only what was issued is taken back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from tidemill.errors import Invalid
from tidemill.store.base import Query

_MAC_BYTES = 12


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and reads tokens under one secret key.

    >>> tokens, query = Tokens(b"secret"), Query("model", "us-east-1")
    >>> from dataclasses import replace
    >>> tokens.read(replace(query, after=tokens.issue(query, 17.5, 3)))
    (17.5, 3)
    """

    key: bytes

    def issue(self, query: Query, value: float | str, serial: int) -> str:
        """The token that continues this list after the row with this sort value and serial."""
        body = json.dumps([value, serial], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(query, body) + body).decode()

    def read(self, query: Query) -> tuple[float | str, int]:
        """(sort value, serial) from ``query.after``; raises Invalid unless issued for this list.

        Filters and page size may differ from those it was issued under; kind, region and order
        may not.
        """
        try:
            data = base64.b64decode(query.after or "", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(query, body)):
            raise Invalid(
                "a NextToken that an earlier page of this list gave",
                got=query.after,
                do="Start again without NextToken.",
            )
        value, serial = json.loads(body)
        return value, serial

    def _mac(self, query: Query, body: bytes) -> bytes:
        of = json.dumps([query.kind, query.region, query.sort_by, query.descending]).encode()
        return hmac.digest(self.key, of + b"\n" + body, hashlib.sha256)[:_MAC_BYTES]

"""Who signed a request, for which region and service, and what was said of the body."""

from __future__ import annotations

from typing import NamedTuple

UNSIGNED = "UNSIGNED-PAYLOAD"


class Identity(NamedTuple):
    """payload: the declared SHA-256 of the body (hex), or ``UNSIGNED-PAYLOAD``, or ``STREAMING-…``
    date: as signed (``20240131T120000Z``; empty for signature version 2) · signature: hex
    """

    access_key_id: str
    region: str
    service: str
    payload: str
    date: str
    signature: str

    @property
    def scope(self) -> str:
        """What the signing key is good for: day, region, service."""
        return f"{self.date[:8]}/{self.region}/{self.service}/aws4_request"

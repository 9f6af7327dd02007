"""What is built of each AWS service, for the reference page of the API."""

from __future__ import annotations

from tidemill.gateway.services import SPOKEN

_SPOKEN = {spoken.title: spoken for spoken in SPOKEN}


def built() -> dict[str, list[str]]:
    """Service → the operations that work, sorted.

    >>> built()["AWS STS"]
    ['GetCallerIdentity']
    """
    return {title: sorted(spoken.handlers) for title, spoken in _SPOKEN.items()}


def known(service: str) -> list[str]:
    """All operations that AWS's model of a service has, built here or not."""
    return _SPOKEN[service].description().names

"""Which containers had a request, and how long: the third line of an answer's head."""

from __future__ import annotations

PRIMARY = "primary"
"""What AWS calls the container of a model that has one."""


def answerer(trail: bytes) -> str:
    """The container that answered, or refused to.

    >>> answerer(b"prepare=120;cluster=85"), answerer(b"")
    ('cluster', 'primary')
    """
    return trail.rpartition(b";")[2].partition(b"=")[0].decode("latin-1") or PRIMARY


def microseconds(trail: bytes) -> dict[str, float]:
    """How long each container took, in their order.

    >>> microseconds(b"prepare=120;cluster=85")
    {'prepare': 120.0, 'cluster': 85.0}
    """
    pairs = (part.partition(b"=") for part in trail.split(b";") if part)
    return {name.decode("latin-1"): float(number) for name, _, number in pairs}

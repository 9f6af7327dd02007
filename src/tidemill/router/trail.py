"""Which containers had a request, and how long: the third line of an answer's head."""

from __future__ import annotations

from tidemill.spec.model import MOST_CONTAINERS

LONGEST = 16
"""Digits of a number of microseconds."""
PRIMARY = "primary"
"""What AWS calls the container of a model that has one."""


def answerer(trail: bytes) -> str:
    """The container that answered, or refused to.

    >>> answerer(b"prepare=120;cluster=85"), answerer(b"")
    ('cluster', 'primary')
    """
    return trail.rpartition(b";")[2].partition(b"=")[0].decode("latin-1") or PRIMARY


def microseconds(trail: bytes) -> dict[str, int]:
    """How long each container took, in their order; what says nothing of one is passed over.

    >>> microseconds(b"prepare=120;cluster=85;?")
    {'prepare': 120, 'cluster': 85}
    """
    pairs = (part.partition(b"=") for part in trail.split(b";")[:MOST_CONTAINERS])
    return {
        name.decode("latin-1"): int(number)
        for name, _, number in pairs
        if number.isdigit() and len(number) < LONGEST
    }

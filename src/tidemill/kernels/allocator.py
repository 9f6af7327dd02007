"""The C allocator told to keep what it once had, for processes through which large bodies flow."""

from __future__ import annotations

import ctypes

KEPT = 48 << 20
"""Bytes of freed memory that stay with the process."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST = 32 << 20


def keep_memory() -> bool:
    """Reuse the memory of large bodies rather than give it back after each; whether that works.

    The GNU C library returns large blocks to the system as soon as they are free, and every page
    of the next one is a fault again: a copy of a megabyte takes twenty times as long. Elsewhere
    nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_TRIM_THRESHOLD, KEPT) and mallopt(_MMAP_THRESHOLD, _LARGEST))

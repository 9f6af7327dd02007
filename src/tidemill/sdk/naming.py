"""Names for what the user did not name: readable, sortable, unique."""

from __future__ import annotations

import secrets
import time


def fresh_name(base: str) -> str:
    """``base``, the time of day and a few random letters, within AWS's 63 characters."""
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime())
    return f"{base[:36]}-{stamp}-{secrets.token_hex(2)}"

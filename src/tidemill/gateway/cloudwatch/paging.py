"""Page tokens of CloudWatch's lists: where a page goes on, opaque to clients."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from tidemill.gateway.wire.errors import Fault

Item = TypeVar("Item")
_MARK = b"tm1:"


def page(
    items: Sequence[Item], key: Callable[[Item], str], token: str | None, limit: int
) -> tuple[list[Item], dict[str, str]]:
    """The next items, and the token member if there are more. items: in order of their keys.

    A token names the last item shown, so lists may change between two pages. Raises
    InvalidNextToken.

    >>> shown, more = page(["a", "b", "c"], str, None, 2)
    >>> shown, page(["a", "b", "c"], str, more["NextToken"], 2)
    (['a', 'b'], (['c'], {}))
    """
    last = None if token is None else read(token)
    left = [item for item in items if last is None or key(item) > last]
    shown = left[:limit]
    return shown, {"NextToken": issue(key(shown[-1]))} if len(left) > len(shown) else {}


def issue(text: str) -> str:
    """A token that stands for this text."""
    return base64.urlsafe_b64encode(_MARK + text.encode()).decode()


def read(token: str) -> str:
    """The text that a token stands for; raises InvalidNextToken."""
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
        if data.startswith(_MARK):
            return data[len(_MARK) :].decode()
    except (binascii.Error, ValueError):
        pass
    raise Fault("InvalidNextToken", "The next token is invalid. Start again without NextToken.")

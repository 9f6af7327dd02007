"""Pages of lists that are put in order here, by whatever property, not by the store."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from tidemill.gateway.wire.errors import invalid

Item = TypeVar("Item")
Key = tuple[int, float | str, int]
"""Place of the value's type in the order, the value, and a serial that breaks ties."""
_CHECK = 12


def key(value: Any, serial: int) -> Key:
    """Where an item of this value stands; numbers come before text, nothing before both.

    >>> sorted([key("b", 1), key(2, 2), key(None, 3), key(True, 4), key(2, 1)])
    [(0, 0, 3), (1, 1, 4), (1, 2, 1), (1, 2, 2), (2, 'b', 1)]
    """
    if isinstance(value, (int, float)):
        return 1, int(value) if isinstance(value, bool) else value, serial
    if isinstance(value, str):
        return 2, value, serial
    return 0, 0, serial


def last(serial: int, *, descending: bool) -> Key:
    """Where an item stands that comes behind all others.

    >>> last(1, descending=False) > key("z", 2), last(1, descending=True) < key(None, 2)
    (True, True)
    """
    return -1 if descending else 3, 0, serial


def page(
    items: Iterable[Item],
    of: Callable[[Item], Key],
    *,
    descending: bool,
    limit: int,
    token: str | None,
    scope: Sequence[str],
) -> tuple[list[Item], dict[str, str]]:
    """The next items in order, and the NextToken member if there are more.

    scope: what the list is, so that a token of another one is refused. A token names the last item
    shown, so lists may change between two pages. Raises a ValidationException for a bad token.

    >>> shown, more = page([3, 1, 2], lambda n: key(n, 0), descending=False, limit=2, token=None,
    ...                    scope=["numbers"])
    >>> shown, page([3, 1, 2], lambda n: key(n, 0), descending=False, limit=2,
    ...             token=more["NextToken"], scope=["numbers"])
    ([1, 2], ([3], {}))
    """
    last = None if token is None else _read(token, scope)
    left = sorted(items, key=of, reverse=descending)
    if last is not None:
        left = [i for i in left if (of(i) < last if descending else of(i) > last)]
    shown = left[:limit]
    return shown, {"NextToken": _issue(of(shown[-1]), scope)} if len(left) > limit else {}


def _issue(at: Key, scope: Sequence[str]) -> str:
    body = json.dumps(at, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(body, scope) + body).decode()


def _read(token: str, scope: Sequence[str]) -> Key:
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    body = data[_CHECK:]
    if data[:_CHECK] != _digest(body, scope) or not body:
        raise invalid(f"Invalid NextToken '{token:.64}'. Start again without it.")
    rank, value, serial = json.loads(body)
    return rank, value, serial


def _digest(body: bytes, scope: Sequence[str]) -> bytes:
    return hashlib.sha256(json.dumps(list(scope)).encode() + b"\n" + body).digest()[:_CHECK]

"""``*`` and ``?`` as policies have them, in time linear in pattern times text."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Does the pattern match all of the text? ``*``: any characters, ``?``: any one.

    >>> matches("s3:Get*", "s3:GetObject"), matches("a?c", "abc"), matches("*b", "abc")
    (True, True, False)
    """
    first, *others = pattern.split("*")
    if not others:
        return len(first) == len(text) and _is_at(first, text, 0)
    *middle, last = others
    if len(first) + len(last) > len(text) or not _is_at(first, text, 0):
        return False
    end = len(text) - len(last)
    if not _is_at(last, text, end):
        return False
    at = len(first)
    for part in middle:
        found = _find(part, text, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _is_at(part: str, text: str, at: int) -> bool:
    if "?" not in part:
        return text.startswith(part, at)
    return all(p in ("?", t) for p, t in zip(part, text[at : at + len(part)], strict=True))


def _find(part: str, text: str, start: int, end: int) -> int:
    """Where it first is, between the two; -1 when nowhere. The first place leaves the most room."""
    if "?" not in part:
        return text.find(part, start, end)
    for at in range(start, end - len(part) + 1):
        if _is_at(part, text, at):
            return at
    return -1

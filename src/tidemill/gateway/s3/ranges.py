"""Which bytes of an object a Range header means."""

from __future__ import annotations

import re

from tidemill.gateway.s3.problem import no_such_range

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def parse(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop (exclusive); None when the header is to be ignored, as S3 does with several
    ranges and with what is no range; raises Problem when no byte is in it.

    >>> parse("bytes=2-3", 10), parse("bytes=-4", 10), parse("bytes=8-99", 10), parse("x", 10)
    ((2, 4), (6, 10), (8, 10), None)
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        raise no_such_range(header, size)
    return start, stop

"""Query parameters as what they mean."""

from __future__ import annotations

from tidemill.gateway.s3.call import Call
from tidemill.gateway.s3.problem import invalid_argument


def number(call: Call, name: str, *, low: int, high: int, default: int) -> int:
    """A whole number of the query, cut to ``high``; raises Problem when it is below ``low``."""
    text = call.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) < low:
        raise invalid_argument(f"{name} must be a whole number from {low} on", name, text)
    return min(int(text), high)


def part_number(call: Call) -> int:
    """The number of a part, 1 to 10,000."""
    text = call.query.get("partNumber", "")
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= 10_000:
        raise invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive", "partNumber", text
        )
    return int(text)

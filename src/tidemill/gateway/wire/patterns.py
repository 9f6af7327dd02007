"""The service models' patterns, which are Java's, as Python understands them.

They mean a full match whether or not they say so. Unicode classes are spelled out (``re`` has
none), and the two patterns that would take exponential time on hostile text are put in an
equivalent form that takes linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SEPARATORS = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # \p{Z}
_NO_TEXT = r"\x00-\x1f\x7f-\x9f\ud800-\uf8ff"  # control, surrogate, private use: \p{C}, nearly
_VISIBLE = rf"[^{_SEPARATORS}{_NO_TEXT}]"

# For a pattern of a newer botocore that Python cannot read: better no bound than no service.
_ANYTHING = re.compile(r"(?s:.*)")
_SAME_AS = (
    # Letters and digits of all scripts are \w without its underscore, which these list anyway.
    (r"\p{L}\p{Z}\p{N}", r"\w" + _SEPARATORS),
    (r"[\p{L}\p{M}\p{S}\p{N}\p{P}]", _VISIBLE),
    (r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]", f"[^{_NO_TEXT}]"),
    (r"[\p{L}\p{M}\p{Z}\p{N}\p{P}]", f"[^{_NO_TEXT}]"),
    (r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]", f"[^{_NO_TEXT}]"),
    (r"\p{Alnum}", "a-zA-Z0-9"),
    (r"[\w-_", r"[\w\-_"),  # a range cannot begin with a class: Java takes the hyphen for itself
    # Pairs of surrogates: Java's characters beyond the basic plane.
    (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"),
    # An end of text, 1 to 128 times, is an end of text.
    ("${1,128}", "$"),
    ("${1,256}", "$"),
    # Each of up to 1,016 groups could end anywhere: exponential.
    (
        r"([.\-_a-zA-Z0-9]+/?){3,1016}",
        r"(?=(?:/?[.\-_a-zA-Z0-9]){3})[.\-_a-zA-Z0-9]+(?:/[.\-_a-zA-Z0-9]+)*/?",
    ),
    (r"([.\-_a-zA-Z0-9]+/?)*", r"(?:[.\-_a-zA-Z0-9]+(?:/[.\-_a-zA-Z0-9]+)*/?)?"),
    (r"([-a-z0-9]*[a-z0-9]){0,39}?", r"(?:[-a-z0-9]*[a-z0-9])?"),
)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Use it with ``fullmatch``.

    >>> bool(compiled(r"([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)").fullmatch("Größe: 5 µm"))
    True
    """
    for java, python in _SAME_AS:
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        return _ANYTHING

"""How many numbers a body may unfold to, for forms in which a few bytes can stand for very many."""

from __future__ import annotations

from tidemill.data.where import Where
from tidemill.errors import InvalidData

MOST_NUMBERS = 1 << 24
"""Numbers of a body, 64 MiB of float32, unless the body itself has more bytes."""


def require_room(rows: int, columns: int, size: int, where: Where) -> None:
    """Raise InvalidData when so many rows and columns are more than a body of ``size`` may hold.

    >>> require_room(1000, 30, 4096, Where())
    """
    most = max(MOST_NUMBERS, size)
    if rows * columns > most:
        raise InvalidData(
            f"{where.name}: must hold at most {most} numbers",
            got=f"{rows} rows of {columns} columns",
            do="Send the rows in several requests.",
        )

"""What a worker says when it fails: whose turn it is, what was wrong, what to do."""

from __future__ import annotations

import traceback

from tidemill.errors import InvalidData, TidemillError
from tidemill.workers.peers import PeerFailed

_LINES = 12
_TOO_LARGE = "hyperparameters and data must fit into this machine's memory"
_SMALLER = (
    "Lower those that say how many (columns, components, batch rows), or use a larger machine."
)


def explain(error: BaseException, channel: str | None = None) -> str:
    """The text of ``output/failure``.

    ``ClientError:`` means that the request or its data must change, ``AlgorithmError:`` that we
    must. channel: the one that was being read.
    """
    if isinstance(error, PeerFailed):
        return str(error.got)
    if isinstance(error, InvalidData) and channel and f"channel {channel!r}" not in str(error):
        return f"ClientError: channel {channel!r}: {error}"
    if isinstance(error, TidemillError):
        return f"ClientError: {error}"
    if isinstance(error, MemoryError):
        return f"ClientError: {_TOO_LARGE}; got {str(error) or 'MemoryError'!r}. {_SMALLER}"
    what = "".join(traceback.format_exception_only(error)).strip()
    where = "".join(traceback.format_exception(error)).strip().splitlines()[-_LINES:]
    return f"AlgorithmError: {what}\n" + "\n".join(where)

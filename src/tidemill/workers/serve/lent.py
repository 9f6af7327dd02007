"""Bodies that the router lends rather than sends: read from the memory that it shares."""

from __future__ import annotations

import json
import mmap
import os

from tidemill.errors import InvalidData
from tidemill.spec.frame import EXTENT, Frame


class Lent:
    """The router's memory, mapped to be read. Raises OSError or ValueError if it is not there."""

    def __init__(self, offer: bytes) -> None:
        said = json.loads(offer)
        file = os.open(said["path"], os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(file, int(said["size"]), access=mmap.ACCESS_READ)
        finally:
            os.close(file)

    def inline(self, frame: Frame) -> Frame:
        """The frame with its body, copied: nothing that is kept of it may change later.

        Raises InvalidData for an extent that is not of this memory.
        """
        if len(frame.body) != EXTENT.size:
            raise InvalidData("an extent of lent memory", got=len(frame.body), do="Send it anew.")
        offset, length = EXTENT.unpack(frame.body)
        if offset + length > len(self._map):
            raise InvalidData("an extent of lent memory", got=(offset, length), do="Send it anew.")
        body = self._map[offset : offset + length]
        return Frame(frame.kind, frame.id, frame.status, frame.head, body)

"""An object held open: its bytes as they were, and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tidemill.storage.metadata import ObjectInfo

BLOCK = 1 << 20


class Opened:
    """A context that closes the file when it ends."""

    def __init__(self, info: ObjectInfo, file: int) -> None:
        self.info = info
        self.file = file

    def read(self, start: int, size: int) -> bytes:
        """Exactly these bytes; raises OSError when a person has cut the file shorter."""
        blocks: list[bytes] = []
        while size > 0:
            block = os.pread(self.file, size, start)
            if not block:
                raise OSError(f"{self.info.key}: the file became shorter while it was read")
            blocks.append(block)
            start, size = start + len(block), size - len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def blocks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from start to stop, a megabyte at a time."""
        for begin in range(start, stop, BLOCK):
            yield self.read(begin, min(BLOCK, stop - begin))

    def close(self) -> None:
        """Let go of the file; harmless when done before."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

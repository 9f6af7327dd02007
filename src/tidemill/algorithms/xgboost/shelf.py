"""Rows that do not fit in memory, in files; they look like other rows."""

from __future__ import annotations

import mmap
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.xgboost.rows import size
from tidemill.data.batch import Batch, Csr

ROOM = 256 << 20
"""Bytes of rows that stay in memory."""
SEGMENT = 256 << 20
"""Bytes of a file, unless an array alone is larger."""
_ALIGNED = 64


class Shelf:
    """Keeps rows as they come, up to ``room`` bytes in memory and the rest in unnamed files.

    directory: for the files, made when it is needed and emptied first; without one all rows stay in
    memory. A file goes when the last of its rows is let go of.
    """

    def __init__(self, directory: Path | None, room: int = ROOM) -> None:
        self._directory, self._room = directory, room
        self._segments: list[mmap.mmap] = []
        self._held = self._used = 0

    @property
    def pages(self) -> Path | None:
        """A directory for what is made of the rows, where these did not fit in memory."""
        return self._directory if self._segments else None

    def keep(self, batch: Batch) -> Batch:
        """The same rows, from wherever they are kept."""
        self._held += size(batch)
        if self._directory is None or self._held <= self._room:
            return batch
        features = batch.features
        if not isinstance(features, Csr):
            return replace(batch, features=self._put(features))
        indptr, indices = self._put(features.indptr), self._put(features.indices)
        kept = Csr(indptr, indices, self._put(features.values), features.columns)
        return replace(batch, features=kept)

    def rest(self) -> None:
        """Let the machine take back the memory of rows that were looked at; they stay readable."""
        for segment in self._segments:
            segment.madvise(mmap.MADV_DONTNEED)

    def _put(self, array: NDArray[Any]) -> NDArray[Any]:
        if array.size == 0:
            return array
        if not self._segments or self._used + array.nbytes > len(self._segments[-1]):
            self.rest()
            self._segments.append(self._segment(array.nbytes))
            self._used = 0
        found = np.frombuffer(self._segments[-1], array.dtype, array.size, self._used)
        found = found.reshape(array.shape)
        found[...] = array
        self._used += -(-array.nbytes // _ALIGNED) * _ALIGNED
        return found

    def _segment(self, least: int) -> mmap.mmap:
        assert self._directory is not None
        if not self._segments:
            clear(self._directory)  # of what an attempt that was killed has left
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._directory) as file:
            file.truncate(max(SEGMENT, least))
            return mmap.mmap(file.fileno(), max(SEGMENT, least))


def clear(directory: Path | None) -> None:
    """Remove a directory with what is in it, if it is there."""
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)

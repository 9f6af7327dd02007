"""application/x-npz: a ZIP archive of .npy arrays; one of rows in, one for each column out."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from tidemill.data.batch import Batch
from tidemill.data.formats import npy
from tidemill.data.room import require_room
from tidemill.data.where import REQUEST, Where
from tidemill.errors import InvalidData

_DO = "Write it with numpy.savez(file, rows), one array of shape (rows, columns)."
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def decode(body: bytes, where: Where = REQUEST) -> Batch:
    """The rows of the only array. Raises InvalidData."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            if len(members) != 1:
                raise InvalidData(
                    f"{where.name}: must hold one array",
                    got=[member.filename[:50] for member in members[:10]],
                    do=_DO,
                )
            require_room(1, members[0].file_size // 8, len(body), where)
            with archive.open(members[0]) as file:
                array = file.read(members[0].file_size + 1)
    except InvalidData:
        raise
    except _DAMAGED as error:
        raise InvalidData(
            f"{where.name}: must be an .npz file", got=str(error)[:100], do=_DO
        ) from None
    return npy.decode(array, where)


def encode(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """An answer's columns, an array each under its name; always the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, column in columns.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), npy.array(column))
    return out.getvalue()

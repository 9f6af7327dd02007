"""The body of an inference request to a batch, by its content type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.data import content_type as types
from tidemill.data.batch import Batch
from tidemill.data.checks import require_finite
from tidemill.data.content_type import ContentType
from tidemill.data.formats import (
    answered,
    arrow_stream,
    csv,
    json,
    jsonlines,
    libsvm,
    npy,
    npz,
    parquet,
    recordio,
)
from tidemill.data.where import REQUEST
from tidemill.errors import InvalidData, UnsupportedType

DECODERS: Mapping[str, Callable[[bytes], Batch]] = {
    types.CSV: csv.decode,
    types.JSON: json.decode,
    types.JSON_LINES: jsonlines.decode,
    types.RECORDIO: recordio.decode,
    types.NPY: npy.decode,
    types.PARQUET: parquet.decode,
    types.LIBSVM: libsvm.decode,
    types.ARROW: arrow_stream.decode,
    types.NPZ: npz.decode,
}


def decode(
    body: bytes, content_type: str | ContentType | None, *, allows_missing: bool = False
) -> Batch:
    """The rows of a request.

    CSV rows hold features alone unless the content type has a ``label_size``, whose columns are
    then the batch's labels. Raises UnsupportedType for the type, InvalidData for the body
    (also for infinities and, without allows_missing, NaN: the answer would be of nulls).
    """
    kind = content_type if isinstance(content_type, ContentType) else types.parse(content_type)
    if kind.media == types.CSV and kind.label_size:
        batch = csv.decode(body, kind.label_size)
    elif kind.media == types.LIBSVM:
        batch = libsvm.decode(body, kind)
    elif kind.media in DECODERS:
        batch = _decoded(body, kind.media)
    else:
        raise UnsupportedType(
            f"the content type of a request must be one of {', '.join(DECODERS)}",
            got=kind.media,
            do="Send rows of numbers.",
        )
    if len(batch) == 0:
        got = f"{len(body)} bytes"
        raise InvalidData("request body: must have a row", got=got, do="Send the rows.")
    require_finite(batch, REQUEST.row, allows_missing=allows_missing)
    return batch


def _decoded(body: bytes, media: str) -> Batch:
    """The rows of a request, or of the answer that a pipeline's earlier step has made one."""
    try:
        return DECODERS[media](body)
    except InvalidData:
        batch = answered.read(body, media)
        if batch is None:
            raise
        return batch

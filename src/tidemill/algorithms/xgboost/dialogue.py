"""Requests and answers as SageMaker's own container has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidemill.algorithms.base import Columns
from tidemill.data import answer, request
from tidemill.data import content_type as types
from tidemill.data.batch import Batch, Csr
from tidemill.data.content_type import ContentType
from tidemill.data.seam import Seam


class XGBoostDialogue:
    """Rows in any format of vectors, scores out: by default as CSV, whatever was sent."""

    accepts: Sequence[str] = (
        types.CSV,
        types.JSON,
        types.JSON_LINES,
        types.RECORDIO,
        types.NPY,
        types.NPZ,
        types.PARQUET,
        types.ARROW,
    )
    seams: Mapping[str, Seam] = {
        types.CSV: Seam(between=b","),
        types.JSON: Seam(b'{"predictions":[', b",", b"]}"),
        types.JSON_LINES: Seam(),
        types.RECORDIO: Seam(),
    }

    def decode(self, body: bytes, content_type: ContentType) -> Batch:
        """The rows; empty CSV cells and NaN are missing values. Labels in CSV need label_size."""
        batch = request.decode(body, content_type, allows_missing=True)
        if content_type.media == types.LIBSVM and isinstance(batch.features, Csr):
            # Rounded up, for bodies that differ a little in width are answered together.
            width = 1 << (batch.columns - 1).bit_length()
            batch = replace(batch, features=replace(batch.features, columns=width))
        return replace(batch, labels=None, weights=None, groups=None)

    def encode(self, columns: Columns, batch: Batch, accept: ContentType) -> bytes:
        """Scores as asked for, CSV as endpoints of SageMaker write it.

        CSV: the rows' scores with commas between them; of several classes each row in brackets.
        """
        if accept.media != types.CSV:
            return answer.encode(columns, accept.media)[0]
        text = answer.encode(columns, types.CSV)[0].rstrip(b"\n")
        if columns["score"].ndim == 1:
            return text.replace(b"\n", b",")
        return b"[" + text.replace(b",", b", ").replace(b"\n", b"],[") + b"]"

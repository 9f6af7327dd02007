"""What bytes claim to be: a media type under its one name here, with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from tidemill.errors import InvalidData, UnsupportedType

CSV = "text/csv"
RECORDIO = "application/x-recordio-protobuf"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
PARQUET = "application/x-parquet"
NPY = "application/x-npy"
TEXT = "text/plain"
LIBSVM = "application/x-libsvm"
ARROW = "application/vnd.apache.arrow.stream"
NPZ = "application/x-npz"
TENSORS = "application/vnd.oip.v2+json"
"""A request of the Open Inference Protocol."""

ALIASES: Mapping[str, str] = {
    **{
        name: name
        for name in (
            CSV,
            RECORDIO,
            JSON,
            JSON_LINES,
            PARQUET,
            NPY,
            TEXT,
            LIBSVM,
            ARROW,
            NPZ,
            TENSORS,
        )
    },
    "csv": CSV,
    "application/csv": CSV,
    "protobuf": RECORDIO,
    "recordio-protobuf": RECORDIO,
    "application/x-labeled-vector-protobuf": RECORDIO,
    "json": JSON,
    "text/json": JSON,
    "jsonlines": JSON_LINES,
    "application/x-jsonlines": JSON_LINES,
    "application/json-lines": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "parquet": PARQUET,
    "application/parquet": PARQUET,
    "application/vnd.apache.parquet": PARQUET,
    "npy": NPY,
    "application/npy": NPY,
    "application/x-numpy": NPY,
    "text": TEXT,
    "txt": TEXT,
    "libsvm": LIBSVM,
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "arrow": ARROW,
    "application/x-arrow": ARROW,
    "application/vnd.apache.arrow": ARROW,
    "npz": NPZ,
    "application/npz": NPZ,
}
"""Every name understood, in lower case: SageMaker's containers take the short ones too."""

SUPPORTED = (CSV, RECORDIO, JSON, JSON_LINES, PARQUET, NPY, TEXT, LIBSVM, ARROW, NPZ, TENSORS)


@dataclass(frozen=True, slots=True)
class ContentType:
    """media: the canonical name · parameters: lower-case name → value, unquoted"""

    media: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def label_size(self) -> int | None:
        """How many columns of a row are labels, where the content type says so."""
        text = self.parameters.get("label_size")
        if text is None:
            return None
        if not text.isdecimal():
            raise InvalidData(
                f"{self.media}: label_size must be a whole number of columns, 0 or more",
                got=text,
                do="Write for instance text/csv;label_size=1.",
            )
        return int(text)


@lru_cache(maxsize=256)
def parse(text: str | None) -> ContentType:
    """Read a Content-Type; None or empty is RecordIO-protobuf, as SageMaker's SDK sends it.

    Names are matched without regard to case. Raises UnsupportedType for what is not read here.

    >>> parse("Text/CSV; label_size=0")
    ContentType(media='text/csv', parameters={'label_size': '0'})
    """
    media, parameters = split(text or RECORDIO)
    if media not in ALIASES:
        raise UnsupportedType(
            f"content type must be one of {', '.join(SUPPORTED)}",
            got=text,
            do="Name the content type that the data has, or convert the data to one of these.",
        )
    return ContentType(ALIASES[media], parameters)


def is_known(text: str) -> bool:
    """Whether ``parse`` reads it."""
    return split(text)[0] in ALIASES


def split(text: str) -> tuple[str, dict[str, str]]:
    """The media type and parameters of a header value, lower-cased, whatever the type.

    >>> split('application/json; verbose="true"')
    ('application/json', {'verbose': 'true'})
    """
    media, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest if part.strip())
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    return media.strip().lower(), parameters

"""Vectors of words as word2vec writes them, as text and as bytes, and how well they were judged."""

from __future__ import annotations

import numpy as np
import orjson

from tidemill.algorithms.blazingtext.fasttext_file import spelled
from tidemill.algorithms.blazingtext.vocabulary import Vocabulary
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.algorithms.blazingtext.word_pairs import NAME
from tidemill.data.batch import Floats
from tidemill.data.text import text_of
from tidemill.errors import InvalidData

_BLOCK = 4096
_HEAD = 64


def as_text(model: WordVectors) -> bytes:
    """A line of how many words and columns, then a line for each word."""
    lines = [b"%d %d" % model.vectors.shape]
    words = spelled(model.vocabulary.text)
    for start in range(0, len(words), _BLOCK):
        rows = np.ascontiguousarray(model.vectors[start : start + _BLOCK])
        told = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].replace(b",", b" ")
        numbers = told.split(b"] [")
        lines += map(b"%b %b".__mod__, zip(words[start:], numbers, strict=False))
    return b"\n".join([*lines, b""])


def as_bytes(model: WordVectors) -> bytes:
    """The same with each word's numbers as float32."""
    rows = model.vectors.astype("<f4")
    parts = [b"%d %d\n" % model.vectors.shape]
    for word, row in zip(spelled(model.vocabulary.text), rows, strict=True):
        parts += [word, b" ", row.tobytes(), b"\n"]
    return b"".join(parts)


def judgement(model: WordVectors) -> bytes:
    """eval.json: how the vectors agree with people about the pairs of WS-353."""
    found = model.agreement()
    told = {
        "mean_rho": found.rho,
        f"EN-{NAME}-ALL.txt": {
            "not_found": found.missing,
            "spearmans_rho": found.rho,
            "total_pairs": found.pairs,
        },
    }
    return orjson.dumps(told)


def read_text(data: bytes, name: str) -> WordVectors:
    """Vectors from the lines of ``as_text``. Raises InvalidData."""
    try:
        head, *lines = data.rstrip(b"\n").split(b"\n")
        rows, columns = _shape(head)
        pairs = [line.rstrip().split(b" ", 1) for line in lines]
        numbers = b" ".join(pair[1] for pair in pairs).split()
        vectors = np.array(numbers, np.float32).reshape(rows, columns)
        return _model([pair[0] for pair in pairs], vectors)
    except (ValueError, IndexError, OverflowError) as error:
        raise _damaged(name, error) from None


def read_bytes(data: bytes, name: str) -> WordVectors:
    """Vectors from ``as_bytes``. Raises InvalidData."""
    try:
        end = data.index(b"\n", 0, _HEAD)
        rows, columns = _shape(data[:end])
        words, at, size = [], end + 1, 4 * columns
        vectors = np.empty((min(rows, len(data) // size), columns), np.float32)
        for row in range(rows):
            stop = data.index(b" ", at)
            words.append(data[at:stop].lstrip(b"\n"))
            vectors[row] = np.frombuffer(data, "<f4", columns, stop + 1)
            at = stop + 1 + size
        return _model(words, vectors)
    except (ValueError, IndexError, OverflowError) as error:
        raise _damaged(name, error) from None


def _shape(head: bytes) -> tuple[int, int]:
    rows, columns = (int(number) for number in head.split())
    if rows < 0 or columns < 1:
        raise ValueError("sizes that no vectors have")
    return rows, columns


def _model(words: list[bytes], vectors: Floats) -> WordVectors:
    if len(words) != len(vectors) or len(set(words)) != len(words):
        raise ValueError("a word that comes twice, or lines that are missing")
    if not np.isfinite(vectors).all():
        raise ValueError("numbers that are not finite")
    text = text_of(words)
    counts = np.arange(len(words), 0, -1)  # as frequent as their order tells
    vocabulary = Vocabulary(text.bytes, text.offsets, counts)
    none = np.zeros((0, vectors.shape[1]), np.float32)
    model = WordVectors(vocabulary, vectors, np.zeros(0, np.int32), none, 1, 1, 0)
    model.check()
    return model


def _damaged(name: str, error: Exception) -> InvalidData:
    return InvalidData(
        f"{name}: must hold vectors as word2vec writes them", got=str(error), do="Save it again."
    )

"""Models as fastText writes them (``model.bin``, version 12), read with every bound checked."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.blazingtext.class_model import TextClasses
from tidemill.algorithms.blazingtext.subwords import Grams, means
from tidemill.algorithms.blazingtext.vocabulary import Vocabulary
from tidemill.algorithms.blazingtext.word_model import WordVectors
from tidemill.data.batch import Floats
from tidemill.data.text import Text, text_of
from tidemill.errors import InvalidData

_MAGIC, _VERSION = 793712314, 12
_SOFTMAX, _CBOW, _SUPERVISED = 3, 1, 3
_HEAD = struct.Struct("<2i")
_ARGS = struct.Struct("<12id")
_COUNTS = struct.Struct("<3i2q")
_ENTRY = struct.Struct("<qb")
_SHAPE = struct.Struct("<2q")
_UNPRUNED = -1
_MOST_BYTES = 1 << 32


@dataclass(frozen=True, slots=True)
class _Args:
    """What the file says of the model, in its order."""

    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    t: float


def is_writable(model: TextClasses) -> bool:
    """Whether fastText has a form for the model, of no more than 4 GiB of rows: it has one for each
    bucket, whether an n-gram came or not."""
    rows = len(model.vocabulary) + model.hashed
    size = rows * model.weights.shape[1] * model.weights.itemsize
    return not model.is_distinct and model.power == 1 and size <= _MOST_BYTES


def write(model: TextClasses) -> bytes:
    """The model as fastText reads it, with a row for each bucket: zeros where no n-gram came.

    Raises ValueError for a model that is not writable.
    """
    if not is_writable(model):
        raise ValueError("fastText takes the mean of all terms, and a row for each bucket")
    vocabulary = model.vocabulary
    words, width = len(vocabulary), model.weights.shape[1]
    output = np.eye(width, dtype=np.float32) if model.output is None else model.output
    matrix = np.zeros((words + model.hashed, width), np.float32)
    matrix[:words] = model.weights[:words]
    matrix[words + model.buckets] = model.weights[words:]
    args = _Args(
        width, 5, 5, 1, 5, model.word_ngrams, _SOFTMAX, _SUPERVISED, model.hashed, 0, 0, 100, 1e-4
    )
    tokens = int(vocabulary.counts[:words].sum())
    parts: list[bytes | memoryview] = [
        _HEAD.pack(_MAGIC, _VERSION),
        _ARGS.pack(*(getattr(args, name) for name in args.__slots__)),
        _COUNTS.pack(len(vocabulary.counts), words, vocabulary.labels, tokens, _UNPRUNED),
        *_entries(vocabulary),
    ]
    for part in (matrix, output):
        parts += [
            b"\0",
            _SHAPE.pack(*part.shape),
            np.ascontiguousarray(part, "<f4").reshape(-1).data,
        ]
    return b"".join(parts)


def read(data: bytes, name: str = "model.bin") -> TextClasses | WordVectors:
    """The model of a file's bytes. Raises InvalidData for a damaged one, or one of a kind that is
    not read here: quantised, with a loss other than softmax, or classes of character n-grams."""
    try:
        found = _read(_Bytes(data))
        found.check()
    except (struct.error, ValueError, OverflowError) as error:
        raise InvalidData(
            f"{name}: must be a model of fastText", got=str(error), do="Save it again, unquantised."
        ) from None
    return found


class _Bytes:
    """Bytes taken from the front; ValueError where there are not so many."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        found = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found

    def until_zero(self) -> bytes:
        end = self._data.index(b"\0", self._at)
        found, self._at = self._data[self._at : end], end + 1
        return found

    def matrix(self, rows: int, columns: int) -> Floats:
        """One that is not quantised, and of this shape."""
        if self.unpack(struct.Struct("<b"))[0]:
            raise ValueError("a quantised matrix")
        shape = self.unpack(_SHAPE)
        if shape != (rows, columns):
            raise ValueError(f"a matrix of {shape}, not {(rows, columns)}")
        size = rows * columns
        if self.left < 4 * size:
            raise ValueError("a matrix cut short")
        found = np.frombuffer(self._data, "<f4", size, self._at).astype(np.float32)
        self._at += 4 * size
        return found.reshape(shape)


def _read(data: _Bytes) -> TextClasses | WordVectors:
    if data.unpack(_HEAD) != (_MAGIC, _VERSION):
        raise ValueError("another kind or version of file")
    args = _Args(*data.unpack(_ARGS))
    if args.dim < 1 or args.bucket < 0 or args.word_ngrams < 1:
        raise ValueError("sizes that no model has")
    vocabulary = _vocabulary(data)
    rows = len(vocabulary) + (args.bucket if args.word_ngrams > 1 or args.maxn > 0 else 0)
    matrix = data.matrix(rows, args.dim)
    if args.model == _SUPERVISED:
        return _classes(data, args, vocabulary, matrix)
    return _vectors(args, vocabulary, matrix)


def _classes(data: _Bytes, args: _Args, vocabulary: Vocabulary, matrix: Floats) -> TextClasses:
    if args.loss != _SOFTMAX or args.maxn > 0:
        raise ValueError("a loss other than softmax, or character n-grams")
    output = data.matrix(vocabulary.labels, args.dim)
    hashed = len(matrix) - len(vocabulary)
    buckets = np.arange(hashed, dtype=np.int32)
    return TextClasses(vocabulary, matrix, output, buckets, hashed, args.word_ngrams, False, 1.0)


def _vectors(args: _Args, vocabulary: Vocabulary, matrix: Floats) -> WordVectors:
    """n-grams that no word of the vocabulary has were never trained: they are left out, as are
    labels, which have no vectors."""
    words, text = len(vocabulary), vocabulary.text.rows(0, len(vocabulary))
    vocabulary = Vocabulary(text.bytes, text.offsets, vocabulary.counts[:words])
    own, grams = matrix[:words], matrix[words:]
    if args.maxn < 1 or not len(grams):
        none = np.zeros(0, np.int32)
        return WordVectors(vocabulary, own, none, grams[:0], 1, 1, 0)
    kinds = Grams(max(1, args.minn), args.maxn, len(grams))
    buckets = kinds.occurring(vocabulary.text)
    kept = grams[buckets]
    made = means(own, kept, kinds.parts(vocabulary.text, buckets, 0))
    return WordVectors(vocabulary, made, buckets, kept, kinds.low, kinds.high, len(grams))


def _vocabulary(data: _Bytes) -> Vocabulary:
    size, words, labels, _, pruned = data.unpack(_COUNTS)
    if min(words, labels) < 0 or words + labels != size:
        raise ValueError("words and labels that do not add up")
    if size * (1 + _ENTRY.size) > data.left:
        raise ValueError("fewer words than there should be")
    if pruned > 0:
        raise ValueError("a pruned vocabulary")
    spelled, counts = [], np.zeros(size, np.int64)
    for number in range(size):
        spelled.append(data.until_zero())
        counts[number], is_label = data.unpack(_ENTRY)
        if bool(is_label) != (number >= words):
            raise ValueError("labels among the words")
    if len(set(spelled)) != size:
        raise ValueError("a word that comes twice")
    text = text_of(spelled)
    return Vocabulary(text.bytes, text.offsets, counts, labels)


def _entries(vocabulary: Vocabulary) -> list[bytes]:
    """Each word with a zero after it, its count and its kind."""
    counts, text = vocabulary.counts.tolist(), vocabulary.text
    return [
        word + b"\0" + _ENTRY.pack(count, number >= len(vocabulary))
        for number, (word, count) in enumerate(zip(spelled(text), counts, strict=True))
    ]


def spelled(text: Text) -> list[bytes]:
    """Each line's bytes."""
    whole: bytes = text.bytes.tobytes()
    bounds: NDArray[np.int64] = text.offsets
    starts, stops = bounds[:-1].tolist(), bounds[1:].tolist()
    return [whole[a:b] for a, b in zip(starts, stops, strict=True)]

"""Lines of text to words, word n-grams and character n-grams in C, as fastText has them.

Words are what stands between blanks. Hash functions, blanks and the word that ends a line are those
of fastText, so that its models can be read and written.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.kernels import sound
from tidemill.kernels.load import BYTES, FLOATS, INT32, INT64, SIZE, UINT64, function, library

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Numbers = NDArray[np.int32]
Floats = NDArray[np.float32]
MOST_GRAMS = 64
"""Words of the longest n-gram."""
MOST_BUCKETS = 2**31 - 1
PAGE = 256
"""Buckets whose rows stand side by side, as tokens.c has it."""
LEAST_BITS = 4


class Lines(NamedTuple):
    """Line i is ``bytes[offsets[i]:offsets[i + 1]]``; bytes : (n,) uint8, offsets : int64."""

    bytes: Bytes
    offsets: Integers


class Words(NamedTuple):
    """Words that can be looked up. slots : (2^bits,) uint64, see ``opened``"""

    bytes: Bytes
    offsets: Integers
    slots: NDArray[np.uint64]

    @property
    def bits(self) -> int:
        return len(self.slots).bit_length() - 1

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Room(NamedTuple):
    """Words as they are counted, with room for more.

    bytes : (room,) uint8 · offsets : (room + 1,) int64 · counts : (room,) int64 · slots: see Words
    grams : (buckets,) uint32, how often the n-grams of each bucket came, or none
    """

    bytes: Bytes
    offsets: Integers
    counts: Integers
    slots: NDArray[np.uint64]
    grams: NDArray[np.uint32]


class Buckets(NamedTuple):
    """The rows that stand for buckets of n-grams, in pages: of many buckets few may have one.

    hashed: buckets in all · rows : (pages, PAGE) int32, of each bucket, or -1
    pages : (hashed / PAGE, rounded up,) int32, where those of so many buckets stand; 0: they have
    none
    """

    hashed: int
    pages: Numbers
    rows: Numbers


class Found(NamedTuple):
    """What a classifier sees of lines.

    rows, times : (found,) int32 and float32, each row of the matrix that a line has, once, and how
    often · starts : (lines + 1,) int64, of each line's
    terms : (lines,) float32, words and n-grams, also those without a row
    labels, label_starts : those that are known, from 0 · named : (lines,) int32, labels of a line
    """

    rows: Numbers
    times: Floats
    starts: Integers
    terms: Floats
    labels: Numbers
    label_starts: Integers
    named: Numbers


def slots_for(words: int) -> NDArray[np.uint64]:
    """Free slots for so many words: at least twice as many."""
    bits = max(LEAST_BITS, (2 * words).bit_length())
    return np.zeros(1 << bits, np.uint64)


def opened(lines: Lines) -> Words:
    """Different words, one a line, ready to be looked up. Raises ValueError for bad offsets."""
    check(lines)
    slots = slots_for(len(lines.offsets) - 1)
    fill(lines, len(lines.offsets) - 1, slots)
    return Words(lines.bytes, lines.offsets, slots)


def fill(lines: Lines, words: int, slots: NDArray[np.uint64]) -> None:
    """Enter the first words of these, which differ from one another, in free slots."""
    if not 0 <= words < min(len(lines.offsets), len(slots)):
        raise ValueError("there must be so many words, and more slots")
    check(Lines(lines.bytes, lines.offsets[: words + 1]))
    _slots()(lines.bytes, lines.offsets, words, slots, len(slots).bit_length() - 1)


def count(
    lines: Lines,
    first: int,
    room: Room,
    sizes: Integers,
    *,
    amounts: Integers | None = None,
    label: bytes = b"",
    word_ngrams: int = 1,
) -> int:
    """Count lines from the first on into a room, as long as they surely fit; the next line.

    sizes : (3,) int64, words, bytes used and words counted; changed, as the room is
    amounts : (lines,) int64, how often each counts · label: what labels begin with, which are in
    no n-gram
    """
    check(lines)
    _check_room(room, sizes)
    _check_ngrams(word_ngrams)
    if not 0 <= first < len(lines.offsets):
        raise ValueError("the first line must be there")
    if amounts is not None and len(amounts) != len(lines.offsets) - 1:
        raise ValueError("there must be an amount for each line")
    prefix = np.frombuffer(label, np.uint8)
    done = _count()(
        lines.bytes, lines.offsets, first, len(lines.offsets) - 1,
        None if amounts is None else amounts.ctypes.data, room.bytes, len(room.bytes),
        room.offsets, room.counts, len(room.counts), room.slots,
        len(room.slots).bit_length() - 1, sizes, prefix, len(prefix), word_ngrams,
        room.grams.ctypes.data if len(room.grams) else None, len(room.grams),
    )  # fmt: skip
    return int(done)


def numbers(lines: Lines, words: Words) -> tuple[Numbers, Integers]:
    """The numbers of the known words of all lines, and where each line's begin: (lines + 1,)."""
    check(lines)
    ids = np.empty(len(lines.bytes) // 2 + len(lines.offsets), np.int32)
    starts = np.empty(len(lines.offsets), np.int64)
    found = _words()(
        lines.bytes, lines.offsets, 0, len(lines.offsets) - 1, words.bytes, words.offsets,
        len(words), words.slots, words.bits, ids, starts,
    )  # fmt: skip
    return ids[:found], starts


def bucketed(buckets: Numbers, hashed: int, first: int) -> Buckets:
    """Rows from ``first`` on for these buckets, which rise, of so many. Memory: 1 KiB for each and
    4 bytes for 256 of all, at most."""
    sound.within("buckets", buckets, 0, hashed)
    sound.rising("buckets", buckets, strictly=True)
    page, pages = buckets // PAGE, np.zeros(-(-hashed // PAGE), np.int32)
    pages[page] = 1
    used = np.flatnonzero(pages)
    pages[used] += np.arange(len(used), dtype=np.int32)
    rows = np.full((len(used) + 1, PAGE), -1, np.int32)
    rows[pages[page], buckets % PAGE] = first + np.arange(len(buckets), dtype=np.int32)
    return Buckets(hashed, pages, rows)


def features(
    lines: Lines,
    words: Words,
    labels_from: int,
    buckets: Buckets,
    *,
    label: bytes,
    end_row: int,
    word_ngrams: int,
) -> Found:
    """What a classifier sees of lines. The words from ``labels_from`` on are labels.

    buckets: see ``bucketed`` · end_row: of the end of a line, or -1
    """
    check(lines)
    _check_ngrams(word_ngrams)
    _check_buckets(buckets, word_ngrams)
    rows_in, prefix = len(lines.offsets) - 1, np.frombuffer(label, np.uint8)
    longest = int(np.diff(lines.offsets).max(initial=0))
    seats = np.zeros(1 << ((longest // 2 + 2) * word_ngrams * 2).bit_length(), np.uint64)
    most = (len(lines.bytes) // 2 + 2 * rows_in) * word_ngrams
    rows, times = np.empty(most, np.int32), np.empty(most, np.float32)
    starts, label_starts = np.empty(rows_in + 1, np.int64), np.empty(rows_in + 1, np.int64)
    terms, named = np.empty(rows_in, np.float32), np.empty(rows_in, np.int32)
    labels = np.empty(len(lines.bytes) // 2 + rows_in, np.int32)
    found = _features()(
        lines.bytes, lines.offsets, 0, rows_in, words.bytes, words.offsets, len(words),
        words.slots, words.bits, labels_from, prefix, len(prefix), end_row, word_ngrams,
        buckets.pages, buckets.rows, buckets.hashed, seats, len(seats).bit_length() - 1, rows,
        times, starts, terms, labels, label_starts, named,
    )  # fmt: skip
    kept = int(label_starts[-1])
    return Found(
        rows[:found], times[:found], starts, terms, labels[:kept].copy(), label_starts, named
    )


def subwords(lines: Lines, low: int, high: int, buckets: int) -> tuple[Numbers, Integers]:
    """The buckets of the character n-grams of words, one a line, and where each word's begin.

    low, high: characters of an n-gram; the marks < and > around a word count
    """
    check(lines)
    if low < 1 or not 1 <= buckets < 2**31:
        raise ValueError("n-grams need a character and a bucket")
    words = len(lines.offsets) - 1
    starts = np.empty(words + 1, np.int64)
    most = _subwords()(lines.bytes, lines.offsets, words, low, high, buckets, None, starts)
    found = np.empty(most, np.int32)
    _subwords()(lines.bytes, lines.offsets, words, low, high, buckets, found.ctypes.data, starts)
    return found, starts


def check(lines: Lines) -> None:
    """Offsets must stay within the bytes: C follows them without a look."""
    sound.shaped("bytes", lines.bytes, None)
    sound.bounds("offsets", lines.offsets, None, len(lines.bytes))


def _check_room(room: Room, sizes: Integers) -> None:
    words, used = int(sizes[0]), int(sizes[1])
    if not 0 <= words <= len(room.counts) < len(room.slots):
        raise ValueError("there must be more slots than room for words")
    if len(room.offsets) != len(room.counts) + 1 or not 0 <= used <= len(room.bytes):
        raise ValueError("a room must hold what it is said to hold")
    if room.offsets[words] != used or room.grams.dtype != np.uint32:
        raise ValueError("a room must hold what it is said to hold")


def _check_ngrams(words: int) -> None:
    if not 1 <= words <= MOST_GRAMS:
        raise ValueError(f"n-grams must have from 1 to {MOST_GRAMS} words")


def _check_buckets(buckets: Buckets, words: int) -> None:
    if words > 1 and buckets.hashed < 1:
        raise ValueError("n-grams need a bucket")
    if len(buckets.pages) * PAGE < buckets.hashed:
        raise ValueError("n-grams need a page for each bucket")
    sound.shaped("rows of n-grams", buckets.rows, None, PAGE)
    sound.within("pages of n-grams", buckets.pages, 0, len(buckets.rows))


_POINTER: Any = ctypes.c_void_p
_TABLE = [BYTES, INT64, SIZE, UINT64, SIZE]


@functools.cache
def _slots() -> Any:
    return function(library("tokens"), "tokens_slots", [BYTES, INT64, SIZE, UINT64, SIZE])


@functools.cache
def _count() -> Any:
    takes = [BYTES, INT64, SIZE, SIZE, _POINTER, BYTES, SIZE, INT64, INT64, SIZE, UINT64, SIZE]
    takes += [INT64, BYTES, SIZE, SIZE, _POINTER, SIZE]
    return function(library("tokens"), "tokens_count", takes, SIZE)


@functools.cache
def _words() -> Any:
    takes = [BYTES, INT64, SIZE, SIZE, *_TABLE, INT32, INT64]
    return function(library("tokens"), "tokens_words", takes, SIZE)


@functools.cache
def _features() -> Any:
    takes = [BYTES, INT64, SIZE, SIZE, *_TABLE, SIZE, BYTES, SIZE, SIZE, SIZE, INT32, INT32]
    takes += [SIZE, UINT64, SIZE, INT32, FLOATS, INT64, FLOATS, INT32, INT64, INT32]
    return function(library("tokens"), "tokens_features", takes, SIZE)


@functools.cache
def _subwords() -> Any:
    takes = [BYTES, INT64, SIZE, SIZE, SIZE, SIZE, _POINTER, INT64]
    return function(library("tokens"), "tokens_subwords", takes, SIZE)

"""The kernel of tokens: words and n-grams as brute force finds them, and nothing read elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.data.text import text_of
from tidemill.kernels import tokens
from tidemill.kernels.tokens import Lines, Room

BLANKS = b" \t\n\v\f\r\0"
END = b"</s>"
LABEL = b"__label__"
TEXTS = st.lists(
    st.lists(
        st.sampled_from([b"a", b"bb", b"a\xc3\xa9", b"\xff\xfe", b"__label__x", b" ", b"\t", b""]),
        max_size=8,
    ).map(b" ".join),
    max_size=6,
)


def lines_of(rows: Sequence[str | bytes]) -> Lines:
    text = text_of(rows)
    return Lines(text.bytes, text.offsets)


def split(line: bytes) -> list[bytes]:
    for blank in BLANKS:
        line = line.replace(bytes([blank]), b" ")
    return line.split()


def fnv(word: bytes) -> int:
    """FNV-1a as fastText computes it, with bytes that are signed."""
    found = 2166136261
    for byte in word:
        signed = byte if byte < 128 else byte + 0xFFFFFF00
        found = ((found ^ signed) * 16777619) % 2**32
    return found


def grams(words: list[bytes], longest: int, buckets: int) -> list[int]:
    """fastText's buckets of the n-grams of 2 and more words of a line, the line's end a word."""
    hashes = [fnv(word) for word in [*words, END]]
    signed = [h - 2**32 if h >= 2**31 else h for h in hashes]
    found = []
    for i in range(len(signed)):
        total = signed[i] % 2**64
        for j in range(i + 1, min(len(signed), i + longest)):
            total = (total * 116049371 + signed[j]) % 2**64
            found.append(total % buckets)
    return found


def room(words: int, size: int, buckets: int = 0) -> Room:
    return Room(
        np.zeros(size, np.uint8),
        np.zeros(words + 1, np.int64),
        np.zeros(words, np.int64),
        tokens.slots_for(words),
        np.zeros(buckets, np.uint32),
    )


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_words_are_what_stands_between_blanks(rows: list[bytes]) -> None:
    into, sizes = room(64, 512), np.zeros(3, np.int64)
    assert tokens.count(lines_of(rows), 0, into, sizes) == len(rows)
    bounds = into.offsets[: sizes[0] + 1].tolist()
    whole = into.bytes.tobytes()
    words = [whole[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    wanted = Counter(word for row in rows for word in split(row))
    assert dict(zip(words, into.counts.tolist(), strict=False)) == wanted
    assert sizes[2] == sum(wanted.values())


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(2, 5), st.integers(1, 40))
def test_word_n_grams_fall_into_the_buckets_of_fasttext(
    rows: list[bytes], longest: int, buckets: int
) -> None:
    into, sizes = room(64, 512, buckets), np.zeros(3, np.int64)
    tokens.count(lines_of(rows), 0, into, sizes, label=LABEL, word_ngrams=longest)
    wanted = Counter(
        bucket
        for row in rows
        for bucket in grams([w for w in split(row) if not w.startswith(LABEL)], longest, buckets)
    )
    assert into.grams.tolist() == [wanted[bucket] for bucket in range(buckets)]


def test_amounts_tell_how_often_a_line_counts() -> None:
    into, sizes = room(8, 64), np.zeros(3, np.int64)
    amounts = np.array([3, 10], np.int64)
    tokens.count(lines_of(["tea", "cup tea"]), 0, into, sizes, amounts=amounts)
    assert into.counts[:2].tolist() == [13, 10]
    assert sizes.tolist() == [2, 6, 23]


def test_counting_stops_before_a_line_that_may_not_fit() -> None:
    lines = lines_of(["a b", "c d e f", "a"])
    for into in (room(4, 64), room(64, 6)):
        sizes = np.zeros(3, np.int64)
        assert tokens.count(lines, 0, into, sizes) == 1
        assert sizes.tolist() == [2, 2, 2]


def test_known_words_are_numbered_and_others_left_out() -> None:
    words = tokens.opened(lines_of(["tea", "cup", "thé"]))
    found, starts = tokens.numbers(lines_of(["cup of tea", "", "thé\ttea"]), words)
    assert found.tolist() == [1, 0, 2, 0]
    assert starts.tolist() == [0, 2, 2, 4]
    assert len(words) == 3


def test_many_words_are_all_found_again() -> None:
    spelled = [b"w%d" % number for number in range(5000)]
    order = np.random.default_rng(0).permutation(5000)
    found, _ = tokens.numbers(
        lines_of([b" ".join(spelled[i] for i in order)]), tokens.opened(lines_of(spelled))
    )
    assert found.tolist() == order.tolist()


def test_a_classifier_sees_words_the_end_of_a_line_its_pairs_and_labels() -> None:
    words = tokens.opened(lines_of(["tea", "cup", "</s>", "__label__x", "__label__y"]))
    buckets = 7
    there = np.array([0, 1, 2, 4, 5, 6], np.int32)
    row_of = dict(zip(there.tolist(), range(5, 11), strict=True))
    rows = tokens.bucketed(there, buckets, 5)
    lines = lines_of(["__label__y tea cup tea", "strange __label__z", ""])
    found = tokens.features(
        lines, words, 3, rows, label=LABEL, end_row=2, word_ngrams=2
    )  # fmt: skip
    for line, plain in enumerate([[b"tea", b"cup", b"tea"], [b"strange"], []]):
        wanted = Counter({2: 1}) + Counter({0: plain.count(b"tea"), 1: plain.count(b"cup")})
        pairs = grams(plain, 2, buckets)
        wanted += Counter(row_of[b] for b in pairs if b != 3)
        start, stop = found.starts[line], found.starts[line + 1]
        mine = dict(zip(found.rows[start:stop].tolist(), found.times[start:stop], strict=True))
        assert mine == wanted
        known = sum(word in (b"tea", b"cup") for word in plain)
        assert found.terms[line] == known + 1 + len(pairs)
    assert found.labels.tolist() == [1]
    assert found.label_starts.tolist() == [0, 1, 1, 1]
    assert found.named.tolist() == [1, 1, 0]


def test_few_of_many_buckets_take_little_memory() -> None:
    there = np.array([0, 255, 256, 2**30, tokens.MOST_BUCKETS - 1], np.int32)
    found = tokens.bucketed(there, tokens.MOST_BUCKETS, 7)
    rows = found.rows[found.pages[there // tokens.PAGE], there % tokens.PAGE]
    assert rows.tolist() == [7, 8, 9, 10, 11]
    assert np.count_nonzero(found.rows >= 0) == len(there)
    assert found.pages.nbytes + found.rows.nbytes < 2**26


@pytest.mark.parametrize("buckets", [[-1], [5], [2, 1], [2, 2]])
def test_buckets_that_there_are_none_of_or_that_do_not_rise_are_refused(buckets: list[int]) -> None:
    with pytest.raises(ValueError, match="buckets must"):
        tokens.bucketed(np.array(buckets, np.int32), 5, 0)


def test_more_words_than_there_are_and_too_few_slots_are_refused() -> None:
    for words, slots in ((2, 16), (-1, 16), (1, 1)):
        with pytest.raises(ValueError, match="words"):
            tokens.fill(lines_of(["tea"]), words, np.zeros(slots, np.uint64))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 3))
def test_character_n_grams_are_those_of_fasttext(word: str, low: int, more: int) -> None:
    marked = "<" + word.encode("utf-8", "ignore").decode() + ">"
    high, buckets = low + more, 1000
    wanted = [
        fnv(marked[i : i + size].encode()) % buckets
        for i in range(len(marked))
        for size in range(1, min(high, len(marked) - i) + 1)
        if size >= low and not (size == 1 and (i == 0 or i + size == len(marked)))
    ]
    found, starts = tokens.subwords(lines_of([marked[1:-1]]), low, high, buckets)
    assert found.tolist() == wanted
    assert starts.tolist() == [0, len(wanted)]


def test_bytes_that_are_no_utf_8_have_n_grams_within_their_word() -> None:
    rows = [b"\x80\x80", b"\xff", b"a\xc3", b"\xe2\x82"]
    found, starts = tokens.subwords(lines_of(rows), 1, 4, 50)
    assert len(found) == starts[-1]
    assert ((found >= 0) & (found < 50)).all()


@pytest.mark.parametrize("offsets", [[], [0, 9], [-1, 2], [0, 2, 1, 3], [0, -(2**63)]])
def test_offsets_outside_the_bytes_are_refused(offsets: list[int]) -> None:
    lines = Lines(np.zeros(4, np.uint8), np.array(offsets, np.int64))
    words = tokens.opened(lines_of(["tea"]))
    for use in (
        lambda: tokens.opened(lines),
        lambda: tokens.numbers(lines, words),
        lambda: tokens.subwords(lines, 1, 2, 3),
        lambda: tokens.count(lines, 0, room(8, 64), np.zeros(3, np.int64)),
    ):
        with pytest.raises(ValueError, match="offsets"):
            use()


@pytest.mark.parametrize(
    "sizes", [[9, 0, 0], [-1, 0, 0], [0, 65, 0], [1, 3, 0], [0, -1, 0]], ids=str
)
def test_a_room_that_holds_something_else_is_refused(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="room"):
        tokens.count(lines_of(["a"]), 0, room(8, 64), np.array(sizes, np.int64))


def test_n_grams_of_no_word_or_too_many_are_refused() -> None:
    words = tokens.opened(lines_of(["tea"]))
    none = tokens.bucketed(np.zeros(0, np.int32), 0, 1)
    lost = none._replace(hashed=257, pages=np.array([0, 1], np.int32))
    wrong: list[Any] = [(0, none), (tokens.MOST_GRAMS + 1, none), (2, none), (2, lost)]
    wrong += [(2, lost._replace(pages=np.array(at, np.int32))) for at in ([0], [0, -1])]
    for longest, rows in wrong:
        with pytest.raises(ValueError, match="n-grams"):
            tokens.features(
                lines_of(["a"]), words, 1, rows, label=LABEL, end_row=-1, word_ngrams=longest
            )
    for low, buckets in ((0, 5), (1, 0), (1, 2**31)):
        with pytest.raises(ValueError, match="n-grams"):
            tokens.subwords(lines_of(["a"]), low, 3, buckets)
    amounts = np.ones(3, np.int64)
    with pytest.raises(ValueError, match="amount"):
        tokens.count(lines_of(["a"]), 0, room(8, 64), np.zeros(3, np.int64), amounts=amounts)
    for first in (-1, 2):
        with pytest.raises(ValueError, match="first line"):
            tokens.count(lines_of(["a"]), first, room(8, 64), np.zeros(3, np.int64))

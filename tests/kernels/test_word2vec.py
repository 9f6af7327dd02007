"""The kernel of word vectors: steps as NumPy takes them, and nothing read that is not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.data.text import text_of
from tidemill.kernels import word2vec
from tidemill.kernels.tokens import Lines
from tidemill.kernels.word2vec import Pace, Parts, Setting

WORDS, COLUMNS = 9, 20
MASK = 2**64 - 1
ALL = 2**32 - 1
TILE = 6


def draw(key: int, counter: int) -> int:
    """SplitMix64, as of kernel.h."""
    z = (key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def setting(**changed: Any) -> Setting:
    chance, alias = word2vec.alias_of(np.arange(1.0, WORDS + 1))
    keep = np.full(WORDS, ALL, np.uint32)
    given = Setting(chance, alias, keep, None, False, 3, 5, 32, 0.3, 7)
    return given._replace(**changed)


def matrices(rows: int = WORDS) -> tuple[Any, Any]:
    draws = np.random.default_rng(0)
    inner, outer = word2vec.zeros(rows, COLUMNS), word2vec.zeros(WORDS, COLUMNS)
    for matrix in (inner, outer):
        matrix[:, :COLUMNS] = draws.normal(0, 0.4, (len(matrix), COLUMNS))
    return inner, outer


def parts() -> Parts:
    """Each word has two further rows, but the first, which has none."""
    rows = [WORDS + (3 * word + i) % 7 for word in range(1, WORDS) for i in range(2)]
    return Parts(np.array(rows, np.int32), np.array([0, *range(0, 2 * WORDS, 2)], np.int64))


LINES = [[0, 3, 5, 1, 8, 2], [4], [], [7, 6, 0, 2, 1]]


def numbered() -> tuple[Any, Any]:
    ids = np.array([word for line in LINES for word in line], np.int32)
    return ids, np.cumsum([0, *map(len, LINES)]).astype(np.int64)


class Reference:
    """Negative sampling word by word, in float64."""

    def __init__(self, given: Setting, inner: Any, outer: Any) -> None:
        self.given, self.inner, self.outer = given, inner.astype(float), outer.astype(float)

    def train(self, pace: Pace) -> None:
        done, counter = pace.done, pace.counter
        for line in LINES:
            left = max(1e-4, 1 - done / pace.length)
            kept = []
            for word in line:
                if draw(self.given.seed, counter << 10) >> 32 <= self.given.keep[word]:
                    kept.append((word, counter << 10))
                counter += 1
            done += pace.step * len(line)
            for i, (_, place) in enumerate(kept):
                about = 1 + ((draw(self.given.seed, place + 1) >> 32) * self.given.window >> 32)
                near = [
                    j for j in range(max(0, i - about), min(len(kept), i + about + 1)) if j != i
                ]
                self.window(kept[i][0], [kept[j][0] for j in near], place + 2, left)

    def window(self, middle: int, near: list[int], counter: int, left: float) -> None:
        given, rate = self.given, self.given.rate * left
        if given.is_cbow:
            if near:
                rows = [row for word in near for row in self.rows(word)]
                self.step([rows], self.outputs([middle], counter, given.negatives), 1, rate)
        elif given.parts is not None:
            if near:
                outputs = self.outputs(near, counter, given.negatives * len(near))
                self.step([self.rows(middle)], outputs, len(near), rate)
        else:
            for at in range(0, len(near), given.group):
                some = near[at : at + given.group]
                outputs = self.outputs([middle], counter, given.negatives)
                self.step([[word] for word in some], outputs, 1, rate)
                counter += given.negatives

    def rows(self, word: int) -> list[int]:
        found = self.given.parts
        if found is None:
            return [word]
        return [word, *found.rows[found.starts[word] : found.starts[word + 1]].tolist()]

    def outputs(self, wanted: list[int], counter: int, count: int) -> list[int]:
        found = list(wanted)
        for i in range(count):
            random = draw(self.given.seed, counter + i)
            word = (random >> 32) * WORDS >> 32
            share = ((random & ALL) >> 8) * 2.0**-24
            word = word if share < self.given.chance[word] else int(self.given.alias[word])
            if word not in found:
                found.append(word)
        return found

    def step(self, inputs: list[list[int]], outputs: list[int], wanted: int, rate: float) -> None:
        right = np.arange(len(outputs)) < wanted
        means = np.array([self.inner[rows].mean(axis=0) for rows in inputs])
        steps = rate * (right - 1 / (1 + np.exp(-(means @ self.outer[outputs].T))))
        for rows, mean, step in zip(inputs, means, steps, strict=True):
            np.add.at(self.inner, rows, step @ self.outer[outputs])
            if len(outputs) > TILE:
                self.outer[outputs] += step[:, None] * mean
        if len(outputs) <= TILE:
            self.outer[outputs] += steps.T @ means


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"group": 2},
        {"negatives": 0},
        {"negatives": 40},
        {"window": 1},
        {"window": 100},
        {"keep": np.linspace(0, ALL, WORDS).astype(np.uint32)},
        {"is_cbow": True},
        {"is_cbow": True, "negatives": 12},
        {"is_cbow": True, "parts": parts()},
        {"parts": parts()},
        {"parts": parts(), "negatives": 1},
    ],
    ids=str,
)
def test_steps_are_those_of_numpy(changed: dict[str, Any]) -> None:
    given, (ids, starts) = setting(**changed), numbered()
    inner, outer = matrices(WORDS + 7)
    wanted = Reference(given, inner, outer)
    pace = Pace(3.0, 40.0, 2.0, 11)
    wanted.train(pace)
    word2vec.train(given, inner, outer, ids, starts, pace)
    assert_allclose(inner, wanted.inner, atol=2e-5)
    assert_allclose(outer, wanted.outer, atol=2e-5)


def test_columns_that_only_fill_up_stay_nothing() -> None:
    inner, outer = matrices()
    word2vec.train(setting(), inner, outer, *numbered(), Pace(0.0, 9.0, 1.0, 0))
    assert inner.shape == (WORDS, 32)
    assert not inner[:, COLUMNS:].any()
    assert not outer[:, COLUMNS:].any()


def test_a_text_cut_in_two_is_learned_as_the_whole() -> None:
    ids, starts = numbered()
    whole, cut = matrices(), matrices()
    word2vec.train(setting(), *whole, ids, starts, Pace(0.0, 30.0, 1.0, 0))
    word2vec.train(setting(), *cut, ids, starts[:2], Pace(0.0, 30.0, 1.0, 0))
    word2vec.train(setting(), *cut, ids, starts[1:], Pace(6.0, 30.0, 1.0, 6))
    for one, other in zip(whole, cut, strict=True):
        assert_array_equal(one, other)


def test_draws_follow_their_weights() -> None:
    weights = np.array([1.0, 4.0, 2.0, 0.5, 30.0])
    chance, alias = word2vec.alias_of(weights)
    found = chance.astype(float) / len(weights)
    np.add.at(found, alias, (1 - chance.astype(float)) / len(weights))
    assert_allclose(found, weights / weights.sum(), atol=1e-6)
    assert len(word2vec.alias_of(np.zeros(0))[0]) == 0


def test_what_copies_did_is_added_up_in_all_of_them() -> None:
    base = word2vec.zeros(6, 16)
    copies = [word2vec.zeros(6, 16) for _ in range(3)]
    for number, copy in enumerate(copies):
        copy[number] = number + 1
        copy[5] += 1
    word2vec.join(base, copies, 0, 6)
    assert base[:, 0].tolist() == [1, 2, 3, 0, 0, 3]
    for copy in copies:
        assert_array_equal(copy, base)


def test_first_rows_depend_on_the_word_and_the_seed_alone() -> None:
    def begun(words: list[str], seed: int) -> Any:
        matrix, text = word2vec.zeros(len(words), 20), text_of(words)
        every = np.arange(len(words))
        word2vec.begin(matrix, Lines(text.bytes, text.offsets), every, 20, 0.5, seed)
        return matrix

    one, other = begun(["tea", "cup", "pot"], 3), begun(["pot", "tea"], 3)
    assert_array_equal(one[[2, 0]], other)
    assert (one != begun(["tea", "cup", "pot"], 4))[:, :20].all()
    assert 0.3 < np.abs(one[:, :20]).max() <= 0.5
    assert not one[:, 20:].any()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"alias": np.full(WORDS, WORDS, np.int32)}, "negatives"),
        ({"alias": np.full(WORDS, -1, np.int32)}, "negatives"),
        ({"chance": np.ones(WORDS - 1, np.float32)}, "row for each word"),
        ({"keep": np.zeros(WORDS - 1, np.uint32)}, "chance"),
        ({"group": 33}, "group"),
        ({"group": 0}, "group"),
        ({"negatives": word2vec.MOST_NEGATIVES + 1}, "negatives"),
        ({"window": 0}, "window"),
        ({"parts": Parts(np.full(4, 99, np.int32), np.zeros(WORDS + 1, np.int64))}, "rows"),
        ({"parts": Parts(np.zeros(4, np.int32), np.arange(WORDS + 1))}, "parts"),
        ({"parts": Parts(np.zeros(4, np.int32), np.zeros(WORDS, np.int64))}, "parts"),
    ],
    ids=str,
)
def test_a_setting_that_does_not_fit_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        word2vec.train(
            setting(**changed), *matrices(), *numbered(), Pace(0.0, 9.0, 1.0, 0)
        )  # fmt: skip


def test_numbers_and_starts_outside_are_refused() -> None:
    ids, starts = numbered()
    for number in (-1, WORDS):
        wrong = ids.copy()
        wrong[2] = number
        with pytest.raises(ValueError, match="numbers"):
            word2vec.train(setting(), *matrices(), wrong, starts, Pace(0.0, 9.0, 1.0, 0))
    for bounds in ([0, len(ids) + 1], [-1, 2], [0, 4, 2], [0, 2, -(2**63)]):
        with pytest.raises(ValueError, match="starts"):
            word2vec.train(
                setting(), *matrices(), ids, np.array(bounds, np.int64), Pace(0.0, 9.0, 1.0, 0)
            )  # fmt: skip


def test_matrices_of_other_shapes_are_refused() -> None:
    inner, outer = matrices()
    for one, other in (
        (inner[: WORDS - 1], outer),
        (word2vec.zeros(WORDS, 40), outer),
        (np.zeros((WORDS, 20), np.float32), np.zeros((WORDS, 20), np.float32)),
    ):
        with pytest.raises(ValueError, match=r"row|width"):
            word2vec.train(setting(), one, other, *numbered(), Pace(0.0, 9.0, 1.0, 0))
    for copy, first, last in ((inner[:4], 0, 9), (inner, 0, 10), (inner, -1, 3), (inner, 4, 3)):
        with pytest.raises(ValueError, match=r"shape|there"):
            word2vec.join(outer, [copy], first, last)
    text = text_of(["a", "b"])
    lines = Lines(text.bytes, text.offsets)
    for which, rows, columns in (([2], 2, 4), ([-1], 2, 4), ([0], 1, 4), ([0], 2, 17)):
        with pytest.raises(ValueError, match=r"there|row"):
            word2vec.begin(word2vec.zeros(rows, 4), lines, np.array(which), columns, 1.0, 0)


def test_a_matrix_elsewhere_in_memory_is_copied_to_where_it_is_taken() -> None:
    matrix = word2vec.zeros(3, 16)
    assert word2vec.aligned(matrix) is matrix
    away = np.zeros(49, np.float32)[1:].reshape(3, 16)
    away[:] = 2
    copy = word2vec.aligned(away)
    assert copy is not away or away.ctypes.data % 64 == 0
    assert_array_equal(copy, away)

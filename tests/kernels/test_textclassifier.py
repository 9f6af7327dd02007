"""The kernel of classes: chances and steps as NumPy has them, and nothing read elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tidemill.kernels import textclassifier
from tidemill.kernels.textclassifier import Matrices, Steps
from tidemill.kernels.tokens import Found

ROWS, LINES = 12, 30


def found(classes: int, seed: int = 0) -> Found:
    draws = np.random.default_rng(seed)
    rows = [draws.permutation(ROWS)[: draws.integers(0, 6)] for _ in range(LINES)]
    labels = [draws.permutation(classes)[: draws.choice([0, 1, 1, 2])] for _ in range(LINES)]
    starts = np.cumsum([0, *map(len, rows)])
    times = draws.integers(1, 4, starts[-1]).astype(np.float32)
    terms = np.array([times[a:b].sum() + 1 for a, b in itertools.pairwise(starts)], np.float32)
    return Found(
        np.concatenate(rows).astype(np.int32), times, starts, terms,
        np.concatenate(labels).astype(np.int32), np.cumsum([0, *map(len, labels)]),
        np.array([len(label) for label in labels], np.int32),
    )  # fmt: skip


def matrices(width: int, classes: int, *, is_distinct: bool = False, power: float = 1) -> Matrices:
    draws = np.random.default_rng(1)
    weights = draws.normal(size=(ROWS, width)).astype(np.float32)
    output = draws.normal(size=(classes, width)).astype(np.float32)
    return Matrices(weights, None if width == classes else output, is_distinct, power)


def steps(classes: int, **changed: Any) -> Steps:
    draws = np.random.default_rng(2)
    given = Steps(
        draws.uniform(0.5, 2, ROWS).astype(np.float32), np.zeros(ROWS, np.float32),
        np.zeros(classes, np.float32), 3.0, 0.1, 4.0, 1.0, 60.0,
    )  # fmt: skip
    return given._replace(**changed)


class Reference:
    """The same line by line, in float64."""

    def __init__(self, model: Matrices, seen: Found) -> None:
        self.seen, self.model = seen, model
        self.weights = model.weights.astype(float)
        self.output = None if model.output is None else model.output.astype(float)

    def line(self, at: int) -> tuple[Any, Any, float]:
        """Rows, how much each counts, and the line's mass."""
        start, stop = self.seen.starts[at : at + 2]
        rows = self.seen.rows[start:stop]
        if self.model.is_distinct:
            return rows, np.ones(len(rows)), float(len(rows))
        return rows, self.seen.times[start:stop], float(self.seen.terms[at]) * bool(len(rows))

    def told(self, at: int) -> tuple[Any, Any]:
        rows, times, mass = self.line(at)
        hidden = times @ self.weights[rows] / (mass**self.model.power if mass else 1)
        scores = hidden if self.output is None else self.output @ hidden
        chances = np.exp(scores - scores.max())
        return hidden, chances / chances.sum()

    def learn(self, taken: Steps) -> tuple[int, int, float]:
        squares, moved = np.zeros(ROWS), np.zeros(self.model.classes)
        done, lines, right, loss = taken.done, 0, 0, 0.0
        for at in range(LINES):
            labels = self.seen.labels[slice(*self.seen.label_starts[at : at + 2])]
            if not len(labels):
                continue
            rate = taken.rate * max(0.0, 1 - done / taken.length)
            hidden, errors = self.told(at)
            lines += 1
            right += int(errors.argmax() in labels)
            loss -= float(np.log(errors[labels]).mean())
            errors[labels] -= 1 / len(labels)
            push = errors if self.output is None else errors @ self.output
            if self.output is not None:
                moved += errors**2 * (hidden**2).mean()
                with np.errstate(divide="ignore", invalid="ignore"):
                    amounts = np.where(moved > 0, rate * errors / np.sqrt(moved), 0)
                self.output -= amounts[:, None] * hidden
            rows, times, mass = self.line(at)
            if len(rows):
                amounts = times / np.sqrt(mass)
                squares[rows] += (push**2).mean() * amounts**2
                size = rate * taken.scale * taken.paces[rows] * amounts / np.sqrt(squares[rows])
                self.weights[rows] -= size[:, None] * push
            done += taken.pace
        return lines, right, loss


FORMS = [
    (3, 3, {}),
    (2, 2, {}),
    (2, 2, {"is_distinct": True, "power": 0.5}),
    (5, 5, {"is_distinct": True, "power": 0.5}),
    (4, 7, {}),
    (1, 3, {"is_distinct": True}),
]


@pytest.mark.parametrize(("width", "classes", "form"), FORMS)
def test_chances_are_those_of_numpy(width: int, classes: int, form: dict[str, Any]) -> None:
    model, seen = matrices(width, classes, **form), found(classes)
    reference = Reference(model, seen)
    wanted = np.array([reference.told(at)[1] for at in range(LINES)])
    assert_allclose(textclassifier.chances(model, seen), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("width", "classes", "form"), FORMS)
def test_steps_are_those_of_numpy(width: int, classes: int, form: dict[str, Any]) -> None:
    model, seen = matrices(width, classes, **form), found(classes)
    reference = Reference(model, seen)
    wanted = reference.learn(steps(classes))
    told = textclassifier.learn(model, seen, steps(classes))
    assert told[:2] == wanted[:2]
    assert_allclose(told[2], wanted[2], rtol=1e-4)
    assert_allclose(model.weights, reference.weights, rtol=2e-3, atol=1e-4)
    if model.output is not None:
        assert reference.output is not None
        assert_allclose(model.output, reference.output, rtol=2e-3, atol=1e-4)


def test_a_step_goes_against_the_gradient_of_the_loss() -> None:
    seen = found(3)
    model = matrices(3, 3)
    before = textclassifier.learn(model, seen, steps(3, rate=0.0))[2]
    textclassifier.learn(model, seen, steps(3, rate=1e-3))
    assert textclassifier.learn(model, seen, steps(3, rate=0.0))[2] < before


def test_lines_without_a_label_change_nothing() -> None:
    seen, model = found(3), matrices(3, 3)
    none = seen._replace(label_starts=np.zeros(LINES + 1, np.int64))
    before = model.weights.copy()
    assert textclassifier.learn(model, none, steps(3)) == (0, 0, 0.0)
    assert_array_equal(model.weights, before)


@pytest.mark.parametrize("number", [-1, ROWS, 2**31 - 1])
def test_a_row_that_there_is_none_of_is_refused(number: int) -> None:
    seen, model = found(3), matrices(3, 3)
    labelled = np.diff(seen.label_starts) * np.diff(seen.starts) > 0
    seen.rows[seen.starts[:-1][labelled][2]] = number
    for use in (
        lambda: textclassifier.chances(model, seen),
        lambda: textclassifier.learn(model, seen, steps(3)),
    ):
        with pytest.raises(ValueError, match="rows"):
            use()


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_there_is_none_of_is_refused(label: int) -> None:
    seen = found(3)
    seen.labels[0] = label
    with pytest.raises(ValueError, match="labels"):
        textclassifier.learn(matrices(3, 3), seen, steps(3))


def test_arrays_that_do_not_fit_are_refused() -> None:
    seen, model = found(3), matrices(3, 3)
    starts = seen.starts.copy()
    starts[3] = starts[4] + 1
    falling = seen.starts.copy()
    falling[-1] = -(2**63)
    for wrong in (
        seen._replace(starts=starts),
        seen._replace(starts=falling),
        seen._replace(starts=seen.starts[1:]),
        seen._replace(starts=seen.starts + len(seen.rows)),
        seen._replace(label_starts=seen.label_starts - 1),
        seen._replace(times=seen.times[1:]),
    ):
        with pytest.raises(ValueError, match=r"lines|times"):
            textclassifier.chances(model, wrong)
    short = np.zeros(ROWS - 1, np.float32)
    for taken in (steps(3, paces=short), steps(3, squares=short)):
        with pytest.raises(ValueError, match="pace"):
            textclassifier.learn(model, seen, taken)
    with pytest.raises(ValueError, match="square"):
        textclassifier.learn(matrices(2, 3), seen, steps(2))
    with pytest.raises(ValueError, match="width"):
        textclassifier.chances(model._replace(output=np.zeros((3, 2), np.float32)), seen)

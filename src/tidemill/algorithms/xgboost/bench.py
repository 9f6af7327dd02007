"""The library at work: a matrix and a booster, which no state can hold, and rounds made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tidemill.algorithms.xgboost import metrics
from tidemill.algorithms.xgboost.hyperparameters import XGBoostHyperparameters
from tidemill.algorithms.xgboost.library import library
from tidemill.algorithms.xgboost.matrix import can_lie_on_disk, matrix_of
from tidemill.algorithms.xgboost.parameters import own_metrics, takes_bins
from tidemill.algorithms.xgboost.rows import cells
from tidemill.algorithms.xgboost.scores import score
from tidemill.algorithms.xgboost.shelf import Shelf
from tidemill.algorithms.xgboost.state import Best, Bytes, bytes_of
from tidemill.data.batch import Batch

TRAIN, HELD_OUT = "train", "validation"
Scores = list[tuple[str, float]]
"""(``validation-auc``, its value), in the order of the log line."""


class Bench:
    """One training's objects of the library.

    rows, held: of the channels, of one width · settings: the library's parameters
    booster: to begin with, or empty · is_foreign: whether other rows made it, whose trees split
    within the bins of these · shelf: that the rows are kept on

    ``work``: values that the histograms of a round take in
    """

    def __init__(
        self,
        given: XGBoostHyperparameters,
        settings: dict[str, Any],
        rows: Sequence[Batch],
        held: Sequence[Batch],
        *,
        booster: Bytes,
        is_foreign: bool = False,
        shelf: Shelf,
    ) -> None:
        self.work = cells(rows) * (given.num_class or 1) * given.num_parallel_tree
        in_bins = takes_bins(given) and not is_foreign
        on_disk = shelf if in_bins and shelf.pages and can_lie_on_disk(rows, settings) else None
        self._train = matrix_of(rows, settings, in_bins=in_bins, shelf=on_disk)
        self._watched = [(self._train, TRAIN)]
        if held:
            like = self._train if in_bins else None
            held_out = matrix_of(held, settings, in_bins=in_bins, like=like, shelf=on_disk)
            self._watched.append((held_out, HELD_OUT))
        self._own = own_metrics(given)
        watched = [matrix for matrix, _ in self._watched]
        file = bytearray(booster) if len(booster) else None
        self._booster = library().Booster(settings, watched, model_file=file)

    @property
    def is_watching(self) -> bool:
        """Whether there are rows of a validation channel."""
        return len(self._watched) > 1

    def round(self, number: int) -> None:
        """One more round. number: from 0 in this training"""
        self._booster.update(self._train, iteration=number)

    def scores(self, number: int) -> Scores:
        """All metrics after a round."""
        text = self._booster.eval_set(self._watched, number)
        found: Scores = []
        for part in text.split("\t")[1:]:
            name, _, value = part.rpartition(":")
            found.append((name, float(value)))
        return found + [pair for watched in self._watched for pair in self._own_scores(*watched)]

    def remember(self, best: Best) -> None:
        """Note the best round in the model, as the library's own early stopping does."""
        self._booster.set_attr(best_score=str(best.score), best_iteration=str(best.round))

    def cut(self, best: Best) -> None:
        """Leave out the rounds after the best one."""
        if self._booster.num_boosted_rounds() > best.round + 1:
            self._booster = self._booster[: best.round + 1]
        self.remember(best)

    def booster(self) -> Bytes:
        """The model so far."""
        return bytes_of(self._booster.save_raw("ubj"))

    def _own_scores(self, matrix: Any, channel: str) -> Scores:
        if not self._own:
            return []
        predict, labels = self._booster.predict, matrix.get_label()
        margins = predict(matrix, output_margin=True, training=False)
        answers = predict(matrix, training=False)
        return [(f"{channel}-{name}", score(name, labels, margins, answers)) for name in self._own]


def line(number: int, scores: Scores) -> str:
    """A round's line in the log, its tabs as SageMaker's log shows them.

    >>> line(3, [("train-rmse", 1.2), ("validation-rmse", 1.3)])
    '[3]#011train-rmse:1.20000#011validation-rmse:1.30000'
    """
    return f"[{number}]" + "".join(f"#011{name}:{value:.5f}" for name, value in scores)


def deciding(scores: Scores, asked: Sequence[str]) -> tuple[str, float]:
    """What early stopping goes by: the last metric asked for, on the validation rows."""
    held_out = [(name.removeprefix(f"{HELD_OUT}-"), v) for name, v in scores if HELD_OUT in name]
    wanted = asked[-1] if asked else held_out[-1][0]
    return next(
        (pair for pair in held_out if pair[0] == wanted or metrics.base(pair[0]) == wanted),
        held_out[-1],
    )


def better(best: Best | None, name: str, value: float, round_: int) -> Best:
    """The best so far. name: of the metric"""
    if best is None:
        return Best(value, round_)
    is_large = metrics.is_better_large(name)
    gains = value > best.score if is_large else value < best.score
    return Best(value, round_) if gains and not math.isnan(value) else best

"""Gradient boosting by the xgboost library, as a fold over a stream.

The library's method (Chen & Guestrin, "XGBoost: a scalable tree boosting system", 2016) goes over
all rows in every round. So the first pass gathers the rows, and the later ones read none: each
makes some rounds, after which there is a state to save, lines for the log, and a moment to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tidemill.algorithms.base import Algorithm
from tidemill.algorithms.xgboost.bench import Bench, better, deciding, line
from tidemill.algorithms.xgboost.hyperparameters import NAME, XGBoostHyperparameters
from tidemill.algorithms.xgboost.library import complaints
from tidemill.algorithms.xgboost.model import (
    XGBoostEvaluation,
    XGBoostModel,
    evaluation,
    model_of,
)
from tidemill.algorithms.xgboost.pace import rounds_in_one_go
from tidemill.algorithms.xgboost.parameters import draws, parameters_of
from tidemill.algorithms.xgboost.reopening import check_update, reopened, shortened
from tidemill.algorithms.xgboost.rows import common_width, fingerprint, prepared, same_width
from tidemill.algorithms.xgboost.rules import check_together, warnings
from tidemill.algorithms.xgboost.shelf import ROOM, Shelf, clear
from tidemill.algorithms.xgboost.state import NOTHING, Best, XGBoostState, let_go_of_rows
from tidemill.data.batch import Batch
from tidemill.errors import InvalidData

_CHECK = "Check labels and features against the objective, and the hyperparameters named here."


class XGBoost(Algorithm[XGBoostState]):
    """Gradient boosting as a fold: the trees are those of ``xgboost.train`` on the same rows.

    threads: of the library, unless nthread is given · scratch: a directory for rows beyond ``room``
    bytes, and then for their bins; without one all lie in memory

    Memory: 4 bytes a value of the rows while they are gathered, ``room`` at most with a scratch
    directory; then one byte a value, which lies on disk where the rows did, and some 50 bytes a
    row. Cost: that of the library.

    >>> import numpy as np
    >>> algorithm = XGBoost(XGBoostHyperparameters(num_round=5, eta=1.0))
    >>> rows = Batch(np.arange(8.0, dtype="f4")[:, None], np.repeat([1.0, 5.0], 4).astype("f4"))
    >>> model = algorithm.finalize(algorithm.close_pass(algorithm.update(algorithm.start(), rows)))
    >>> model.predict(rows)["score"].round(1).tolist()
    [1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0]
    """

    exact = False
    batch_rows = 8192

    def __init__(
        self,
        hyperparameters: XGBoostHyperparameters,
        *,
        threads: int | None = None,
        scratch: Path | None = None,
        room: int = ROOM,
    ) -> None:
        check_together(hyperparameters)
        self.hyperparameters = hyperparameters
        self._settings = parameters_of(hyperparameters, threads)
        self._draws = draws(hyperparameters)
        self._scratch, self._room = scratch, room
        self._shelf = Shelf(scratch, room)
        # What the library holds of the rows, the rows' fingerprint, and the round that it stands
        # at. All of it can be made again, of a state and its rows.
        self._bench: tuple[Bench, int, int] | None = None

    def start(self) -> XGBoostState:
        return XGBoostState(NOTHING, NOTHING)

    def update(self, state: XGBoostState, batch: Batch) -> XGBoostState:
        if not len(batch) or state.kept:
            return state
        checked = prepared(batch, self.hyperparameters, state.columns, state.gathered)
        rows = self._shelf.keep(checked)
        columns = max(state.columns, rows.columns)
        return replace(state, gathered=(*state.gathered, rows), columns=columns)

    def merge(self, left: XGBoostState, right: XGBoostState) -> XGBoostState:
        """The rows of both, in this order."""
        return replace(
            left,
            gathered=left.gathered + right.gathered,
            columns=common_width(left.gathered, left.columns, right.gathered, right.columns),
            parts=left.parts if left.rounds else left.parts + right.parts,
        )

    def pass_is_over(self, state: XGBoostState) -> bool:
        return state.is_over or bool(state.kept) or self._stands_at(state)

    def order(self, pass_: int) -> int:
        return 0  # rows that are read again must come as they came first

    def is_worth_saving(self, state: XGBoostState) -> bool:
        return not state.gathered

    def holds_out(self, state: XGBoostState) -> bool:
        return not state.is_over and not self._stands_at(state)

    def hold_out(self, state: XGBoostState, batch: Batch) -> XGBoostState:
        if not len(batch):
            return state
        checked = prepared(batch, self.hyperparameters, state.columns, state.held)
        rows = self._shelf.keep(checked)
        return replace(state, held=(*state.held, rows))

    def close_pass(self, state: XGBoostState) -> XGBoostState:
        """Some rounds over the rows, which the state then lets go of."""
        has_rows = bool(state.gathered or state.kept) or self._stands_at(state)
        if state.is_over or not has_rows:
            return replace(state, held=(), is_over=True)
        kept = state.kept or (state.gathered if state.parts > 1 else ())
        before = state.before if state.rounds else state.booster
        with complaints(_CHECK):
            bench, seen = self._at_work(state)
            told = () if state.rounds else self._warnings(bench, state)
            self._shelf = Shelf(self._scratch, self._room)
            made = self._boosted(bench, let_go_of_rows(state), told)
        self._bench = None if made.is_over else (bench, seen, made.rounds)
        if made.is_over:
            clear(self._scratch)
        return replace(
            made,
            before=before if self._draws and not made.is_over else NOTHING,
            seen=seen,
            kept=() if made.is_over else kept,
            asked=self.hyperparameters.num_round,
        )

    def wants_another_pass(self, state: XGBoostState) -> bool:
        return not state.is_over

    def progress(self, state: XGBoostState) -> float:
        return 1.0 if state.is_over else state.rounds / self.hyperparameters.num_round

    def epoch(self, state: XGBoostState, pass_: int) -> int | None:
        return state.rounds - 1 if state.rounds else None

    def lines(self, state: XGBoostState) -> Sequence[str]:
        return state.lines

    def evaluate(self, model: XGBoostModel, batch: Batch) -> XGBoostEvaluation | None:
        if not len(batch):
            return None
        return evaluation(model, prepared(batch, self.hyperparameters, model.columns))

    def finalize(self, state: XGBoostState) -> XGBoostModel:
        """The model of all rounds; of a reopened state that of fewer, if num_round is smaller."""
        if not len(state.booster):
            raise InvalidData(
                f"{NAME}: training needs rows", got="none", do="Check the channel 'train'."
            )
        return model_of(state.booster if state.rounds else shortened(state, self.hyperparameters))

    def reopen(self, state: XGBoostState, *, leads: bool = True) -> XGBoostState:
        """Further rounds on new rows, after all that there are."""
        return reopened(state, self.hyperparameters)

    def _stands_at(self, state: XGBoostState) -> bool:
        """Whether the library still holds all that comes after this state."""
        at = self._bench
        return bool(state.rounds) and at is not None and at[1:] == (state.seen, state.rounds)

    def _at_work(self, state: XGBoostState) -> tuple[Bench, int]:
        """The library's objects at the end of this state's last round, and the fingerprint."""
        if self._bench is not None and self._stands_at(state):
            return self._bench[:2]
        given = self.hyperparameters
        check_update(state, given)
        rows = same_width(state.kept or state.gathered, state.columns)
        held = same_width(state.held, state.columns)
        seen = fingerprint([*rows, *held])
        if state.rounds and seen != state.seen:
            raise InvalidData(
                f"{NAME}: rows that are read again must be those that training began with",
                got="others",
                do="Leave the channels' objects as they are while a job runs.",
            )
        # Which random numbers come next no model tells: these rounds are made again.
        replays = state.rounds if self._draws else 0
        booster = state.before if replays else state.booster
        bench = Bench(
            given,
            self._settings,
            rows,
            held,
            booster=booster,
            is_foreign=state.inherited > 0,
            shelf=self._shelf,
        )
        for number in range(replays):
            bench.round(number)
        if state.best is not None:
            bench.remember(state.best)
        return bench, seen

    def _boosted(self, bench: Bench, state: XGBoostState, told: Sequence[str]) -> XGBoostState:
        """After some more rounds, told of in further lines."""
        given, number, best = self.hyperparameters, state.rounds, state.best
        lines = [*told]
        travels = bool(state.kept) or state.parts > 1
        stop = number + rounds_in_one_go(given, number, bench.work, carries_rows=travels)
        is_stale = False
        while number < stop and not is_stale:
            bench.round(number)
            scores = bench.scores(number)
            lines.append(line(number, scores))
            if bench.is_watching and given.early_stopping_rounds:
                at = state.inherited + number
                best = _best(bench, best, deciding(scores, given.metrics), at)
                is_stale = at - best.round >= given.early_stopping_rounds
            number += 1
        is_over = is_stale or number == given.num_round
        if is_over and best is not None and given.booster != "gblinear":
            bench.cut(best)
            number = best.round + 1 - state.inherited
        updates = given.process_type == "update"
        return replace(
            state,
            booster=bench.booster(),
            inherited=0 if updates else state.inherited,
            rounds=number,
            best=best,
            lines=tuple(lines),
            is_over=is_over,
        )

    def _warnings(self, bench: Bench, state: XGBoostState) -> Sequence[str]:
        is_grouped = (state.kept or state.gathered)[0].groups is not None
        given = self.hyperparameters
        return warnings(given, is_validated=bench.is_watching, is_grouped=is_grouped)


def _best(bench: Bench, best: Best | None, score: tuple[str, float], round_: int) -> Best:
    found = better(best, *score, round_)
    if found is not best:
        bench.remember(found)
    return found

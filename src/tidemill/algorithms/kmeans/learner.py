"""k-means: more centres than asked for follow the stream, then local Lloyd runs reduce them to k.

The method of Amazon's built-in: mini-batches move K = k x extra_center_factor centres (Sculley,
"Web-scale k-means clustering", 2010); the K weighted centres are a summary of the stream, and
weighted Lloyd runs over them give the k (Liberty et al., "Elastic machine learning algorithms in
Amazon SageMaker", 2020). Epochs after the first are exact Lloyd iterations over the stream.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tidemill.algorithms.base import Algorithm, Each, Measure
from tidemill.algorithms.kmeans import local_lloyd
from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
from tidemill.algorithms.kmeans.model import KMeansEvaluation, KMeansModel, width_error
from tidemill.algorithms.kmeans.nearest import (
    Doubles,
    Evidence,
    Labels,
    gather,
    origin_of,
    positive,
    rows_of,
)
from tidemill.algorithms.kmeans.state import KMeansState, empty, stepped, with_centres
from tidemill.algorithms.kmeans.summary import Summary, joined, pooled
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid, InvalidData, amount

_AUTO_FACTOR = 10
_AUTO_TRIALS = 10
# What a draw of random numbers is for; with the counters it makes the key of its generator.
_SEEDING, _MERGING, _REDUCING, _JOINING = range(4)


class KMeans(Algorithm[KMeansState]):
    """Streaming k-means as a fold.

    seed: of all randomness · each: like ``map``; one that works side by side changes no result

    Memory: K x columns floats. Cost: 2 x rows x columns x K flops in the first pass, with k
    instead of K in later ones.

    >>> algorithm = KMeans(KMeansHyperparameters(feature_dim=1, k=2))
    >>> rows = np.array([[1.0], [2.0], [10.0], [12.0]], np.float32)
    >>> model = algorithm.finalize(algorithm.update(algorithm.start(), Batch(rows)))
    >>> sorted(model.centres.ravel().tolist())
    [1.5, 11.0]
    """

    exact = False
    fades = True

    def __init__(
        self, hyperparameters: KMeansHyperparameters, *, seed: int = 0, each: Each = map
    ) -> None:
        self.hyperparameters = hyperparameters
        self.batch_rows = hyperparameters.mini_batch_size
        self.most = hyperparameters.k * (hyperparameters.extra_center_factor or _AUTO_FACTOR)
        self._local = local_lloyd.Settings(
            _method(hyperparameters.local_lloyd_init_method),
            hyperparameters.local_lloyd_num_trials or _AUTO_TRIALS,
            hyperparameters.local_lloyd_max_iter,
            hyperparameters.local_lloyd_tol,
        )
        self._seed = seed
        self._each = each

    def start(self) -> KMeansState:
        return empty(self.hyperparameters.feature_dim or 0)

    def update(self, state: KMeansState, batch: Batch) -> KMeansState:
        columns = self.hyperparameters.feature_dim or state.columns
        if columns and batch.columns != columns:
            raise width_error(columns, batch.columns)
        batch = positive(batch)
        if len(batch) == 0:
            return state
        state = state if columns else empty(batch.columns)
        state = self._faded(state, len(batch))
        if not state.follows:
            return self._observe(state, batch)
        if not len(state.centres):
            state = replace(state, origin=origin_of(batch))
        return self._follow(state, batch)

    def merge(self, left: KMeansState, right: KMeansState) -> KMeansState:
        """Join workers: K of the centres of both while following the stream, else the sums."""
        if not left.follows:
            return replace(
                left,
                sums=left.sums + right.sums,
                counts=left.counts + right.counts,
                loss=left.loss + right.loss,
                weight=left.weight + right.weight,
            )
        if not right.rows and (left.rows or left.before):
            return left
        if not left.rows:
            return right
        return self._pooled(left, right)

    def finalize(self, state: KMeansState) -> KMeansModel:
        k = self.hyperparameters.k
        rows = state.rows + (state.before.rows if state.before else 0)
        if rows < k:
            raise Invalid(
                f"kmeans: k = {amount(k, 'cluster')} need at least "
                f"{amount(k, 'row')} of training data",
                got=amount(rows, "row"),
                do="Lower k, or train on more rows.",
            )
        centres = self._answer(state)
        # Fewer than k rows may differ from one another: then centres stand twice.
        return KMeansModel(np.resize(centres, (k, centres.shape[1])))

    def evaluate(self, model: KMeansModel, batch: Batch) -> KMeansEvaluation:
        distances = model.predict(batch)["distance_to_cluster"].astype(np.float64)
        weights = _weights(batch)
        names = self.hyperparameters.eval_metrics
        return KMeansEvaluation(float(distances**2 @ weights), float(weights.sum()), names)

    def reopen(self, state: KMeansState, *, leads: bool = True) -> KMeansState:
        """New rows get K centres of their own; those of the earlier ones join them at the end.

        So new rows may be anywhere, and workers need not agree on who counts the earlier ones. Of
        the K any k up to K can be made; with the same k as before, the answer is the same one.
        """
        seen = self._all(state)
        columns, most, k = seen.centres.shape[1], len(seen.centres), self.hyperparameters.k
        if (self.hyperparameters.feature_dim or columns) != columns:
            raise Invalid(
                f"kmeans: feature_dim must be {columns}, as in the earlier training",
                got=self.hyperparameters.feature_dim,
                do="Change feature_dim, or train anew.",
            )
        if k > most and k != state.clusters:
            raise Invalid(
                f"kmeans: k must be at most {most}, the centres that the earlier training kept",
                got=k,
                do="Lower k, or train anew on the data; a larger extra_center_factor keeps more.",
            )
        return replace(
            empty(columns),
            origin=state.origin,
            answer=state.answer if state.follows else state.centres,
            clusters=state.clusters,
            before=seen,
        )

    def faded(self, state: KMeansState, left: float) -> KMeansState:
        loss = state.loss * left if state.follows else state.loss
        return replace(state, weights=state.weights * left, loss=loss)

    def close_pass(self, state: KMeansState) -> KMeansState:
        state = replace(state, passes=state.passes + 1)
        if state.weight <= 0:
            return replace(state, gain=0.0)
        return self._settled(state) if state.follows else self._moved(state)

    def wants_another_pass(self, state: KMeansState) -> bool:
        gains = state.gain > self.hyperparameters.local_lloyd_tol
        return gains and state.passes < self.hyperparameters.epochs

    def progress(self, state: KMeansState) -> float:
        wants = self.wants_another_pass(state)
        return state.passes / self.hyperparameters.epochs if wants else 1.0

    def report(self, state: KMeansState) -> Mapping[str, Sequence[Measure]]:
        return {} if state.msd is None else {"train": [Measure("msd", state.msd)]}

    def _draws(self, purpose: int, counter: int) -> np.random.Generator:
        key = np.array([self._seed, purpose], np.uint64)
        # The counter's highest word, for the generator itself counts in the lowest.
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, counter]))

    def _faded(self, state: KMeansState, rows: int) -> KMeansState:
        """What was seen before these rows, at the weight that the half-life leaves it."""
        half_life = self.hyperparameters.half_life_time_size
        if not half_life:
            return state
        left = 0.5 ** (rows / half_life)
        return replace(
            state,
            weights=state.weights * left,
            loss=state.loss * (left if state.follows else 1.0),
            sums=state.sums * left,
            counts=state.counts * left,
        )

    def _follow(self, state: KMeansState, batch: Batch) -> KMeansState:
        """The first rows become centres; then centres move towards the rows nearest to them."""
        state = replace(
            state,
            weight=state.weight + float(_weights(batch).sum()),
            rows=state.rows + len(batch),
            batches=state.batches + 1,
            answer=None,
        )
        room = self.most - len(state.centres)
        if room:
            rows = rows_of(batch, 0, len(batch), state.origin)
            _check_squares(rows)
            if room >= len(batch):
                return with_centres(state, rows, _weights(batch))
            chosen = self._seeds(state, rows, _weights(batch), room)
            state = with_centres(state, rows[chosen], np.zeros(room))
        return stepped(state, self._evidence(state, batch))

    def _seeds(self, state: KMeansState, rows: Floats, weights: Doubles, count: int) -> Labels:
        """Which rows to start from, as ``init_method`` says."""
        draws = self._draws(_SEEDING, state.batches)
        method = _method(self.hyperparameters.init_method)
        return local_lloyd.oversample(rows, weights, count, method, draws)

    def _observe(self, state: KMeansState, batch: Batch) -> KMeansState:
        evidence = self._evidence(state, batch)
        return replace(
            state,
            sums=state.sums + evidence.sums,
            counts=state.counts + evidence.counts,
            loss=state.loss + evidence.loss(state.centres),
            weight=state.weight + float(_weights(batch).sum()),
        )

    def _evidence(self, state: KMeansState, batch: Batch) -> Evidence:
        evidence = gather(batch, state.centres, state.origin, self._each)
        if not math.isfinite(evidence.squares):
            raise _infinite()
        return evidence

    def _pooled(self, left: KMeansState, right: KMeansState) -> KMeansState:
        batches = left.batches + right.batches
        both = pooled(
            joined(left.own(), right.own()),
            self.most,
            lambda: self._draws(_MERGING, batches),
            self._each,
        )
        return replace(
            left,
            centres=both.centres,
            weights=both.weights,
            loss=both.loss,
            weight=left.weight + right.weight,
            rows=both.rows,
            batches=batches,
            answer=None,
        )

    def _earlier(self, state: KMeansState) -> Summary | None:
        """Of the rows of earlier trainings, as heavy as this one's have left them."""
        half_life = self.hyperparameters.half_life_time_size
        if state.before is None or not half_life:
            return state.before
        return state.before.times(0.5 ** (state.rows / half_life))

    def _joined(self, state: KMeansState) -> Summary:
        """Of all rows, while these are followed, in no more than twice as many centres."""
        earlier = self._earlier(state)
        return state.own() if earlier is None else joined(earlier, state.own())

    def _all(self, state: KMeansState) -> Summary:
        """Of all rows seen, in as many centres as either training kept of its own."""
        if state.kept is not None:
            # The first pass may have seen but a sample of what the last one saw.
            share = float(state.weights.sum()) / (float(state.kept.weights.sum()) or 1.0)
            return state.kept.times(share)
        before = 0 if state.before is None else len(state.before.centres)
        return pooled(
            self._joined(state),
            max(self.most, before, len(state.centres)),
            lambda: self._draws(_JOINING, state.batches),
            self._each,
        )

    def _answer(self, state: KMeansState) -> Floats:
        """k centres, or fewer where so many do not differ."""
        if state.clusters == self.hyperparameters.k:
            if not state.follows:
                return state.centres + state.origin
            if state.answer is not None:
                return state.answer + state.origin
        seen = self._joined(state) if state.kept is None else state.kept
        return self._reduced(seen, state.batches)[0] + seen.origin

    def _reduced(self, seen: Summary, batches: int) -> tuple[Floats, Doubles, float]:
        draws = self._draws(_REDUCING, batches)
        k = self.hyperparameters.k
        return local_lloyd.reduce(seen.centres, seen.weights, k, self._local, draws, self._each)

    def _settled(self, state: KMeansState) -> KMeansState:
        """After the first pass: k centres, for later passes to move or as the answer."""
        seen = self._joined(state)
        centres, weights, lost = self._reduced(seen, state.batches)
        # What rows lose to their centre, and these centres to the k, adds up (Huygens).
        msd = (seen.loss + lost) / (float(weights.sum()) or 1.0)
        kept = self._all(state)
        closed = replace(
            state,
            origin=seen.origin,
            centres=kept.centres,
            weights=kept.weights,
            loss=kept.loss,
            rows=kept.rows,
            weight=0.0,
            msd=msd,
            gain=1.0,
            answer=centres,
            clusters=self.hyperparameters.k,
            before=None,
        )
        if self.hyperparameters.epochs == 1:
            return closed
        return replace(
            closed,
            centres=centres,
            weights=weights,
            sums=np.zeros(centres.shape),
            counts=np.zeros(len(centres)),
            loss=0.0,
            rows=state.rows,
            answer=None,
            kept=kept,
            before=self._earlier(state),
        )

    def _moved(self, state: KMeansState) -> KMeansState:
        """After a later pass: every centre at the mean of its rows, or beyond if more follow."""
        state = self._with_earlier(state)
        means = local_lloyd.means(Evidence(state.sums, state.counts, 0.0), state.centres)
        saved = local_lloyd.savings(state.counts, state.centres, means)
        before = state.loss / state.weight
        after = max(0.0, before - saved / (float(state.counts.sum()) or 1.0))
        moved = replace(
            state,
            centres=means,
            weights=state.counts,
            sums=np.zeros_like(state.sums),
            counts=np.zeros_like(state.counts),
            loss=0.0,
            weight=0.0,
            msd=after,
            gain=1.0 - after / before if before else 0.0,
        )
        if self.wants_another_pass(moved):
            return replace(moved, centres=local_lloyd.beyond(state.centres, means))
        return moved

    def _with_earlier(self, state: KMeansState) -> KMeansState:
        """This pass's evidence, and that of the rows which earlier trainings saw."""
        seen = state.before
        if seen is None:
            return state
        rows = Batch(seen.centres, weights=seen.weights.astype(np.float32))
        evidence = gather(rows, state.centres, np.zeros_like(state.origin), self._each)
        return replace(
            state,
            sums=state.sums + evidence.sums,
            counts=state.counts + evidence.counts,
            loss=state.loss + evidence.loss(state.centres) + seen.loss,
            weight=state.weight + float(seen.weights.sum()),
        )


def _check_squares(rows: Floats) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
    if not np.isfinite(squares).all():
        raise _infinite()


def _method(word: str) -> str:
    return "random" if word == "random" else "kmeans++"


def _weights(batch: Batch) -> Doubles:
    return np.ones(len(batch)) if batch.weights is None else batch.weights.astype(np.float64)


def _infinite() -> InvalidData:
    return InvalidData(
        "kmeans: features must be finite and of a size that float32 can square",
        got="NaN, infinity or an overflow",
        do="Replace missing values and scale huge ones before training.",
    )

"""Linear models: AUC, log loss, time, and rows per second of every candidate model trained.

The floor. One pass over (rows, columns) float32 for M candidates is two matrix products, scores and
slopes: 4 · rows · columns · M operations, and rows · columns · 4 bytes from memory (the second
product finds its mini-batch in the cache). For 2,000,000 × 50:

* M = 1: 0.4 GFLOP and 400 MB, so 10 ms at the 40 GB/s of one core: 200 M rows/s. Bound by memory.
* M = 32: 12.8 GFLOP, 95 ms at the 135 GFLOP/s of one core, and 64 M exponentials and logarithms,
  some 60 ms: 400 M candidate-rows/s on a core. Bound by arithmetic.

What an estimator reads in random order costs more: gathering runs of rows goes at some 10 GB/s.

Rows/s counts rows × passes × candidates. All get the same float32 rows (dense ones standardised),
but Vowpal Wabbit, which reads text: parsing is inside its time (its later passes read its binary
cache).
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure import CACHE, Row, data_directory, interleaved, write

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Task:
    """A binary problem; text_rows: of its training rows, those given to systems that read text.

    features, probe: (rows, columns) float32, dense or scipy.sparse
    """

    name: str
    features: Any
    labels: NDArray[np.int64]
    probe: Any
    wanted: NDArray[np.int64]
    text_rows: int
    repeats: int = 3


@dataclass(slots=True)
class Outcome:
    """chances: asked after the timing, of the probe rows to be positive

    visits: rows × passes × candidates trained
    """

    chances: Callable[[], NDArray[Any]]
    visits: int
    note: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def standardised(name: str, train: tuple[Any, Any], probe: tuple[Any, Any], **more: Any) -> Task:
    features, rest = (np.asarray(a, np.float32) for a in (train[0], probe[0]))
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    labels, wanted = (np.asarray(a, np.int64) for a in (train[1], probe[1]))
    return Task(
        name, (features - mean) / spread, labels, (rest - mean) / spread, wanted,
        more.pop("text_rows", len(labels)), **more,
    )  # fmt: skip


def adult(root: Path) -> Task:
    import pandas as pd

    table = pd.read_parquet(root / "adult" / "adult.parquet")
    train = table.split.str.contains("train").to_numpy()
    labels = table.income.str.contains(">50K").to_numpy()
    hot = pd.get_dummies(table.drop(columns=["income", "split"])).to_numpy(np.float32)
    return standardised("adult", (hot[train], labels[train]), (hot[~train], labels[~train]))


def bank(root: Path) -> Task:
    import pandas as pd

    table = pd.read_parquet(root / "bank_marketing" / "bank-full.parquet")
    labels = (table.y.astype(str) == "yes").to_numpy()
    hot = pd.get_dummies(table.drop(columns=["y"])).to_numpy(np.float32)
    order = np.random.default_rng(0).permutation(len(labels))
    probe, train = order[: len(order) // 5], order[len(order) // 5 :]
    return standardised("bank marketing", (hot[train], labels[train]), (hot[probe], labels[probe]))


def generated(rows: int = 2_000_000, columns: int = 50) -> Task:
    draws = np.random.default_rng(1)
    features = draws.standard_normal((rows + 100_000, columns), dtype=np.float32)
    scores = features @ draws.normal(size=columns).astype(np.float32) * 0.5
    labels = scores + draws.logistic(size=len(scores)) > 0
    train, probe = slice(0, rows), slice(rows, None)
    return standardised(
        f"generated {rows:,} × {columns}", (features[train], labels[train]),
        (features[probe], labels[probe]), text_rows=100_000, repeats=1,
    )  # fmt: skip


def imdb(root: Path) -> Task:
    """Film reviews as hashed bags of words: 262,144 sparse columns."""
    import pandas as pd
    from scipy.sparse import load_npz, save_npz
    from sklearn.feature_extraction.text import HashingVectorizer

    table = pd.read_parquet(root / "imdb" / "imdb.parquet")
    words, train = CACHE / "linear-imdb.npz", (table.split.astype(str) == "train").to_numpy()
    if not words.exists():
        CACHE.mkdir(exist_ok=True)
        hashing = HashingVectorizer(n_features=1 << 18, alternate_sign=False, norm="l2")
        save_npz(words, hashing.transform(table.text.tolist()).astype(np.float32))
    rows: Any = load_npz(words)
    labels = table.label.astype(str).to_numpy()
    good = (labels == np.unique(labels)[-1]).astype(np.int64)
    order = np.random.default_rng(0).permutation(np.flatnonzero(train))
    return Task("imdb, sparse", rows[order], good[order], rows[~train], good[~train], len(order))


def tidemill_estimator(task: Task) -> Outcome:
    from tidemill.estimators import LinearLearnerClassifier

    fitted = LinearLearnerClassifier(random_state=0).fit(task.features, task.labels)
    return Outcome(
        lambda: fitted.predict_proba(task.probe)[:, 1],
        len(task.labels) * fitted.n_iter_,
        figures={"passes": fitted.n_iter_},
    )


def tidemill_job(task: Task) -> Outcome:
    """The algorithm with default hyperparameters as a training job runs it, but from memory."""
    from tidemill.algorithms.linear_learner import DECLARATION
    from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
    from tidemill.data.batch import Batch
    from tidemill.estimators.base import one_blas_thread
    from tidemill.estimators.shuffled import Shuffled
    from tidemill.training.loop import fit

    given = LinearLearnerHyperparameters(predictor_type="binary_classifier")
    algorithm = DECLARATION.algorithm(given)
    rows = Batch(task.features, task.labels.astype(np.float32))
    with one_blas_thread():
        state = fit(algorithm, Shuffled(rows, given.mini_batch_size, seed=0))
    model, candidates = algorithm.finalize(state), len(state.best_loss)
    return Outcome(
        lambda: model.predict(Batch(task.probe))["score"],
        len(task.labels) * state.epoch * candidates,
        figures={"passes": state.epoch, "candidates": candidates},
    )


def scikit(make: Callable[[], Any], note: str = "") -> Callable[[Task], Outcome]:
    def run(task: Task) -> Outcome:
        fitted = make().fit(task.features, task.labels)
        passes = int(np.max(fitted.n_iter_))
        return Outcome(
            lambda: fitted.predict_proba(task.probe)[:, 1],
            len(task.labels) * passes,
            note,
            {"passes": passes},
        )

    return run


def wabbit(passes: int) -> Callable[[Task], Outcome]:
    def run(task: Task) -> Outcome:
        import vowpalwabbit

        text, cache = _text(task, "train"), _cached(task, "cache")
        model = _cached(task, f"model-{passes}")
        cache.unlink(missing_ok=True)
        more = f"--passes {passes} --holdout_off --cache_file {cache}" if passes > 1 else ""
        vowpalwabbit.Workspace(
            f"--quiet -b 18 --loss_function logistic -d {text} -f {model} {more}"
        ).finish()

        def chances() -> NDArray[Any]:
            answers = _cached(task, "answers")
            vowpalwabbit.Workspace(
                f"--quiet -t -i {model} -d {_text(task, 'probe')} -p {answers} --link logistic"
            ).finish()
            return np.loadtxt(answers)

        few = task.text_rows < len(task.labels)
        note = "from text" + (f", the first {task.text_rows:,} rows" if few else "")
        return Outcome(chances, task.text_rows * passes, note, {"passes": passes})

    return run


def _cached(task: Task, what: str) -> Path:
    CACHE.mkdir(exist_ok=True)
    return CACHE / f"linear-{task.name.split()[0]}.{what}"


def _text(task: Task, what: str) -> Path:
    """The rows in VW's own form; made once, outside of all timing."""
    path = _cached(task, what)
    if not path.exists():
        rows, labels = (
            (task.features[: task.text_rows], task.labels)
            if what == "train"
            else (task.probe, task.wanted)
        )
        with path.open("w") as out:
            for words, label in zip(_words(rows), labels, strict=False):
                out.write(f"{1 if label else -1} | {words}\n")
    return path


def _words(rows: Any) -> Iterator[str]:
    if isinstance(rows, np.ndarray):
        form = " ".join(f"{i}:%.5g" for i in range(rows.shape[1]))
        for row in rows:
            yield form % tuple(row.tolist())
        return
    for start, stop in itertools.pairwise(rows.indptr):
        cells = zip(rows.indices[start:stop], rows.data[start:stop], strict=True)
        yield " ".join(f"{i}:{v:.5g}" for i, v in cells)


def systems(task: Task) -> dict[str, Callable[[], Outcome]]:
    from sklearn.linear_model import LogisticRegression, SGDClassifier

    def sgd(**more: Any) -> Callable[[Task], Outcome]:
        return scikit(lambda: SGDClassifier(loss="log_loss", random_state=0, **more))

    found: dict[str, Callable[[Task], Outcome]] = {
        "tidemill LinearLearnerClassifier": tidemill_estimator,
    }
    if isinstance(task.features, np.ndarray):
        found["SGDClassifier, 5 passes, averaged"] = sgd(max_iter=5, tol=None, average=True)
        found["tidemill linear-learner job"] = tidemill_job
        found["LogisticRegression"] = scikit(lambda: LogisticRegression(max_iter=200))
    else:
        tuned = sgd(alpha=1e-6, max_iter=5, tol=None, average=True)
        found["SGDClassifier, 5 passes, averaged, alpha 1e-6"] = tuned
        found["LogisticRegression, C=10"] = scikit(
            lambda: LogisticRegression(C=10, solver="liblinear")
        )
    if task.repeats > 1:
        found["SGDClassifier"] = sgd()
    try:
        import vowpalwabbit  # noqa: F401
    except ImportError:
        print("vowpalwabbit is not installed: left out")
    else:
        _text(task, "train")
        found |= {"Vowpal Wabbit": wabbit(1), "Vowpal Wabbit, 5 passes": wabbit(5)}
    return {name: functools.partial(run, task) for name, run in found.items()}


def measured(task: Task) -> Iterator[Row]:
    for name, (wall, cpu, seen) in interleaved(systems(task), task.repeats).items():
        figures = {
            **seen.figures,
            "M candidate-rows / s": seen.visits / wall / 1e6,
            "M candidate-rows / CPU s": seen.visits / max(cpu, 1e-9) / 1e6,
        }
        yield Row("linear", task.name, name, wall, cpu, _quality(task, seen), figures, seen.note)


def _quality(task: Task, seen: Outcome) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    chances = np.clip(np.asarray(seen.chances(), np.float64), 1e-7, 1 - 1e-7)
    return {"AUC": roc_auc_score(task.wanted, chances), "log loss": log_loss(task.wanted, chances)}


def main() -> None:
    warnings.simplefilter("ignore")
    root, tasks = data_directory(), []
    if root is None:
        print("no data directory (TIDEMILL_BENCH_DATA): adult, bank and imdb are left out")
    else:
        tasks += [adult(root), bank(root), imdb(root)]
    rows = [row for task in [*tasks, generated()] for row in measured(task)]
    write("linear", rows)


if __name__ == "__main__":
    main()

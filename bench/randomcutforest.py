"""Random cut forest: anomalies told apart and rows scored a second, against the peers.

100 trees of 256 rows everywhere; quality is the mean of three seeds, over all rows of each set
(AUC, and average precision, AP). ``of 600``: of the same 600 rows (150 anomalies at most) for all
systems, for rrcf scores some 150 rows a second. ``NAB``: the mean over all its series that have
a labelled window, shingled 48 long.

What the work is, a row: in each of 100 trees 12 steps down, and then the boxes of the nodes that it
is outside of, some 3 to 6 for few columns and 6 to 9 for many, and of one that it is inside of. A
step is 7 instructions, a box is compared at 3 loads and 5 operations for each 8 columns, and then
some 30 instructions turn its gap into a share of the score.

=============  =================  ==========  =====================================
columns        floor, µs a row    as it is    where it goes
=============  =================  ==========  =====================================
up to 8        0.8 + 1.3          1.4 + 1.8   down + up; 20 cycles a box, 7 of them columns
10             0.8 + 2.0          1.4 + 3.2   25 cycles a box, 10 of them columns
48             0.8 + 5            1.4 + 7.6   40 cycles a box, 20 of them columns
166            0.8 + 17           1.7 + 28    110 cycles a box, 64 of them columns; 2 KB each
=============  =================  ==========  =====================================

(On one core of 3.7 GHz with others at work; the floor is at 4 instructions a cycle.) An isolation
forest has no boxes, stops at a depth of 8 and reads one column a step, whatever the width.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure import Row, data_directory, write
from tidemill.estimators import RandomCutForest

Rows = NDArray[np.float32]
Scores = NDArray[np.float64]
SEEDS = 3
TABLES = (
    "23_mammography", "32_shuttle", "25_musk", "5_campaign", "10_cover", "16_http", "28_pendigits",
    "2_annthyroid", "30_satellite", "38_thyroid", "4_breastw", "6_cardio",
)  # fmt: skip
WITH_RRCF = ("mammography", "shuttle", "musk", "nyc_taxi")
TREES, SIZE, SHINGLE = 100, 256, 48
RRCF_TREES = 40


@dataclass
class Found:
    """What the seeds of one system found on one set."""

    fit_cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    auc: list[float] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    of_some: list[float] = field(default_factory=list)
    precision_of_some: list[float] = field(default_factory=list)


def forest(seed: int) -> Any:
    return RandomCutForest(TREES, SIZE, random_state=seed)


def scaled(seed: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), forest(seed))


def isolation(seed: int) -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=TREES, max_samples=SIZE, random_state=seed, n_jobs=2)


SYSTEMS: Mapping[str, Callable[[int], Any]] = {
    "tidemill.estimators.RandomCutForest": forest,
    "StandardScaler + RandomCutForest": scaled,
    "sklearn.IsolationForest": isolation,
}


def table(name: str) -> tuple[Rows, NDArray[np.int64]]:
    folder = data_directory()
    path = folder / "adbench" / f"{name}.npz" if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError(f"no adbench/{name}.npz in TIDEMILL_BENCH_DATA")
    with np.load(path) as arrays:
        return arrays["X"].astype(np.float32), arrays["y"].astype(np.int64)


def series() -> dict[str, tuple[Rows, NDArray[np.int64]]]:
    """Every series of NAB that has a window, shingled."""
    import pandas

    folder = data_directory()
    path = folder / "nab" / "nab.parquet" if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError("no nab/nab.parquet in TIDEMILL_BENCH_DATA")
    found = {}
    frame = pandas.read_parquet(path).sort_values("timestamp")
    for name, part in frame.groupby(frame["series"].astype(str)):
        values = part["value"].to_numpy(np.float32)
        values = (values - values.mean()) / (values.std() or 1)
        labels = part["in_window"].to_numpy()[SHINGLE - 1 :].astype(np.int64)
        if 0 < labels.sum() < len(labels):
            rows = np.lib.stride_tricks.sliding_window_view(values, SHINGLE).copy()
            found[str(name)] = rows, labels
    return found


def some_of(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """600 rows: up to 150 anomalies, and others."""
    draws = np.random.default_rng(0)
    odd = draws.permutation(np.flatnonzero(labels))[:150]
    usual = draws.permutation(np.flatnonzero(labels == 0))[: 600 - len(odd)]
    return np.concatenate([odd, usual])


def compare(name: str, rows: Rows, labels: NDArray[np.int64]) -> list[Row]:
    """One set: every system in turn, a seed a round."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    some = some_of(labels)
    found = {system: Found() for system in SYSTEMS}
    for seed in range(SEEDS):
        for system, make in SYSTEMS.items():
            one = found[system]
            begun = time.process_time()
            model = make(seed).fit(rows)
            one.fit_cpu.append(time.process_time() - begun)
            begun, watched = time.process_time(), time.perf_counter()
            scores = -model.score_samples(rows)
            one.cpu.append(time.process_time() - begun)
            one.wall.append(time.perf_counter() - watched)
            one.auc.append(roc_auc_score(labels, scores))
            one.precision.append(average_precision_score(labels, scores))
            one.of_some.append(roc_auc_score(labels[some], scores[some]))
            one.precision_of_some.append(average_precision_score(labels[some], scores[some]))
    made = [
        Row(
            "randomcutforest", f"{name}, {len(rows):,} x {rows.shape[1]}", system,
            float(np.median(one.wall)), float(np.median(one.cpu)),
            {"AUC": float(np.mean(one.auc)), "AP": float(np.mean(one.precision)),
             "AUC of 600": float(np.mean(one.of_some)),
             "AP of 600": float(np.mean(one.precision_of_some))},
            {"rows/s": len(rows) / float(np.median(one.wall)),
             "rows/CPU s": len(rows) / float(np.median(one.cpu)),
             "fit CPU s": float(np.median(one.fit_cpu))},
        )
        for system, one in found.items()
    ]  # fmt: skip
    return [*made, *(peer(name, rows, labels, some) if name in WITH_RRCF else [])]


def peer(name: str, rows: Rows, labels: NDArray[np.int64], some: NDArray[np.int64]) -> list[Row]:
    """rrcf: 40 trees of 256; the collusive displacement of each row, put in and taken out again."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the old way in which it tells its version
            import rrcf
    except ImportError as missing:
        print(f"skipped: {missing}")
        return []
    draws, exact = np.random.default_rng(0), rows.astype(np.float64)
    exact += draws.normal(0, 1e-9, exact.shape)  # it takes no equal rows
    begun = time.process_time()
    trees = []
    for seed in range(RRCF_TREES):
        chosen = draws.choice(len(rows), SIZE, replace=False)
        trees.append(rrcf.RCTree(exact[chosen], index_labels=chosen, random_state=seed))
    fit_cpu = time.process_time() - begun
    begun, watched = time.process_time(), time.perf_counter()
    scores = np.array([sum(displacement(tree, exact, row) for tree in trees) for row in some])
    cpu, wall = time.process_time() - begun, time.perf_counter() - watched
    return [
        Row(
            "randomcutforest", f"{name}, {len(rows):,} x {rows.shape[1]}", "rrcf (40 trees)",
            wall, cpu,
            {"AUC of 600": roc_auc_score(labels[some], scores),
             "AP of 600": average_precision_score(labels[some], scores)},
            {"rows/s": len(some) / wall, "rows/CPU s": len(some) / cpu, "fit CPU s": fit_cpu},
            "600 rows",
        )
    ]  # fmt: skip


def displacement(tree: Any, rows: Scores, row: int) -> float:
    is_new = row not in tree.leaves
    if is_new:
        tree.insert_point(rows[row], index=row)
    found = float(tree.codisp(row))
    if is_new:
        tree.forget_point(row)
    return found


def all_series(found: Mapping[str, tuple[Rows, NDArray[np.int64]]]) -> list[Row]:
    """The mean over the series of NAB, one seed each."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    made = []
    for system, make in SYSTEMS.items():
        begun, watched, areas, precisions = time.process_time(), time.perf_counter(), [], []
        for rows, labels in found.values():
            scores = -make(0).fit(rows).score_samples(rows)
            areas.append(roc_auc_score(labels, scores))
            precisions.append(average_precision_score(labels, scores))
        made.append(
            Row(
                "randomcutforest", f"NAB, {len(found)} series", system,
                time.perf_counter() - watched, time.process_time() - begun,
                {"AUC": float(np.mean(areas)), "AP": float(np.mean(precisions))},
                note="fit and scored",
            )
        )  # fmt: skip
    return made


def one_row() -> Row:
    """How long a single row takes to be answered."""
    from tidemill.algorithms.randomcutforest.hyperparameters import RandomCutForestHyperparameters
    from tidemill.algorithms.randomcutforest.learner import RandomCutForest as Algorithm
    from tidemill.data.batch import Batch

    rows = np.random.default_rng(0).normal(size=(100_000, 10)).astype(np.float32)
    algorithm = Algorithm(RandomCutForestHyperparameters(10))
    model = algorithm.finalize(algorithm.update(algorithm.start(), Batch(rows)))
    repeats, one = 2000, Batch(rows[:1])
    model.predict(one)
    begun, watched = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        model.predict(one)
    return Row(
        "randomcutforest", "one row", "RandomCutForestModel.predict, 10 columns",
        (time.perf_counter() - watched) / repeats, (time.process_time() - begun) / repeats,
    )  # fmt: skip


def main() -> int:
    """``python -m bench.randomcutforest [SET …]``: all sets when none is named."""
    wanted, made = sys.argv[1:], []
    for name in TABLES:
        try:
            if not wanted or name.partition("_")[2] in wanted:
                made += compare(name.partition("_")[2], *table(name))
        except FileNotFoundError as missing:
            print(f"skipped: {missing}")
    try:
        found = series()
        if not wanted or "nab" in wanted:
            taxi = next(name for name in found if "nyc_taxi" in name)
            made += [*compare("nyc_taxi", *found[taxi]), *all_series(found)]
    except (ImportError, FileNotFoundError) as missing:
        print(f"skipped: {missing}")
    write("randomcutforest", [*made, one_row()])
    return 0


if __name__ == "__main__":
    sys.exit(main())

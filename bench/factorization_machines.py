"""Factorization machines: error or AUC against time, and rows per second of every pass.

Data: MovieLens-100k as ratings (users and items, the official first fold held out); the same as
clicks (each rating a click, with two random items not clicked on beside it; user, item, age,
gender, occupation, year and genre of the item, hour, weekday and week: ten one-hot fields, a random
fifth held out); adult in one-hot fields, numbers in twentieths. And, for speed where the model does
not fit the cache, 39 generated fields of a million columns.

The floor. A stored value meets 16 factors twice: 64 bytes of them are read for the score, and as
many of the row's sums for the slope; and once a mini-batch each of its features is fetched whole,
208 bytes with its moments, for 17 roots and divisions. In the cache that is about 2 + 2 ns a value
and 20 ns a feature, and listing the values by feature 2 ns more: clicks, ten values a row and one
feature for seven of them, come to 90 ns a row on one core. Out of the cache the five lines that a
feature takes come from memory, some 30 ns of them at a time.

Quality is the mean of three seeds. xLearn reads a binary copy of its text file, made before;
Vowpal Wabbit's text is parsed within its time. Their settings are the best of a few tried.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Before the peers are loaded: idle threads would otherwise spin, and xLearn dies without a user.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("USER", "bench")

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from bench.measure import CACHE, Row, data_directory, interleaved, write

ROUNDS, FACTORS = 3, 16


@dataclass(frozen=True, slots=True)
class Task:
    """A problem of one-hot fields. columns, probe: (rows, fields) of column numbers.

    xlearn: its learning rate and penalty · epochs: passes of the peers
    """

    name: str
    columns: NDArray[np.int64]
    labels: NDArray[np.float32]
    probe: NDArray[np.int64]
    wanted: NDArray[np.float32]
    width: int
    is_numbers: bool = False
    xlearn: tuple[float, float] = (0.05, 2e-5)
    epochs: int = 10


@dataclass(slots=True)
class Outcome:
    """scores: asked after the timing · visits: rows × passes"""

    scores: Callable[[], NDArray[Any]]
    visits: int
    note: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def one_hot(columns: NDArray[np.int64], width: int) -> Any:
    rows, fields = columns.shape
    ones = np.ones(columns.size, np.float32)
    return csr_matrix(
        (ones, columns.ravel(), np.arange(0, columns.size + 1, fields)), (rows, width)
    )


def numbered(fields: list[Any]) -> tuple[NDArray[np.int64], int]:
    """Column numbers of the values of each field, one field's after the other's."""
    parts, width = [], 0
    for values in fields:
        codes = np.unique(np.asarray(values), return_inverse=True)[1] + width
        parts.append(codes)
        width = int(codes.max()) + 1
    return np.stack(parts, axis=1).astype(np.int64), width


def ratings(root: Path) -> Task:
    import pandas as pd

    table = pd.read_parquet(root / "movielens_100k" / "ratings.parquet")
    columns, width = numbered([table.user, table.item])
    held = (table.fold == table.fold.min()).to_numpy()
    order = np.random.default_rng(1).permutation(np.flatnonzero(~held))
    says = table.rating.to_numpy(np.float32)
    return Task(
        "MovieLens-100k ratings", columns[order], says[order], columns[held], says[held], width,
        is_numbers=True, xlearn=(0.05, 2e-3),
    )  # fmt: skip


def clicks(root: Path) -> Task:
    import pandas as pd

    folder, draws = root / "movielens_100k", np.random.default_rng(0)
    table = pd.read_parquet(folder / "ratings.parquet")
    users = pd.read_csv(folder / "users.csv.gz").set_index("user")
    items = pd.read_csv(folder / "items.csv.gz").set_index("item")
    user, when = (np.repeat(table[c].to_numpy(), 3) for c in ("user", "ts"))
    item, labels = np.repeat(table.item.to_numpy(), 3), np.tile([1.0, 0.0, 0.0], len(table))
    item[labels == 0] = draws.choice(items.index.to_numpy(), int((labels == 0).sum()))
    who, what, time = users.loc[user], items.loc[item], pd.to_datetime(when, unit="s")
    year = what.release_date.str[-4:].fillna("")
    genre = what.iloc[:, 2:].to_numpy().argmax(axis=1)
    columns, width = numbered(
        [user, item, who.age // 5, who.gender, who.occupation, year, genre, time.hour,
         time.day_of_week, when // (7 * 86400)]
    )  # fmt: skip
    return split("MovieLens-100k clicks", columns, labels.astype(np.float32), width)


def adult(root: Path) -> Task:
    import pandas as pd

    table = pd.read_parquet(root / "adult" / "adult.parquet")
    train = table.split.str.contains("train").to_numpy()
    fields = []
    for name in table.columns.drop(["income", "split", "fnlwgt"]):
        values = table[name]
        if values.dtype.kind in "if" and values.nunique() > 20:
            values = pd.qcut(values, 20, duplicates="drop").cat.codes
        fields.append(values.astype(str))
    columns, width = numbered(fields)
    labels = table.income.str.contains(">50K").to_numpy(np.float32)
    return Task(
        "adult, one-hot", columns[train], labels[train], columns[~train], labels[~train], width,
        xlearn=(0.02, 2e-5),
    )  # fmt: skip


def generated(rows: int = 200_000, fields: int = 39, width: int = 1_000_000) -> Task:
    """Columns of a field as rare as words are; labels that weights and some pairs decide."""
    draws, each = np.random.default_rng(0), width // fields
    columns = draws.zipf(1.2, (rows, fields)) % each + np.arange(fields) * each
    linear, factors = draws.normal(size=width) * 0.3, draws.normal(size=(width, 2)) * 0.5
    scores = linear[columns].sum(axis=1)
    for a, b in itertools.pairwise(range(0, 10)):
        scores += (factors[columns[:, a]] * factors[columns[:, b]]).sum(axis=1)
    labels = (scores - scores.mean() + draws.logistic(size=rows) > 0).astype(np.float32)
    return split("generated, 39 of 1,000,000", columns, labels, width, epochs=5)


def split(name: str, columns: Any, labels: Any, width: int, **more: Any) -> Task:
    order = np.random.default_rng(0).permutation(len(labels))
    probe, train = np.split(order, [len(order) // 5])
    return Task(name, columns[train], labels[train], columns[probe], labels[probe], width, **more)


def tidemill_estimator(task: Task, seeds: Iterator[int], **more: Any) -> Outcome:
    from tidemill.estimators import FactorizationMachineClassifier, FactorizationMachineRegressor

    make = FactorizationMachineRegressor if task.is_numbers else FactorizationMachineClassifier
    more = {"epochs": task.epochs, **more} if task.epochs < 8 else more
    machine = make(FACTORS, random_state=next(seeds), **more)
    machine.fit(one_hot(task.columns, task.width), task.labels)
    probe = one_hot(task.probe, task.width)
    ask = machine.predict if task.is_numbers else machine.decision_function
    return Outcome(lambda: ask(probe), len(task.labels) * machine.n_iter_)


def tidemill_job(task: Task, seeds: Iterator[int]) -> Outcome:
    """What a training job does with Tidemill's own settings, as the documentation advises."""
    return job(
        task, seeds, epochs=min(8, task.epochs), linear_lr=0.03, factors_lr=0.03, linear_wd=None,
        factors_wd=None, use_lr_scheduler=True,
    )  # fmt: skip


def tidemill_plain_job(task: Task, seeds: Iterator[int]) -> Outcome:
    """What a training job does with settings that SageMaker has too: all rates stand still."""
    rate, penalty, epochs = (0.01, 2e-4, 6) if task.is_numbers else (0.003, 2e-5, 8)
    return job(
        task, seeds, epochs=min(epochs, task.epochs), linear_lr=rate, factors_lr=rate,
        linear_wd=penalty, factors_wd=penalty,
    )  # fmt: skip


def job(task: Task, seeds: Iterator[int], **more: Any) -> Outcome:
    from tidemill.algorithms.factorization_machines.hyperparameters import (
        FactorizationMachinesHyperparameters,
    )
    from tidemill.algorithms.factorization_machines.learner import FactorizationMachines
    from tidemill.data.batch import Batch, Csr
    from tidemill.estimators.base import InMemory
    from tidemill.training.loop import fit

    def rows(columns: NDArray[np.int64]) -> Csr:
        starts = np.arange(0, columns.size + 1, columns.shape[1])
        return Csr(starts, columns.ravel(), np.ones(columns.size, np.float32), task.width)

    given = FactorizationMachinesHyperparameters(
        feature_dim=task.width, num_factors=FACTORS, factors_init_sigma=0.05,
        predictor_type="regressor" if task.is_numbers else "binary_classifier", **more,
    )  # fmt: skip
    algorithm = FactorizationMachines(given, seed=next(seeds))
    train = InMemory(Batch(rows(task.columns), task.labels), algorithm.batch_rows)
    model = algorithm.finalize(fit(algorithm, train))
    return Outcome(
        lambda: model.raw(Batch(rows(task.probe))), len(task.labels) * given.epochs, "from memory"
    )


def xlearn(task: Task, seeds: Iterator[int]) -> Outcome:
    """Two threads that write over each other, so every run is another seed."""
    import xlearn as library

    rate, penalty = task.xlearn
    model = library.create_fm()
    model.setTrain(str(text(task, "train")))
    model.setQuiet()
    model.disableNorm()
    given = {
        "task": "reg" if task.is_numbers else "binary", "lr": rate, "lambda": penalty,
        "epoch": task.epochs, "k": FACTORS, "nthread": 2,
    }  # fmt: skip
    kept, answers = cached(task, f"xlearn-{next(seeds)}"), cached(task, "answers")
    with silence():
        model.fit(given, str(kept))

    def scores() -> NDArray[Any]:
        model.setTest(str(text(task, "probe")))
        with silence():
            model.predict(str(kept), str(answers))
        return np.loadtxt(answers)

    return Outcome(scores, len(task.labels) * task.epochs, "two threads")


def wabbit(task: Task, seeds: Iterator[int]) -> Outcome:
    """Of two fields alone: each pair more costs it as much again."""
    import vowpalwabbit

    cache, kept, answers = (cached(task, what) for what in ("cache", "model", "answers"))
    cache.unlink(missing_ok=True)
    vowpalwabbit.Workspace(
        f"--quiet -b 20 --lrq ab7 --lrqdropout --passes 8 --holdout_off --cache_file {cache} "
        f"--l2 1e-6 -l 0.1 --random_seed {next(seeds)} -d {text(task, 'vw')} -f {kept}"
    ).finish()

    def scores() -> NDArray[Any]:
        vowpalwabbit.Workspace(
            f"--quiet -t -i {kept} -d {text(task, 'vw-probe')} -p {answers}"
        ).finish()
        return np.loadtxt(answers)

    return Outcome(scores, len(task.labels) * 8, "from text")


def myfm(task: Task, seeds: Iterator[int]) -> Outcome:
    import myfm as library

    rounds = 60 if task.is_numbers else 30
    make = library.MyFMRegressor if task.is_numbers else library.MyFMClassifier
    machine = make(rank=10, random_seed=next(seeds))
    rows = one_hot(task.columns, task.width).astype(np.float64)
    labels = task.labels.astype(np.float64 if task.is_numbers else np.int64)
    machine.fit(rows, labels, n_iter=rounds)
    probe = one_hot(task.probe, task.width).astype(np.float64)
    ask = machine.predict if task.is_numbers else machine.predict_proba
    return Outcome(lambda: ask(probe), len(task.labels) * rounds, "Gibbs sampling")


def linear(task: Task, seeds: Iterator[int]) -> Outcome:
    """What there is to gain from pairs at all."""
    from sklearn.linear_model import LogisticRegression, Ridge

    rows, probe = (one_hot(c, task.width) for c in (task.columns, task.probe))
    if task.is_numbers:
        ridge = Ridge(5.0, solver="lsqr").fit(rows, task.labels)
        return Outcome(lambda: ridge.predict(probe), 0, "without pairs")
    logistic = LogisticRegression(max_iter=50, solver="liblinear").fit(rows, task.labels)
    return Outcome(lambda: logistic.decision_function(probe), 0, "without pairs")


def cached(task: Task, what: str) -> Path:
    CACHE.mkdir(exist_ok=True)
    name = task.name.replace(",", "").replace(" ", "-")
    return CACHE / f"fm-{name}-{len(task.labels)}.{what}"


def text(task: Task, what: str) -> Path:
    """The rows in a peer's own form; made once, outside of all timing."""
    path = cached(task, what)
    if path.exists():
        return path
    columns, labels = task.columns, task.labels
    if what.endswith("probe"):
        columns, labels = task.probe, task.wanted
    with path.open("w") as out:
        for row, label in zip(columns.tolist(), labels.tolist(), strict=True):
            if what.startswith("vw"):
                words = " ".join(f"|{f} {c}" for f, c in zip("ab", row, strict=True))
            else:
                words = " ".join(f"{c}:1" for c in row)
            out.write(f"{label:g} {words}\n")
    return path


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """xLearn draws a banner, quiet or not."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def systems(task: Task) -> dict[str, Callable[..., Outcome]]:
    """Tidemill, and the peers that are installed."""
    found: dict[str, Callable[..., Outcome]] = {
        "tidemill estimator": tidemill_estimator,
        "tidemill job": tidemill_job,
        "tidemill job, SageMaker's settings": tidemill_plain_job,
    }
    for name, module, run in (
        ("xLearn", "xlearn", xlearn),
        ("Vowpal Wabbit --lrq", "vowpalwabbit", wabbit),
        ("myfm", "myfm", myfm),
        ("scikit-learn, linear", "sklearn", linear),
    ):
        is_slow = run is wabbit and not task.is_numbers
        if is_slow or (task.epochs < 8 and run is not xlearn):  # the latter are for speed alone
            continue
        try:
            __import__(module)
        except ImportError:
            print(f"{module} is not installed: left out")
        else:
            found[name] = run
    return found


def measured(task: Task) -> Iterator[Row]:
    entrants = systems(task)
    if "xLearn" in entrants:
        text(task, "train"), text(task, "probe")
    if "Vowpal Wabbit --lrq" in entrants:
        text(task, "vw"), text(task, "vw-probe")
    seeds = {name: itertools.count() for name in entrants}
    qualities: dict[str, list[float]] = {name: [] for name in entrants}

    def once(name: str) -> Outcome:
        seen = entrants[name](task, seeds[name])
        kept.append((name, seen))
        return seen

    kept: list[tuple[str, Outcome]] = []
    runs = {name: functools.partial(once, name) for name in entrants}
    timed = interleaved(runs, ROUNDS, warm_up=True)
    for name, seen in kept[len(entrants) :]:
        qualities[name].append(quality(task, seen))
    for name, (wall, cpu, seen) in timed.items():
        figures = {"M rows / CPU s": seen.visits / max(cpu, 1e-9) / 1e6} if seen.visits else {}
        yield Row(
            "factorization-machines", task.name, name, wall, cpu,
            {"RMSE" if task.is_numbers else "AUC": float(np.mean(qualities[name]))},
            {**figures, "spread": float(np.ptp(qualities[name]))}, seen.note,
        )  # fmt: skip


def quality(task: Task, seen: Outcome) -> float:
    from sklearn.metrics import roc_auc_score

    scores = seen.scores()
    if not task.is_numbers:
        return float(roc_auc_score(task.wanted, scores))
    bounded = np.clip(scores, task.labels.min(), task.labels.max())
    return float(np.sqrt(np.mean((bounded - task.wanted) ** 2)))


def main() -> None:
    root, tasks = data_directory(), []
    if root is None:
        print("no data directory (TIDEMILL_BENCH_DATA): MovieLens and adult are left out")
    else:
        tasks += [ratings(root), clicks(root), adult(root)]
    rows = [row for task in [*tasks, generated()] for row in measured(task)]
    write("factorization_machines", rows)


if __name__ == "__main__":
    main()

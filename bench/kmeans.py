"""k-means: inertia per row against time, on MNIST and on a million rows of a mixture.

Floors, at 256 Gflop/s of float32 on two cores and 45 GB/s of memory. A pass assigns every row once:
2 x rows x columns x k flops and one read of the rows.

=====================  ========  =========  ==========================================
data                   Gflop     a pass     also, per pass on two cores (measured)
=====================  ========  =========  ==========================================
MNIST, k = 100         9.4       37 ms      188 MB: 4 ms; argmax 1 ms; sums by label 4 ms
MNIST, k = 10          0.9       4 ms       188 MB: 4 ms; narrow products reach half speed
1M x 32, k = 100       6.4       25 ms      128 MB: 3 ms; argmax 13 ms; sums by label 6 ms
=====================  ========  =========  ==========================================

Lloyd's usual 20 passes are 0.74 s and 0.5 s. Good seeds on a sample, growing samples and steps that
overshoot bring that down to some four passes, and one more for the labels.

Every round of a system has another seed; inertia is the mean of the rounds. ``to 1% s``: the time
of the quickest setting of the system (fewer iterations, looser tolerance) that comes within 1% of
the best of scikit-learn's three runs; empty when none does.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Before the peers are loaded: their threads would otherwise spin, and starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numpy.typing import NDArray

from bench.measure import Row, data_directory, interleaved, write
from tidemill.algorithms.kmeans.hyperparameters import KMeansHyperparameters
from tidemill.algorithms.kmeans.learner import KMeans as Algorithm
from tidemill.data.batch import Batch
from tidemill.estimators.base import InMemory, one_blas_thread
from tidemill.estimators.kmeans import KMeans
from tidemill.training.loop import fit

Rows = NDArray[np.float32]
Fit = Callable[[Rows, int, int], Rows]
"""(rows, k, seed) → centres."""
ROUNDS = 3
REFERENCE = "sklearn.KMeans(lloyd, 20)"


@dataclass
class System:
    """What is timed; ``quicker``: settings with less effort, least first."""

    run: Fit
    quicker: Sequence[Fit] = ()
    inertias: list[float] = field(default_factory=list)


def tidemill(tol: float = 5e-4) -> Fit:
    return lambda rows, k, seed: KMeans(k, tol=tol, random_state=seed).fit(rows).cluster_centers_


def stream(rows: Rows, k: int, seed: int) -> Rows:
    """What a training job does with its default hyperparameters: one pass, ten times k centres."""
    algorithm = Algorithm(KMeansHyperparameters(feature_dim=rows.shape[1], k=k), seed=seed)
    state = fit(algorithm, InMemory(Batch(rows), algorithm.batch_rows))
    return algorithm.finalize(state).centres


def lloyd(iterations: int) -> Fit:
    from sklearn.cluster import KMeans as Peer

    def run(rows: Rows, k: int, seed: int) -> Rows:
        peer = Peer(k, n_init=1, max_iter=iterations, random_state=seed)
        return peer.fit(rows).cluster_centers_  # type: ignore[no-any-return]

    return _quiet(run)


def mini_batch(passes: int) -> Fit:
    from sklearn.cluster import MiniBatchKMeans

    def run(rows: Rows, k: int, seed: int) -> Rows:
        peer = MiniBatchKMeans(k, n_init=1, batch_size=4096, max_iter=passes, random_state=seed)
        return peer.fit(rows).cluster_centers_  # type: ignore[no-any-return]

    return _quiet(run)


def faiss(iterations: int, points: int) -> Fit:
    """points: rows per centre that it samples at most."""
    import faiss as library

    def run(rows: Rows, k: int, seed: int) -> Rows:
        peer = library.Kmeans(
            rows.shape[1], k, niter=iterations, seed=seed, max_points_per_centroid=points
        )
        peer.train(rows)
        return peer.centroids  # type: ignore[no-any-return]

    return run


def _quiet(run: Fit) -> Fit:
    import warnings

    def quietly(rows: Rows, k: int, seed: int) -> Rows:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of iterations that ended before they converged
            return run(rows, k, seed)

    return quietly


def systems() -> dict[str, System]:
    """Tidemill, and the peers that are installed."""
    found = {
        "tidemill.estimators.KMeans": System(tidemill(), [tidemill(t) for t in (1.0, 1e-2, 2e-3)]),
        "tidemill stream (job defaults)": System(stream),
    }
    try:
        found[REFERENCE] = System(lloyd(20), [lloyd(n) for n in (2, 5, 10)])
        found["sklearn.MiniBatchKMeans"] = System(mini_batch(10), [mini_batch(n) for n in (1, 3)])
    except ImportError as missing:
        print(f"skipped: {missing}")
    try:
        every = 10**9
        found["faiss.Kmeans"] = System(faiss(20, every), [faiss(n, every) for n in (2, 5, 10)])
        found["faiss.Kmeans(256 a centre)"] = System(faiss(20, 256))
    except ImportError as missing:
        print(f"skipped: {missing}")
    return found


def mnist() -> Rows:
    folder = data_directory()
    path = folder / "mnist" / "mnist.npz" if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError("no mnist/mnist.npz in TIDEMILL_BENCH_DATA")
    with np.load(path) as arrays:
        return arrays["x_train"].reshape(60_000, 784).astype(np.float32) / np.float32(255)


def mixture() -> Rows:
    """100 Gaussian clusters in 32 dimensions: 0.25 x 32 = 8 is the inertia of the true centres."""
    draws = np.random.default_rng(0)
    centres = draws.normal(size=(100, 32)).astype(np.float32)
    labels = draws.integers(0, 100, 1_000_000)
    noise = draws.standard_normal((1_000_000, 32), dtype=np.float32)
    noise *= np.float32(0.5)
    noise += centres[labels]
    return noise


def inertia(rows: Rows, centres: Rows) -> float:
    total, squares = 0.0, (centres * centres).sum(axis=1)
    for block in np.array_split(rows, max(1, len(rows) // 20_000)):
        gaps = (block * block).sum(axis=1)[:, None] - 2 * block @ centres.T + squares
        total += float(np.maximum(gaps.min(axis=1), 0).sum(dtype=np.float64))
    return total / len(rows)


def compare(name: str, rows: Rows, k: int) -> list[Row]:
    """One table: every system in turn, a seed a round, then how soon each comes within 1%."""
    entrants = systems()
    seeds = {system: itertools.count() for system in entrants}

    def once(system: str) -> Callable[[], Rows]:
        return lambda: entrants[system].run(rows, k, next(seeds[system]))

    def judged(system: str) -> Callable[[], Rows]:
        run = once(system)

        def run_and_keep() -> Rows:
            centres = run()
            kept[system].append(centres)
            return centres

        return run_and_keep

    kept: Mapping[str, list[Rows]] = {system: [] for system in entrants}
    timed = interleaved({system: judged(system) for system in entrants}, ROUNDS)
    for system, found in kept.items():
        entrants[system].inertias = [inertia(rows, centres) for centres in found]
    known = entrants.get(REFERENCE)
    bound = 1.01 * min(known.inertias) if known else None
    return [
        Row(
            "kmeans",
            name,
            system,
            wall,
            cpu,
            {"inertia/row": float(np.mean(entrants[system].inertias))},
            {"worst": max(entrants[system].inertias)}
            | ({"to 1% s": soonest(entrants[system], rows, k, bound, wall)} if bound else {}),
        )
        for system, (wall, cpu, _) in timed.items()
    ]


def soonest(system: System, rows: Rows, k: int, bound: float, wall: float) -> float | None:
    """Seconds of the first setting that reaches the bound; ``wall`` are those of the last."""
    for quick in system.quicker:
        started = time.perf_counter()
        centres = quick(rows, k, 0)
        took = time.perf_counter() - started
        if inertia(rows, centres) <= bound:
            return took
    return wall if float(np.mean(system.inertias)) <= bound else None


def one_row(rows: Rows, k: int) -> Row:
    """How long a single row takes to be answered."""
    model = Algorithm(KMeansHyperparameters(feature_dim=rows.shape[1], k=k)).finalize
    state = KMeans(k, random_state=0, tol=1.0).fit(rows[:5000]).state_
    predict, batch = model(state).predict, Batch(rows[:1])
    repeats = 2000
    with one_blas_thread():
        times = interleaved({"": lambda: [predict(batch) for _ in range(repeats)]}, ROUNDS)
    wall, cpu, _ = times[""]
    return Row(
        "kmeans", "one row", f"KMeansModel.predict, k={k}, {rows.shape[1]} columns",
        wall / repeats, cpu / repeats,
    )  # fmt: skip


def main() -> int:
    """``python -m bench.kmeans [mnist10] [mnist100] [mixture]``: all three when none is named."""
    wanted = sys.argv[1:] or ["mnist10", "mnist100", "mixture"]
    table: list[Row] = []
    try:
        images = mnist()
        if "mnist10" in wanted:
            table += compare("MNIST, k=10", images, 10)
        if "mnist100" in wanted:
            table += [*compare("MNIST, k=100", images, 100), one_row(images, 100)]
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
    if "mixture" in wanted:
        table += compare("1M x 32 mixture, k=100", mixture(), 100)
    write("kmeans", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

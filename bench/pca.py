"""Principal components: variance told against time and memory, dense and sparse.

Floors, at 256 Gflop/s of float32 on two cores and 45 GB/s of memory. The products of every two
columns are rows x columns² flops, for the table is symmetric; then the strongest of its axes.

======================  =====  ==========  =========================================================
data                    k      products    also
======================  =====  ==========  =========================================================
MNIST, 60,000 x 784     50     37 GF, 144  axes of the table 40 ms on one core; one read 4 ms
1M x 100                10     10 GF, 39   products this narrow reach a half of the speed; read 9 ms
20,000 x 4,096          50     335 GF,     a sketch of 100 directions: 6 x rows x columns x 120 =
                               1300 ms     59 GF, 230 ms
IMDB, 50,000 x 20,000,  100    20 G        a sketch of 200 directions: 6 x entries x 240 = 9 GF, and
6.4M entries                   updates     factors of tall matrices
======================  =====  ==========  =========================================================

``variance told``: share of the centred rows' squares that lies in the span of the components, by a
pass over all rows after the clock has stopped. ``peak MB``: most memory of arrays beyond the data,
by tracemalloc, in a run of its own; it does not see those of faiss.
"""

from __future__ import annotations

import functools
import os
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

# Before the peers are loaded: their threads would otherwise spin, and starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numpy.typing import NDArray

from bench.measure import Row, data_directory, interleaved, write
from tidemill.algorithms.pca.hyperparameters import PcaHyperparameters
from tidemill.algorithms.pca.learner import Pca
from tidemill.data.batch import Batch
from tidemill.estimators.base import InMemory, side_by_side
from tidemill.estimators.pca import PCA
from tidemill.training.loop import fit

Axes = NDArray[Any]
Fit = Callable[[Any, int], Axes]
"""(rows, components) → (components, columns)."""
ROUNDS = 3
SLOW = ("sklearn.IncrementalPCA",)
_BLOCK = 20_000


def tidemill(**more: Any) -> Fit:
    return lambda rows, k: PCA(k, random_state=0, **more).fit(rows).components_


def stream(rows: Any, k: int) -> Axes:
    """What a training job does: batches in turn, and its model."""
    with side_by_side(1e12) as each:
        given = PcaHyperparameters(num_components=k, feature_dim=rows.shape[1])
        algorithm = Pca(given, each=each)
        state = fit(algorithm, InMemory(Batch(rows), algorithm.batch_rows))
        return algorithm.finalize(state).v.T


def sklearn(**more: Any) -> Fit:
    from sklearn.decomposition import PCA as Peer

    return lambda rows, k: Peer(k, random_state=0, **more).fit(rows).components_


def incremental(rows: Any, k: int) -> Axes:
    from sklearn.decomposition import IncrementalPCA

    return IncrementalPCA(k, batch_size=10_000).fit(rows).components_  # type: ignore[no-any-return]


def truncated(rows: Any, k: int) -> Axes:
    from sklearn.decomposition import TruncatedSVD

    return TruncatedSVD(k, random_state=0).fit(rows).components_  # type: ignore[no-any-return]


def faiss(rows: Any, k: int) -> Axes:
    import faiss as library

    peer = library.PCAMatrix(rows.shape[1], k)
    peer.train(rows)
    return library.vector_to_array(peer.A).reshape(k, -1)  # type: ignore[no-any-return]


def signs(rows: Any, k: int) -> Axes:
    """As SageMaker documents its randomized mode: rows added up with random signs, 2 k times."""
    draws = np.random.default_rng(0)
    sums = np.zeros((2 * k, rows.shape[1]))
    weights = np.zeros(2 * k)
    for at in range(0, len(rows), _BLOCK):
        part = rows[at : at + _BLOCK]
        drawn = draws.integers(0, 2, (2 * k, len(part)), np.int8).astype(np.float32) * 2 - 1
        sums += drawn @ part
        weights += drawn.sum(axis=1)
    sums -= np.outer(weights, rows.mean(axis=0, dtype=np.float64))
    return np.linalg.svd(sums.astype(np.float32), full_matrices=False)[2][:k]


def systems(kind: str) -> dict[str, Fit]:
    """Tidemill, and the peers that are installed. kind: narrow, wide or sparse"""
    found: dict[str, Fit] = {}
    if kind != "sparse":
        found |= {"tidemill.estimators.PCA": tidemill()}
        found |= {"random signs, as SageMaker's randomized": signs}
    if kind == "narrow":
        found |= {"tidemill stream (job)": stream}
    else:
        found |= {"tidemill PCA(randomized)": tidemill(algorithm_mode="randomized")}
    try:
        import sklearn as _

        if kind == "sparse":
            found |= {"sklearn.PCA(arpack)": sklearn(svd_solver="arpack")}
            found |= {"sklearn.TruncatedSVD, not centred": truncated}
        else:
            found |= {"sklearn.PCA(covariance_eigh)": sklearn(svd_solver="covariance_eigh")}
            found |= {"sklearn.PCA(randomized)": sklearn(svd_solver="randomized")}
            found |= {"sklearn.IncrementalPCA": incremental}
    except ImportError as missing:
        print(f"skipped: {missing}")
    try:
        import faiss as _  # noqa: F401

        if kind == "narrow":
            found |= {"faiss.PCAMatrix": faiss}
    except ImportError as missing:
        print(f"skipped: {missing}")
    return found


def mnist() -> Axes:
    with np.load(_path("mnist/mnist.npz")) as arrays:
        return arrays["x_train"].reshape(60_000, 784).astype(np.float32) / np.float32(255)


def low_rank(rows: int, columns: int, rank: int) -> Axes:
    """Falling strengths along random axes, with noise and a mean."""
    draws = np.random.default_rng(0)
    shades = draws.standard_normal((rows, rank), dtype=np.float32)
    shades *= np.arange(1, rank + 1, dtype=np.float32) ** np.float32(-0.7)
    made = shades @ draws.standard_normal((rank, columns), dtype=np.float32)
    made += np.float32(0.3) * draws.standard_normal(made.shape, dtype=np.float32)
    made += draws.standard_normal(columns, dtype=np.float32)
    return made


def imdb() -> Any:
    """Tf-idf of the 20,000 commonest words, as float32 CSR."""
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = pd.read_parquet(_path("imdb/imdb.parquet"))["text"]
    return TfidfVectorizer(max_features=20_000, dtype=np.float32).fit_transform(texts)


def _path(name: str) -> str:
    folder = data_directory()
    path = folder / name if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError(f"no {name} in TIDEMILL_BENCH_DATA")
    return str(path)


def told(rows: Any, axes: Axes) -> float:
    """Share of the centred rows' squares within the span of the axes."""
    basis = np.linalg.qr(np.asarray(axes, np.float64).T)[0].astype(np.float32)
    mean = np.asarray(rows.mean(axis=0), np.float64).ravel()
    inside = all_ = 0.0
    for at in range(0, rows.shape[0], _BLOCK):
        part = rows[at : at + _BLOCK]
        flat = part.data if hasattr(part, "indptr") else part.ravel()
        all_ += float(flat.astype(np.float64) @ flat)
        inside += float((np.asarray(part @ basis - mean @ basis) ** 2).sum(dtype=np.float64))
    return inside / (all_ - rows.shape[0] * float(mean @ mean))


def peak(run: Callable[[], Any]) -> float:
    """Megabytes of arrays beyond the data, at most."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def compare(name: str, rows: Any, k: int, kind: str, rounds: int = ROUNDS) -> list[Row]:
    """One table: every system in turn."""
    entrants: dict[str, Callable[[], Axes]] = {
        system: functools.partial(run, rows, k) for system, run in systems(kind).items()
    }
    slow = {system: entrants.pop(system) for system in SLOW if system in entrants}
    timed = interleaved(entrants, rounds) | interleaved(slow, 1)
    return [
        Row(
            "pca", name, system, wall, cpu,
            {"variance told": told(rows, axes)},
            {"peak MB": None if system in slow else peak(entrants[system])},
            "one run" if system in slow else "",
        )
        for system, (wall, cpu, axes) in timed.items()
    ]  # fmt: skip


def main() -> int:
    """``python -m bench.pca [mnist] [narrow] [wide] [imdb]``: all four when none is named."""
    wanted = sys.argv[1:] or ["mnist", "narrow", "wide", "imdb"]
    table: list[Row] = []
    try:
        if "mnist" in wanted:
            table += compare("MNIST, 50 components", mnist(), 50, "narrow")
        if "imdb" in wanted:
            table += compare("IMDB, 20,000 words, 100 components", imdb(), 100, "sparse", 1)
    except (FileNotFoundError, ImportError) as missing:
        print(f"skipped: {missing}")
    if "narrow" in wanted:
        rows = low_rank(1_000_000, 100, 30)
        table += compare("generated 1M x 100, 10 components", rows, 10, "narrow")
    if "wide" in wanted:
        rows = low_rank(20_000, 4096, 400)
        table += compare("generated 20,000 x 4,096, 50 components", rows, 50, "wide", 1)
    write("pca", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""k-nearest neighbours: queries a second against recall, on digits of 784 columns and rows of 10.

Floors, on two cores of 3.66 GHz: 256 Gflop/s of float32, 470 G products of bytes a second (AVX-512
VNNI), 45 GB/s of memory.

=====================  ===============  =====================================================
data                   of every column  of what Tidemill does instead
=====================  ===============  =====================================================
MNIST, 60,000 x 784    94 Mflop a       bytes of 128 directions: 7.7 M products, 16 us; some 80
                       query: 370 us,   rows measured in full, 3 KB each from anywhere in memory:
                       2,700 q/s        250 KB, 6 us at the most that memory gives, on each core
cover, 284,048 x 10    5.7 Mflop: 22    cells of some 500 rows, of which a few are near enough:
                       us, 45,000 q/s   distances to 554 centres and 10,000 rows, 1 us
=====================  ===============  =====================================================

Every system answers all queries in turn, three rounds; ``build s``: to be ready, once.
Recall is of the 10 nearest, by distance, so that equals may come in any order.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Before the peers are loaded: their threads would otherwise spin, and starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numpy.typing import NDArray

from bench.measure import Row, data_directory, interleaved, write
from tidemill.algorithms.knn.model import KnnModel
from tidemill.data.batch import Batch
from tidemill.estimators.base import one_blas_thread, side_by_side
from tidemill.estimators.knn import KNeighborsClassifier

Rows = NDArray[Any]
Ask = Callable[[Rows], tuple[Rows, Rows]]
"""queries → (squared distances, rows)"""
K = 10


@dataclass
class System:
    """queries: how many it is asked, where all would take too long"""

    ask: Ask
    build_s: float
    queries: int | None = None


def built(make: Callable[[], Ask], queries: int | None = None) -> System:
    started = time.perf_counter()
    ask = make()
    return System(ask, time.perf_counter() - started, queries)


def tidemill(rows: Rows, labels: Rows, **given: Any) -> Ask:
    near = KNeighborsClassifier(K, random_state=0, **given).fit(rows, labels)
    with side_by_side(1e12) as each:
        near.model_.ready(each)

    def ask(queries: Rows) -> tuple[Rows, Rows]:
        distances, found = near.kneighbors(queries)
        return distances**2, found

    return ask


def scikit_learn(rows: Rows, algorithm: str) -> Ask:
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=K, algorithm=algorithm, n_jobs=-1).fit(rows)

    def ask(queries: Rows) -> tuple[Rows, Rows]:
        distances, found = near.kneighbors(queries)
        return distances**2, found

    return ask


def faiss(rows: Rows, kind: str) -> Ask:
    """kind: as faiss's index_factory takes it, with ``@`` and what to set of the search."""
    import faiss as library

    name, _, setting = kind.partition("@")
    index = library.index_factory(rows.shape[1], name)
    if name.startswith("HNSW"):
        index.hnsw.efConstruction = 40
    index.train(rows)
    index.add(rows)
    if setting:
        library.ParameterSpace().set_index_parameters(index, setting)
    return lambda queries: index.search(queries, K)


def mnist() -> tuple[Rows, Rows, Rows, Rows]:
    with np.load(_path("mnist/mnist.npz")) as arrays:
        rows, asked = (
            arrays[f"x_{part}"].reshape(-1, 784).astype(np.float32) / np.float32(255)
            for part in ("train", "test")
        )
        return rows, arrays["y_train"], asked[:5000], arrays["y_test"][:5000]


def cover() -> tuple[Rows, Rows, Rows, Rows]:
    """Rows of forest cover, in the order of a fixed shuffle; the last 10,000 are the queries."""
    with np.load(_path("adbench/10_cover.npz")) as arrays:
        order = np.random.default_rng(0).permutation(len(arrays["X"]))
        rows, labels = arrays["X"][order].astype(np.float32), arrays["y"][order].astype(int)
    return rows[:-10_000].copy(), labels[:-10_000], rows[-10_000:].copy(), labels[-10_000:]


def _path(name: str) -> Any:
    folder = data_directory()
    path = folder / name if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError(f"no {name} in TIDEMILL_BENCH_DATA")
    return path


def recall(rows: Rows, asked: Rows, found: Rows, limits: Rows) -> float:
    """The share of rows found that are no further away than the 10th nearest is, to rounding."""
    near = 0
    for query, limit, own in zip(asked, limits, found, strict=False):
        gaps = rows[own[own >= 0]].astype(np.float64) - query
        near += int(((gaps * gaps).sum(axis=1) <= limit * (1 + 1e-5) + 1e-6).sum())
    return near / found.size


def accuracy(found: Rows, labels: Rows, truth: Rows) -> float:
    votes = [np.bincount(labels[row[row >= 0]]).argmax() for row in found]
    return float(np.mean(votes == truth[: len(votes)]))


def compare(name: str, data: tuple[Rows, Rows, Rows, Rows], entrants: Mapping[str, System]) -> Any:
    """One table: every system in turn; the first one is exact."""
    rows, labels, asked, truth = data
    timed = interleaved({n: lambda s=s: s.ask(asked[: s.queries]) for n, s in entrants.items()})
    exact = next(iter(timed.values()))[2][0]
    limits = np.asarray(exact)[:, -1].astype(np.float64)
    for system, (wall, cpu, (_, found)) in timed.items():
        found, count = np.asarray(found), len(found)
        yield Row(
            "knn", name, system, wall, cpu,
            {
                "recall@10": recall(rows, asked, found, limits),
                "accuracy": accuracy(found, labels, truth),
            },
            {
                "q/s": count / wall, "q/CPU s": count / cpu, "queries": count,
                "build s": entrants[system].build_s,
            },
        )  # fmt: skip


def systems(rows: Rows, labels: Rows, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    """ours: name → parameters · theirs: name → what makes it, and how many queries it is asked"""
    found = {name: built(lambda g=g: tidemill(rows, labels, **g)) for name, g in ours.items()}
    for name, (make, queries) in theirs.items():
        try:
            found[name] = built(lambda m=make: m(rows), queries)
        except ImportError as missing:
            print(f"skipped: {missing}")
    return found


def of(make: Callable[..., Ask], kind: str, queries: int | None = None) -> Any:
    return lambda rows: make(rows, kind), queries


def on_mnist() -> list[Row]:
    data = mnist()
    exact = systems(
        *data[:2],
        {"tidemill, exact": {}},
        {
            "faiss Flat": of(faiss, "Flat", 1000),
            "scikit-learn brute": of(scikit_learn, "brute", 1000),
            "scikit-learn kd_tree": of(scikit_learn, "kd_tree", 50),
        },
    )
    near = systems(
        *data[:2],
        {
            f"tidemill IVFFlat 256, nprobe {n}": {"index": "IVFFlat", "n_lists": 256, "n_probe": n}
            for n in (8, 16)
        }
        | {"tidemill HNSW 16, ef 32": {"index": "HNSW"}}
        | {
            "tidemill IVFPQ 256 x 56, nprobe 8": {
                "index": "IVFPQ", "n_lists": 256, "n_probe": 8, "pq_m": 56,
            }
        },
        {
            **{
                f"faiss IVFFlat 256, nprobe {n}": of(faiss, f"IVF256,Flat@nprobe={n}")
                for n in (8, 16)
            },
            "faiss HNSW 16, ef 32": of(faiss, "HNSW16@efSearch=32"),
            "faiss IVFPQ 256 x 56, nprobe 8": of(faiss, "IVF256,PQ56@nprobe=8"),
        },
    )  # fmt: skip
    table = list(compare("MNIST, 60,000 x 784, k=10", data, {**exact, **near}))
    return [*table, *one_row("MNIST", data)]


def on_cover() -> list[Row]:
    data = cover()
    entrants = systems(
        *data[:2],
        {"tidemill, exact": {}},
        {
            "faiss Flat": of(faiss, "Flat", 1000),
            "scikit-learn kd_tree": of(scikit_learn, "kd_tree"),
            "scikit-learn brute": of(scikit_learn, "brute", 1000),
        },
    )
    return [*compare("cover, 276,048 x 10, k=10", data, entrants), *one_row("cover", data)]


def one_row(name: str, data: tuple[Rows, Rows, Rows, Rows]) -> list[Row]:
    """What a single row takes, on one core: as an endpoint is asked."""
    rows, labels, asked, _ = data
    near = KNeighborsClassifier(K).fit(rows, labels)
    model: KnnModel = near.model_
    model.ready()
    entrants: dict[str, Callable[[Rows], Any]] = {
        "KnnModel.predict": lambda row: model.predict(Batch(row))
    }
    try:
        import faiss as library

        library.omp_set_num_threads(1)
        flat = faiss(rows, "Flat")
        entrants["faiss Flat, search"] = flat
        graph = faiss(rows[:20_000], "HNSW16@efSearch=32")
        entrants["faiss HNSW of 20,000 rows, search"] = graph
    except ImportError as missing:
        print(f"skipped: {missing}")
    repeats = 200
    with one_blas_thread():
        timed = interleaved(
            {
                n: lambda f=f: [f(asked[i : i + 1]) for i in range(repeats)]
                for n, f in entrants.items()
            }
        )
    return [
        Row("knn", f"one row, {name}", n, wall / repeats, cpu / repeats)
        for n, (wall, cpu, _) in timed.items()
    ]


def main() -> int:
    """``python -m bench.knn [mnist] [cover]``: both when none is named."""
    wanted = sys.argv[1:] or ["mnist", "cover"]
    table: list[Row] = []
    for name, run in (("mnist", on_mnist), ("cover", on_cover)):
        if name in wanted:
            try:
                table += run()
            except FileNotFoundError as missing:
                print(f"skipped: {missing}")
    write("knn", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

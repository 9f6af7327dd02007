"""lda: how well topics of 20 newsgroups explain words held out, how coherent they are, how soon.

11,311 documents, 5,000 words, 752 thousand stored counts. Perplexity is that of document
completion, computed the same way for all: half of each test document's words tell its mixture (30
steps of expectation maximisation under a prior of 0.1), the other half are judged. NPMI is of the
ten likeliest words of every topic, by their coming together in training documents. Both are means
of the seeds. ``docs / CPU s``: documents once, by the CPU time of the whole training, whatever its
passes.

What the work is, of 20 topics on a core at 3 GHz:

=================================  ===========================================================
a pass of moments, 50 columns      752k counts x 50 x 2 float32 and 4 float64 multiply-adds, and
                                   11k documents x 50³ / 3 of them: 1.1 Gflop, 20 ms
a pass of refinement               752k counts x 20 topics x some 10 steps x 2 multiply-adds: 0.6
                                   Gflop, 10 ms; sorting the counts by word, 5 ms
whitening and least squares        100 starts' steps and as many more x 325 x 25 x 25 x 2: 0.1 Gflop
=================================  ===========================================================

so that two passes of moments and three of refinement take some 0.1 s where all is as quick as that.
"""

from __future__ import annotations

import itertools
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Before the peers are loaded: their threads would otherwise spin, and starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bench.measure import CACHE, Row, data_directory, interleaved, write
from tidemill.estimators.lda import LatentDirichletAllocation

Topics = NDArray[np.float64]
Rows = Any
SEEDS = 3
PASSES = 5
TEST_DOCUMENTS = 1500


@dataclass(frozen=True)
class System:
    """passes: of training over the documents · fit: (rows, topics, seed) → fitted
    topics: fitted → (topics, words) · mix: mixtures of rows, by the fitted
    """

    passes: int
    fit: Callable[[Rows, int, int], Any]
    topics: Callable[[Any], Topics]
    mix: Callable[[Any, Rows], Any]


def tidemill(epochs: int) -> System:
    def fit(rows: Rows, topics: int, seed: int) -> Any:
        return LatentDirichletAllocation(topics, max_iter=epochs, random_state=seed).fit(rows)

    return System(2 + epochs, fit, lambda m: m.components_, lambda m, rows: m.transform(rows))


def scikit_learn(method: str) -> System:
    from sklearn.decomposition import LatentDirichletAllocation as Peer

    def fit(rows: Rows, topics: int, seed: int) -> Any:
        peer = Peer(
            topics, learning_method=method, batch_size=512, max_iter=PASSES, random_state=seed
        )
        return peer.fit(rows)

    return System(PASSES, fit, lambda m: m.components_, lambda m, rows: m.transform(rows))


def gensim() -> System:
    from gensim.models import LdaMulticore

    def fit(rows: Rows, topics: int, seed: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return LdaMulticore(
                _bags(rows), num_topics=topics, id2word={i: str(i) for i in range(rows.shape[1])},
                passes=PASSES, chunksize=512, random_state=seed, workers=2, eval_every=None,
            )  # fmt: skip

    return System(PASSES, fit, lambda m: m.get_topics(), lambda m, rows: m.inference(_bags(rows)))


def _bags(rows: Rows) -> list[list[tuple[int, int]]]:
    bounds = itertools.pairwise(rows.indptr.tolist())
    return [
        list(zip(rows.indices[a:b].tolist(), rows.data[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


def systems() -> dict[str, System]:
    """Tidemill, and the peers that are installed."""
    found = {
        "tidemill.estimators.LatentDirichletAllocation": tidemill(3),
        "the same, one epoch": tidemill(1),
        "the same, plain spectral": tidemill(0),
    }
    makers: dict[str, Callable[[], System]] = {
        f"sklearn online, {PASSES} passes": lambda: scikit_learn("online"),
        f"sklearn batch, {PASSES} passes": lambda: scikit_learn("batch"),
        f"gensim.LdaMulticore, {PASSES} passes": gensim,
    }
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as missing:
            print(f"skipped: {missing}")
    return found


def newsgroups() -> tuple[Rows, Rows]:
    """Counts of training and test documents; kept in the cache once made."""
    kept = [CACHE / f"newsgroups_{part}.npz" for part in ("train", "test")]
    if not all(path.exists() for path in kept):
        CACHE.mkdir(exist_ok=True)
        for path, rows in zip(kept, _counted(), strict=True):
            sparse.save_npz(path, rows)
    train, test = (sparse.load_npz(path) for path in kept)
    return train, test


def _counted() -> tuple[Rows, Rows]:
    import pyarrow.parquet
    from sklearn.feature_extraction.text import CountVectorizer

    folder = data_directory()
    path = folder / "newsgroups20" / "20news_bydate.parquet" if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError("no newsgroups20/20news_bydate.parquet in TIDEMILL_BENCH_DATA")
    table = pyarrow.parquet.read_table(path).to_pydict()
    parts = [
        [text for text, split in zip(table["text"], table["split"], strict=True) if split == part]
        for part in ("train", "test")
    ]
    counter = CountVectorizer(
        max_features=5000, min_df=5, max_df=0.4, stop_words="english",
        token_pattern=r"[a-zA-Z]{3,}",
    )  # fmt: skip
    train, test = counter.fit_transform(parts[0]), counter.transform(parts[1])
    lengths = [np.asarray(rows.sum(axis=1)).ravel() for rows in (train, test)]
    return train[lengths[0] > 5].tocsr(), test[lengths[1] > 20].tocsr()


def perplexity(topics: Topics, test: Rows) -> float:
    """By document completion, of the first ``TEST_DOCUMENTS``."""
    chances = _scaled(topics)
    draws, fit, words = np.random.default_rng(0), 0.0, 0
    for row in test[:TEST_DOCUMENTS]:
        document = np.repeat(row.indices, row.data)
        draws.shuffle(document)
        seen, judged = np.split(document, [len(document) // 2])
        given, mixture = chances[:, seen], np.full(len(chances), 1 / len(chances))
        for _ in range(30):
            told = given * mixture[:, None]
            mixture = (told / told.sum(axis=0)).sum(axis=1) + 0.1
            mixture /= mixture.sum()
        fit += float(np.log(mixture @ chances[:, judged]).sum())
        words += len(judged)
    return float(np.exp(-fit / words))


def coherence(topics: Topics, train: Rows) -> float:
    """Normalised pointwise mutual information of each topic's ten likeliest words, on average."""
    there = (train > 0).astype(np.float64).tocsc()
    documents, found = train.shape[0], []
    often = np.asarray(there.sum(axis=0)).ravel()
    upper = np.triu_indices(10, 1)
    for topic in _scaled(topics):
        best = topic.argsort()[::-1][:10]
        joint = ((there[:, best].T @ there[:, best]).toarray() + 1e-2) / documents
        alone = often[best] / documents
        found.append((np.log(joint / np.outer(alone, alone)) / -np.log(joint))[upper])
    return float(np.mean(found))


def _scaled(topics: Topics) -> Topics:
    floored = np.asarray(topics, np.float64) + 1e-9
    scaled: Topics = floored / floored.sum(axis=1, keepdims=True)
    return scaled


def training(train: Rows, test: Rows, topics: int, seeds: int, only: str = "") -> list[Row]:
    """Every system in turn, a seed a round. only: systems whose name contains this, or ours."""
    entrants = {n: s for n, s in systems().items() if only in n or "tidemill" in n}
    numbers = {name: itertools.count() for name in entrants}
    kept: Mapping[str, list[Topics]] = {name: [] for name in entrants}

    def run(name: str) -> Callable[[], None]:
        def once() -> None:
            fitted = entrants[name].fit(train, topics, next(numbers[name]))
            kept[name].append(entrants[name].topics(fitted))

        return once

    timed = interleaved({name: run(name) for name in entrants}, seeds)
    table = []
    for name, (wall, cpu, _) in timed.items():
        found = [perplexity(t, test) for t in kept[name]]
        quality = {
            "perplexity": float(np.mean(found)),
            "worst": max(found),
            "NPMI": float(np.mean([coherence(t, train) for t in kept[name]])),
        }
        figures = {"passes": entrants[name].passes, "docs / CPU s": train.shape[0] / cpu}
        task = f"20 newsgroups, {topics} topics"
        table.append(Row("lda", task, name, wall, cpu, quality, figures))
    return table


def inference(train: Rows, test: Rows) -> list[Row]:
    """Mixtures of the test documents under topics that a quick training found."""
    entrants = {n: s for n, s in systems().items() if not n.startswith("the same")}
    quick = train[:2000]
    fitted = {name: system.fit(quick, 20, 0) for name, system in entrants.items()}
    timed = interleaved(
        {name: lambda n=name: entrants[n].mix(fitted[n], test) for name in entrants}  # type: ignore[misc]
    )
    return [
        Row(
            "lda", "mixtures of 7,100 documents", name, wall, cpu,
            figures={"docs / CPU s": test.shape[0] / cpu},
        )
        for name, (wall, cpu, _) in timed.items()
    ]  # fmt: skip


def main() -> int:
    """``python -m bench.lda [20] [100] [mixtures]``: all three when none is named."""
    wanted = sys.argv[1:] or ["20", "100", "mixtures"]
    table: list[Row] = []
    try:
        train, test = newsgroups()
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
        return 0
    if "20" in wanted:
        table += training(train, test, 20, SEEDS)
    if "100" in wanted:
        table += training(train, test, 100, 1, "sklearn online")
    if "mixtures" in wanted:
        table += inference(train, test)
    write("lda", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""blazingtext: vectors of words, how soon and how good; classes of texts, how soon and how right.

Vectors are of IMDB's 25,000 training reviews, 5.7 million words of two letters or more, as in
``[a-z]{2,}``; 100 columns, a window of 5, 5 negatives, words that come 5 times. Each system reads
them in the form that it reads quickest: gensim lists of words, Tidemill lines; all that it does
from there counts, the vocabulary too. With a window of 5, batch_skipgram is skipgram to the byte.
fastText is not among them: without subwords, as installed from PyPI, it ends in NaN. Similarity is
Spearman's correlation with what people say of pairs of words, of WordSim-353 and MTurk-771; pairs
with an unknown word are left out. After one pass the correlation of a single run varies by some
0.02. gensim's steps begin as long as ours, which serves it better than its default of 0.025.

Classes are told from the text as it came: splitting it into words counts, but for fastText, which
gets words that regular expressions found before.

What the work is, on a core at 3 GHz:

=====================  =======================================================================
skip-gram              a word has some 6 neighbours that share 5 negatives: 6 x 6 x 112 x 3
                       multiply-adds, 24 kflop; about half of the words are left out, so that
                       5.7 million take 70 Gflop, 1.5 s where that runs at 48 Gflop/s, and the
                       rows of 20 thousand words, 9 MB twice, come from the second cache
CBOW                   one mean against 6 words: 5 kflop and 6 rows to change; 0.3 s
IMDB's classes         33 MB of text, looked up in two passes: 6 million words and as many pairs,
                       two misses of the cache each, 0.6 s; learning from each line's 400 rows
                       in 3 epochs, 30 million steps of a miss: 0.5 s
=====================  =======================================================================
"""

from __future__ import annotations

import csv
import functools
import gzip
import itertools
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Before the peers are loaded: their threads would otherwise spin, and starve each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numpy.typing import NDArray

from bench.measure import CACHE, Row, data_directory, interleaved, write
from tidemill.algorithms.blazingtext.hyperparameters import BlazingTextHyperparameters
from tidemill.algorithms.blazingtext.learner import BlazingText
from tidemill.algorithms.blazingtext.word_pairs import correlation
from tidemill.data.batch import of_text
from tidemill.data.text import text_of
from tidemill.estimators.base import InMemory, side_by_side
from tidemill.estimators.text_classifier import TextClassifier
from tidemill.estimators.word2vec import Word2Vec
from tidemill.training.loop import fit

CORES = 2
SEEDS = 3
FILES = {
    "IMDB": "imdb/imdb.parquet",
    "20 newsgroups": "newsgroups20/20news_bydate.parquet",
    "Reuters R8": "reuters_r8/r8.parquet",
    "SST-2": "sst2/sst2.parquet",
}


@dataclass(frozen=True)
class Texts:
    """Texts and their classes, to learn from and to be asked about."""

    train: Sequence[str]
    train_classes: NDArray[Any]
    test: Sequence[str]
    test_classes: NDArray[Any]


def texts(name: str) -> Texts:
    """A data set. Raises FileNotFoundError."""
    import pyarrow.parquet

    folder = data_directory()
    path = folder / FILES[name] if folder else None
    if path is None or not path.exists():
        raise FileNotFoundError(f"no {FILES[name]} in TIDEMILL_BENCH_DATA")
    table = pyarrow.parquet.read_table(path, columns=["text", "label", "split"]).to_pydict()
    rows = list(zip(table["text"], map(str, table["label"]), table["split"], strict=True))
    parts = [[row for row in rows if row[2] == part] for part in ("train", "test")]
    found = [([row[0] for row in part], np.array([row[1] for row in part])) for part in parts]
    return Texts(*found[0], *found[1])


# Vectors of words.

Look = Callable[[str], Any]
"""A word's vector, or None."""


@dataclass(frozen=True)
class Corpus:
    """The same texts in both forms."""

    lists: list[list[str]]
    lines: list[str]

    @functools.cached_property
    def words(self) -> int:
        return sum(map(len, self.lists))


def corpus() -> Corpus:
    word = re.compile(r"[a-z]{2,}")
    lists = [word.findall(text.lower()) for text in texts("IMDB").train]
    lines = [" ".join(words) for words in lists]
    return Corpus(lists, lines)


def vectors(mode: str, epochs: int, seed: int, given: Corpus) -> Look:
    fitted = Word2Vec(mode=mode, epochs=epochs, preprocessor=str, random_state=seed)
    fitted.fit(given.lines)
    words = {word: at for at, word in enumerate(fitted.words_)}
    return lambda word: fitted.vectors_[words[word]] if word in words else None


def gensim(mode: str, epochs: int, seed: int, given: Corpus) -> Look:
    from gensim.models import Word2Vec as Peer

    is_skipgram = int(mode == "skipgram")
    keyed = Peer(
        given.lists, vector_size=100, window=5, negative=5, epochs=epochs, min_count=5,
        workers=CORES, sg=is_skipgram, alpha=0.05, sample=1e-4, seed=seed,
    ).wv  # fmt: skip
    known = keyed.key_to_index
    return lambda word: keyed.vectors[known[word]] if word in known else None


def vector_systems(mode: str) -> dict[str, Callable[[int, int, Corpus], Look]]:
    """Tidemill, and the peers that are installed."""
    found: dict[str, Callable[[int, int, Corpus], Look]] = {
        "tidemill.estimators.Word2Vec": functools.partial(vectors, mode)
    }
    if _is_there("gensim"):
        found["gensim.Word2Vec, alpha 0.05"] = functools.partial(gensim, mode)
    return found


def pairs() -> Mapping[str, list[tuple[str, str, float]]]:
    """What people say of pairs of words, set by set."""
    folder = data_directory()
    assert folder is not None
    found: dict[str, list[tuple[str, str, float]]] = {}
    with gzip.open(folder / "word_similarity" / "word_similarity.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            first, second = row["word1"].lower(), row["word2"].lower()
            found.setdefault(row["set"], []).append((first, second, float(row["score"])))
    return found


def similarity(look: Look) -> Mapping[str, float]:
    """Spearman's correlation of cosines with each set of pairs."""
    found = {}
    for name, rows in pairs().items():
        told = [(look(a), look(b), score) for a, b, score in rows]
        known = [(x @ y / np.sqrt((x @ x) * (y @ y)), s) for x, y, s in told if _are(x, y)]
        alike, said = np.array(known, np.float64).T
        found[name] = correlation(alike, said)
    return found


def _are(*vectors: Any) -> bool:
    return all(vector is not None for vector in vectors)


def learning_vectors(given: Corpus, mode: str, epochs: int, seeds: int) -> list[Row]:
    """Every system in turn, a seed a round."""
    entrants = vector_systems(mode)
    numbers = {name: itertools.count() for name in entrants}
    kept: Mapping[str, list[Look]] = {name: [] for name in entrants}

    def run(name: str) -> Callable[[], None]:
        def once() -> None:
            kept[name].append(entrants[name](epochs, next(numbers[name]), given))

        return once

    timed = interleaved({name: run(name) for name in entrants}, seeds)
    table, task = [], f"vectors by {mode}, {epochs} epoch{'s' * (epochs > 1)}"
    for name, (wall, cpu, _) in timed.items():
        found = [similarity(look) for look in kept[name]]
        quality = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
        read = given.words * epochs
        figures = {"words / s": read / wall, "words / CPU s": read / cpu}
        table.append(Row("blazingtext", task, name, wall, cpu, quality, figures))
    return table


# Classes of texts.

Ask = Callable[[Sequence[str]], Any]


def classifier(seed: int, given: Texts) -> Ask:
    fitted = TextClassifier(random_state=seed).fit(given.train, given.train_classes)
    return fitted.predict


def like_a_job(seed: int, given: Texts) -> Ask:
    """blazingtext with its default hyperparameters on the lines that fastText is given."""
    lines, named = _fasttext_lines(given, seed)
    text = text_of(lines)
    with side_by_side(1e9) as each:
        algorithm = BlazingText(BlazingTextHyperparameters(mode="supervised"), each=each)
        model = algorithm.finalize(fit(algorithm, InMemory(of_text(text), algorithm.batch_rows)))

    def ask(asked: Sequence[str]) -> Any:
        columns = model.predict(of_text(text_of([_split(one) for one in asked])))
        return [named[label] for label in columns["label"][:, 0]]

    return ask


def fasttext_classes(seed: int, given: Texts) -> Ask:
    import fasttext

    lines, named = _fasttext_lines(given, seed)
    CACHE.mkdir(exist_ok=True)
    path = CACHE / "blazingtext-classes.txt"
    path.write_text("\n".join(lines))
    epochs, rate = (25, 1.0) if len(lines) < 15_000 else (5, 0.5)
    found = fasttext.train_supervised(
        str(path), dim=50, wordNgrams=2, epoch=epochs, lr=rate, bucket=500_000, thread=CORES,
        verbose=0,
    )  # fmt: skip

    def ask(asked: Sequence[str]) -> Any:
        told = (found.f.predict(_split(one) + "\n", 1, 0.0, "strict") for one in asked)
        return [named[one[0][1]] for one in told]

    return ask


def linear_svc(seed: int, given: Texts) -> Ask:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    least = 2 if len(given.train) > 10_000 else 1
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=least)
    fitted = make_pipeline(words, LinearSVC(random_state=seed))
    return fitted.fit(given.train, given.train_classes).predict  # type: ignore[no-any-return]


_WORD = re.compile(r"[\w']+|[.,!?]")


@functools.lru_cache(maxsize=1 << 17)
def _split(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _fasttext_lines(given: Texts, seed: int) -> tuple[list[str], dict[str, str]]:
    """Lines in random order with a label in front, and the class that each label stands for."""
    labels = {c: f"__label__{i}" for i, c in enumerate(np.unique(given.train_classes).tolist())}
    order = np.random.default_rng(seed).permutation(len(given.train)).tolist()
    lines = [f"{labels[given.train_classes[i]]} {_split(given.train[i])}" for i in order]
    return lines, {label: c for c, label in labels.items()}


def class_systems() -> dict[str, Callable[[int, Texts], Ask]]:
    """Tidemill, and the peers that are installed."""
    found: dict[str, Callable[[int, Texts], Ask]] = {
        "tidemill.estimators.TextClassifier": classifier,
        "tidemill blazingtext, defaults": like_a_job,
    }
    if _is_there("fasttext"):
        found["fasttext supervised"] = fasttext_classes
    if _is_there("sklearn"):
        found["sklearn TF-IDF(1-2) + LinearSVC"] = linear_svc
    return found


def learning_classes(name: str, given: Texts, seeds: int) -> list[Row]:
    """Every system in turn, a seed a round; the seed decides the order of lines too."""
    for text in itertools.chain(given.train, given.test):
        _split(text)
    entrants = class_systems()
    numbers = {system: itertools.count() for system in entrants}
    kept: Mapping[str, list[Ask]] = {system: [] for system in entrants}

    def run(system: str) -> Callable[[], None]:
        return lambda: kept[system].append(entrants[system](next(numbers[system]), given))

    timed = interleaved({system: run(system) for system in entrants}, seeds)
    told = interleaved(
        {system: lambda s=system: [ask(given.test) for ask in kept[s]] for system in entrants},  # type: ignore[misc]
        1,
    )
    table = []
    for system, (wall, cpu, _) in timed.items():
        right = [np.mean(np.asarray(said) == given.test_classes) for said in told[system][2]]
        figures = {"asked texts / CPU s": seeds * len(given.test) / told[system][1]}
        quality = {"accuracy": float(np.mean(right)), "worst": float(min(right))}
        table.append(Row("blazingtext", name, system, wall, cpu, quality, figures))
    _split.cache_clear()
    return table


def _is_there(module: str) -> bool:
    try:
        __import__(module)
    except ImportError as missing:
        print(f"skipped: {missing}")
        return False
    return True


def main() -> int:
    """``python -m bench.blazingtext [skipgram] [cbow] [classes] [longer]``: the first three when
    none is named; ``longer`` is vectors of 5 epochs."""
    wanted = sys.argv[1:] or ["skipgram", "cbow", "classes"]
    table: list[Row] = []
    try:
        given = corpus() if set(wanted) - {"classes"} else None
        for mode in ("skipgram", "cbow"):
            if given is not None and mode in wanted:
                table += learning_vectors(given, mode, 1, 1)
            if given is not None and "longer" in wanted:
                table += learning_vectors(given, mode, 5, 1)
        if "classes" in wanted:
            for name in FILES:
                table += learning_classes(name, texts(name), SEEDS if name == "SST-2" else 1)
    except FileNotFoundError as missing:
        print(f"skipped: {missing}")
        return 0
    write("blazingtext", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

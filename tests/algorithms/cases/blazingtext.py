"""blazingtext under the laws."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from tidemill.data.batch import Batch, of_text
from tidemill.data.text import text_of
from tidemill.registry import declaration
from tidemill.testing.algorithm import Case

TOPICS = {
    "tea": ["kettle", "leaf", "cup", "pot", "steep", "milk", "brew", "sugar"],
    "sea": ["wave", "salt", "tide", "boat", "wind", "sail", "shore", "milk"],
    "law": ["court", "judge", "plea", "oath", "trial", "jury", "wind", "cup"],
}


def lines(rows: int, prefix: str = "") -> Batch:
    """Lines of words of one topic each, some of no words."""
    draws = np.random.default_rng(3)
    kinds = draws.choice(list(TOPICS), rows)
    texts = [
        " ".join([f"{prefix}{kind}"] * bool(prefix) + draws.choice(TOPICS[kind], 9).tolist())
        for kind in kinds
    ]
    for at in range(0, rows, 40):
        texts[at] = f"{prefix}{kinds[at]}" if prefix else ""
    return of_text(text_of(texts))


def case(
    mode: str, exceptions: Mapping[str, str] = {}, held_out: bool = False, **given: str
) -> Case:
    batch = lines(600, "__label__" if mode == "supervised" else "")
    return Case(
        declaration("blazingtext"),
        {"mode": mode, "min_count": "1", "vector_dim": "8", "epochs": "4", **given},
        list(batch.rows(0, 500).split(50)),
        batch.rows(500, 600),
        exceptions=exceptions,
        slack=0.1,
        held_out=list(batch.rows(400, 500).split(50)) if held_out else (),
    )


CASES: dict[str, Callable[[], Case]] = {
    "blazingtext, skipgram": functools.partial(
        case, "skipgram", sampling_threshold="0.001", epochs="10"
    ),
    "blazingtext, batch_skipgram": functools.partial(case, "batch_skipgram", batch_size="3"),
    "blazingtext, cbow of subwords": functools.partial(
        case, "cbow", subwords="true", min_char="2", max_char="3", buckets="50"
    ),
    "blazingtext, skipgram of subwords": functools.partial(
        case, "skipgram", subwords="true", buckets="1000", evaluation="false"
    ),
    "blazingtext, classes": functools.partial(case, "supervised", buckets="1000"),
    "blazingtext, classes of words alone, validated": functools.partial(
        case, "supervised", held_out=True, word_ngrams="1", early_stopping="true", patience="1",
        min_epochs="1",
    ),
    "blazingtext, more classes than columns": functools.partial(
        case, "supervised", buckets="1000", vector_dim="2", epochs="10"
    ),
}  # fmt: skip

"""Texts of known topics, and BlazingText trained on them: what its tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tests.algorithms.cases.blazingtext import TOPICS
from tidemill.algorithms.blazingtext.hyperparameters import BlazingTextHyperparameters
from tidemill.algorithms.blazingtext.learner import BlazingText, BlazingTextState
from tidemill.algorithms.blazingtext.model import BlazingTextModel
from tidemill.data.batch import Batch, of_text
from tidemill.data.text import text_of
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

Each = Callable[..., Iterable[Any]]


def sentences(rows: int, seed: int = 0, *, labelled: bool = False) -> list[str]:
    """Lines of nine words of one topic each."""
    draws = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        kind = draws.choice(list(TOPICS))
        words = " ".join(draws.choice(TOPICS[kind], 9))
        found.append(f"__label__{kind} {words}" if labelled else words)
    return found


def batch_of(lines: Sequence[str | bytes]) -> Batch:
    return of_text(text_of(lines))


def blazingtext(mode: str, each: Each = map, seed: int = 0, **given: Any) -> BlazingText:
    small = {"min_count": 1, "vector_dim": 16, "sampling_threshold": 1e-3}
    return BlazingText(
        BlazingTextHyperparameters(mode=mode, **small | given), seed=seed, each=each
    )  # fmt: skip


def train(
    algorithm: BlazingText,
    lines: Sequence[str | bytes],
    held_out: Sequence[str] = (),
    earlier: BlazingTextState | None = None,
) -> BlazingTextState:
    """To the end, in batches; from an earlier state where there is one."""
    stream = Stream(list(batch_of(lines).split(100)) if len(lines) else [])
    held = Stream([batch_of(held_out)]) if held_out else None
    resume = None if earlier is None else Position(algorithm.reopen(earlier))
    return fit(algorithm, stream, held_out=held, resume=resume)


def trained(mode: str, lines: Sequence[str | bytes], **given: Any) -> BlazingTextModel:
    algorithm = blazingtext(mode, **given)
    return algorithm.finalize(train(algorithm, lines))


def vector(model: BlazingTextModel, word: str) -> Any:
    return model.predict(batch_of([word]))["vector"][0]


def cosine(model: BlazingTextModel, one: str, other: str) -> float:
    first, second = vector(model, one), vector(model, other)
    return float(first @ second / np.sqrt((first @ first) * (second @ second)))


def accuracy(model: BlazingTextModel, lines: Sequence[str]) -> float:
    """Share of labelled lines whose likeliest label is theirs."""
    said = model.predict(batch_of([line.split(" ", 1)[1] for line in lines]))["label"][:, 0]
    return float(np.mean([a == line.split(" ", 1)[0] for a, line in zip(said, lines, strict=True)]))

"""What an earlier training's state lets later hyperparameters change."""

from __future__ import annotations

from tidemill.algorithms.blazingtext.classifier import ClassesState
from tidemill.algorithms.blazingtext.hyperparameters import (
    NAME,
    SUPERVISED,
    BlazingTextHyperparameters,
)
from tidemill.algorithms.blazingtext.vectors import VectorsState
from tidemill.errors import Invalid


def check(
    given: BlazingTextHyperparameters,
    vectors: VectorsState | None,
    classes: ClassesState | None,
) -> None:
    """Raise Invalid where the state holds something else than what is asked for."""
    found, wanted = vectors or classes, given.settings()
    if found is None:
        return
    if given.is_supervised != (classes is not None):
        right = SUPERVISED if classes is not None else "batch_skipgram, skipgram or cbow"
        raise _other("mode", right, given.mode)
    if classes is not None and _is_plain(classes, given.vector_dim):
        wanted["vector_dim"] = classes.settings["vector_dim"]  # it is of no consequence
    for name, value in wanted.items():
        if found.settings.get(name) != value:
            raise _other(name, found.settings.get(name), value)


def _is_plain(classes: ClassesState, vector_dim: int) -> bool:
    """Whether the rows are the labels' scores, and would be so with such vectors too."""
    return classes.output is None and classes.vocabulary.labels <= vector_dim


def _other(name: str, wanted: object, got: object) -> Invalid:
    return Invalid(
        f"{NAME}: {name} must be {wanted}, as in the training that is gone on from",
        got=got,
        do=f"Set {name!r} to that, or train anew.",
    )

"""The trees, or the linear terms, that boosting leaves, and what they answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.base import Columns, Measure
from tidemill.algorithms.xgboost.hyperparameters import NAME
from tidemill.algorithms.xgboost.library import complaint, complaints, library
from tidemill.algorithms.xgboost.matrix import library_features
from tidemill.algorithms.xgboost.rows import fitted
from tidemill.algorithms.xgboost.saved import About, about
from tidemill.algorithms.xgboost.state import Bytes, bytes_of
from tidemill.data.batch import Batch, Csr, Floats
from tidemill.errors import InvalidData
from tidemill.kernels import sound

FILE = "xgboost-model"
_PICKLE = b"\x80"
_AGAIN = "Save the model again by Booster.save_model, of xgboost 1.6 or newer."
_LEAST = 1e-16
_FEW = 1 << 14
"""Values of sparse rows, told or not."""


@dataclass(frozen=True, eq=False)
class XGBoostModel:
    """A booster as the library writes it (UBJSON), and what there is to know without loading it.

    classes: of a multi: objective, else 0
    """

    booster: Bytes
    objective: str
    columns: int
    classes: int = 0
    row_by_row: ClassVar[bool] = True

    def __sizeof__(self) -> int:
        """With what the library keeps of a loaded booster: 1.16 of its file, as measured."""
        loaded = "_loaded" in self.__dict__
        return object.__sizeof__(self) + loaded * int(1.2 * self.booster.nbytes)

    def check(self) -> None:
        sound.shaped("booster", self.booster, None)
        found = about(self.booster.tobytes())
        told = About(self.objective, self.columns, self.classes)
        sound.require(found == told, "a booster is what is told of it")

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def outputs(self) -> int:
        """Answers of a row."""
        return self.classes if self.objective == "multi:softprob" else 1

    def predict(self, batch: Batch) -> Columns:
        """``score`` of each row, (rows,) or (rows, outputs) float32, as the objective has it."""
        rows = fitted(batch, self.columns)
        if len(rows) == 0:
            shape = (0,) if self.outputs == 1 else (0, self.outputs)
            return {"score": np.empty(shape, np.float32)}
        return {"score": self._answers(_plain(rows.features))}

    def _answers(self, features: Any) -> Floats:
        booster, has_trees = self._loaded
        try:
            if has_trees:
                found = booster.inplace_predict(features, validate_features=False)
            else:
                found = booster.predict(library().DMatrix(features), validate_features=False)
        except library().core.XGBoostError as error:
            raise complaint(error, _AGAIN) from error
        answers: Floats = np.asarray(found, np.float32)
        return answers

    @cached_property
    def _loaded(self) -> tuple[Any, bool]:
        """The library's booster, and whether it answers from rows as they are: the linear one
        cannot, dart's sums would round otherwise."""
        booster = _opened(self.booster.tobytes())
        return booster, _about(booster)["gradient_booster"]["name"] == "gbtree"


def _plain(features: Floats | Csr) -> Any:
    """Features as the library takes them: few sparse rows with NaN for what they leave out, which
    is quicker than SciPy's matrices."""
    if not isinstance(features, Csr) or len(features) * features.columns > _FEW:
        return library_features(features)
    dense = np.full(features.shape, np.nan, np.float32)
    dense[np.repeat(np.arange(len(features)), np.diff(features.indptr)), features.indices] = (
        features.values
    )
    return dense


@dataclass(frozen=True, slots=True)
class XGBoostEvaluation:
    """Losses of labelled rows added up. losses: name → sum (for rmse, of squares)"""

    losses: Mapping[str, float]
    weight: float

    def merge(self, other: XGBoostEvaluation) -> XGBoostEvaluation:
        losses = {name: value + other.losses[name] for name, value in self.losses.items()}
        return XGBoostEvaluation(losses, self.weight + other.weight)

    def measures(self) -> Sequence[Measure]:
        means = {name: value / (self.weight or 1.0) for name, value in self.losses.items()}
        return [
            Measure(name, math.sqrt(value) if name == "rmse" else value)
            for name, value in means.items()
        ]


def evaluation(model: XGBoostModel, batch: Batch) -> XGBoostEvaluation | None:
    """How far answers are from labels, by what fits the objective; None where nothing does."""
    if batch.labels is None or model.objective.startswith(("rank:", "survival:")):
        return None
    answers = model.predict(batch)["score"].astype(np.float64)
    labels = batch.labels.astype(np.float64)
    weights = np.ones(len(batch)) if batch.weights is None else batch.weights.astype(np.float64)
    losses = _losses(model.objective, labels, answers)
    return XGBoostEvaluation(
        {name: float(loss @ weights) for name, loss in losses.items()}, float(weights.sum())
    )


def _losses(
    objective: str, labels: NDArray[np.float64], answers: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    if objective == "multi:softprob":
        chances = np.take_along_axis(answers, labels.astype(np.intp)[:, None], axis=1)[:, 0]
        wrong = (answers.argmax(axis=1) != labels).astype(np.float64)
        return {"mlogloss": -np.log(np.maximum(chances, _LEAST)), "merror": wrong}
    if objective == "multi:softmax":
        return {"merror": (answers != labels).astype(np.float64)}
    if objective == "binary:logitraw":
        answers = 0.5 * (1 + np.tanh(0.5 * answers))
    if objective.startswith("binary:"):
        wrong = ((answers > 0.5) != (labels > 0.5)).astype(np.float64)
        yes, no = np.maximum(answers, _LEAST), np.maximum(1 - answers, _LEAST)
        loss = -(labels * np.log(yes) + (1 - labels) * np.log(no))
        return (
            {"error": wrong} if objective == "binary:hinge" else {"logloss": loss, "error": wrong}
        )
    return {"rmse": (answers - labels) ** 2}


def model_of(booster: Bytes) -> XGBoostModel:
    """The model of a booster's bytes. Raises InvalidData when they are none."""
    return _described(_load(booster.tobytes()), booster)


def first_rounds(booster: Bytes, rounds: int) -> Bytes:
    """The booster of the first rounds alone."""
    return bytes_of(_load(booster.tobytes())[:rounds].save_raw("ubj"))


def exports(model: XGBoostModel) -> Mapping[str, bytes]:
    """The file that SageMaker's own artifacts have, which the library itself loads."""
    return {FILE: model.booster.tobytes()}


def imports(directory: Path) -> XGBoostModel:
    """The model of an artifact that SageMaker, or the library, wrote: ``Booster.save_model``.

    Raises InvalidData; a pickle, which older containers left, is never opened.
    """
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name[0] not in "._")
    named = [p for p in files if p.name == FILE] or (files if len(files) == 1 else [])
    if not named:
        raise InvalidData(
            f"a model.tar.gz with the file {FILE}",
            got=[p.name for p in files],
            do=f"Pack the file that Booster.save_model wrote, as {FILE}.",
        )
    booster = _load(named[0].read_bytes())
    return _described(booster, bytes_of(booster.save_raw("ubj")))


def _load(data: bytes) -> Any:
    if data.startswith(_PICKLE):
        raise InvalidData(
            f"{NAME}: a model that Booster.save_model wrote",
            got="a pickle, which could run anything when it is opened",
            do="Open it where you trust it, and save it again by Booster.save_model.",
        )
    try:
        about(data)  # which in the library may end the process, not only fail
    except ValueError as error:
        raise InvalidData(
            f"{NAME}: a model that Booster.save_model wrote, JSON or UBJSON",
            got=f"{len(data)} bytes, {data[:12]!r} …: {error}",
            do=_AGAIN,
        ) from error
    return _opened(data)


def _opened(data: bytes) -> Any:
    booster = library().Booster()
    with complaints(_AGAIN):
        booster.load_model(bytearray(data))
    return booster


def _about(booster: Any) -> Any:
    """The library's own description."""
    return json.loads(booster.save_config())["learner"]


def _described(booster: Any, raw: Bytes) -> XGBoostModel:
    about = _about(booster)
    classes = int(about["learner_model_param"]["num_class"])
    return XGBoostModel(raw, about["objective"]["name"], int(booster.num_features()), classes)

"""Feedback read and checked: what is accepted can be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tidemill.algorithms.base import Algorithm, Declaration
from tidemill.data import content_type as types
from tidemill.data import request, tensors
from tidemill.data.batch import Batch, Csr, concatenate
from tidemill.data.checks import require_finite
from tidemill.data.labels import labelled
from tidemill.errors import InvalidData, amount
from tidemill.spec.learning import LABELS, Answered, unpack_answered
from tidemill.workers.serve.learning import progress

_JSON = "json"  # parameter of the Open Inference Protocol's content type: bytes of JSON in the body
_DO = "Send as many labels as the request had rows, in their order."


class Intake:
    """Rows out of feedback, as this algorithm learns from them."""

    def __init__(self, declaration: Declaration, algorithm: Algorithm[Any], model: Any) -> None:
        self._declaration, self._algorithm, self._model = declaration, algorithm, model

    def read(self, content_type: str, body: bytes) -> Batch:
        """The rows of a FEEDBACK frame; raises Invalid for those that can not be learned from."""
        if content_type == LABELS:
            answered = unpack_answered(body)
            batch = concatenate([self._answered(one) for one in answered])
        else:
            batch = self._plain(content_type, body)
        self.check(batch)
        return batch

    def check(self, batch: Batch) -> None:
        """Raise Invalid for rows that can not be learned from."""
        require_finite(batch)
        progress.test(self._algorithm, self._model, batch)

    def _answered(self, one: Answered) -> Batch:
        """The rows of a request, and the labels that came later."""
        batch = self._sized(self._rows(one.content_type, one.body))
        if self._declaration.learns == "rows":
            return replace(batch, labels=None)
        if one.labels is None:
            raise InvalidData(
                f"{self._declaration.name} learns from labels", got="none", do="Add Label."
            )
        return replace(batch, labels=_numbers(one.labels, len(batch)))

    def _plain(self, content_type: str, body: bytes) -> Batch:
        """Rows that have their labels with them: as the format has it, else in the first column."""
        batch = self._rows(content_type or self._declaration.default_content_type, body)
        if self._declaration.learns == "rows":
            batch = replace(batch, labels=None)
        elif batch.labels is None and not isinstance(batch.features, Csr):
            batch = labelled(batch.features, 1, "feedback")
        elif batch.labels is not None and batch.labels.ndim > 1:
            batch = replace(batch, labels=_only(batch.labels))
        return self._sized(batch)

    def _rows(self, content_type: str, body: bytes) -> Batch:
        kind = types.parse(content_type)
        if kind.media != types.TENSORS:
            return request.decode(body, kind)
        length = kind.parameters.get(_JSON, "")
        return tensors.decode(body, int(length) if length.isdecimal() else None)[0]

    def _sized(self, batch: Batch) -> Batch:
        """As wide as the model: sparse rows need not tell of their last columns."""
        wanted: int = self._model.columns
        if isinstance(batch.features, Csr) and batch.columns < wanted:
            return replace(batch, features=replace(batch.features, columns=wanted))
        if batch.columns != wanted:
            raise InvalidData(
                f"feedback: rows must have {amount(wanted, 'feature')}, as the model has",
                got=amount(batch.columns, "feature"),
                do="Send the columns of training; those with labels start with the label.",
            )
        return batch


def _numbers(labels: Sequence[Any], rows: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    try:
        found = np.asarray(labels, np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidData("a label must be a number", got=str(error), do=_DO) from error
    if found.shape != (rows,):
        wanted = f"a label for each row: {amount(rows, 'label')} for this request"
        raise InvalidData(wanted, got=amount(found.size, "label"), do=_DO)
    return found


def _only(labels: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    if labels.shape[1] != 1:
        raise InvalidData(
            "feedback: rows must have one label", got=labels.shape[1], do="Send one for each row."
        )
    return labels[:, 0]

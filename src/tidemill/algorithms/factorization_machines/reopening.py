"""What an earlier training left, as other hyperparameters want it: more columns, fewer factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.factorization_machines import initial
from tidemill.algorithms.factorization_machines.hyperparameters import (
    NAME,
    FactorizationMachinesHyperparameters,
)
from tidemill.algorithms.factorization_machines.state import FactorizationState, factors_of
from tidemill.data.batch import Floats
from tidemill.errors import Invalid
from tidemill.kernels.factorization_machines import HEAD, SEEN, stride_of, width_of


def reopened(
    given: FactorizationMachinesHyperparameters, state: FactorizationState, seed: int
) -> FactorizationState:
    """The state with its epochs counted anew. Raises Invalid where it cannot go with ``given``."""
    if state.records is None:
        return FactorizationState()
    columns = len(state.records)
    _check(given, state, columns)
    if given.num_factors < state.factors:
        state = _narrowed(state, given.num_factors)
    if given.feature_dim > columns and state.records is not None:
        # As they would be had they been there all along, and never in a row.
        further = initial.records(given, seed, columns, given.feature_dim)
        state = replace(state, records=np.concatenate([state.records, further]))
    return replace(
        state,
        epoch=0,
        seen=None,
        rows=0,
        closed=None,
        held=None,
        share=0,
        weight=0.0,
        past=state.past + state.weight,
    )


def _check(
    given: FactorizationMachinesHyperparameters, state: FactorizationState, columns: int
) -> None:
    if given.is_logistic != state.is_logistic:
        raise Invalid(
            f"{NAME}: predictor_type must stay that of the model to go on from",
            got=given.predictor_type,
            do="Set the predictor_type that the earlier job had, or train a new model.",
        )
    if given.feature_dim < columns:
        raise Invalid(
            f"{NAME}: feature_dim must be at least {columns}, that of the model to go on from",
            got=given.feature_dim,
            do="Set feature_dim to that or more; further columns come after the earlier ones.",
        )
    if given.num_factors > state.factors:
        raise Invalid(
            f"{NAME}: num_factors must be at most {state.factors}, that of the model to go on from",
            got=given.num_factors,
            do="Set num_factors to that or less, or train a new model.",
        )


def _narrowed(state: FactorizationState, factors: int) -> FactorizationState:
    """The factors turned, and cut to the few that keep most of what features say of one another.

    A rotation of all factors changes no score, so they are turned to the axes of their second
    moments, features weighing what was last seen of them: of so few, no others come as near to the
    products of all (Eckart & Young, 1936).
    """
    assert state.records is not None
    own, seen = factors_of(state), state.records[:, SEEN, None].astype(np.float64)
    _check_finite(own.T @ (seen * own))
    _, axes = np.linalg.eigh(own.T @ (seen * own))
    turn = axes[:, ::-1][:, :factors].astype(np.float32)
    old, new = width_of(state.factors), width_of(factors)
    records = np.zeros((len(own), stride_of(new)), np.float32)
    records[:, :HEAD] = state.records[:, :HEAD]
    for part, axis in enumerate((turn, turn, turn * turn)):  # second moments are squares
        taken = state.records[:, HEAD + part * old :][:, : state.factors]
        records[:, HEAD + part * new :][:, :factors] = _product(taken, axis)
    return replace(state, records=records, factors=factors)


def _check_finite(products: NDArray[np.float64]) -> None:
    if not np.isfinite(products).all():
        raise Invalid(
            f"{NAME}: num_factors can only be lowered of factors that are finite, and not huge",
            got="others",
            do="Leave num_factors as it was, or train a new model.",
        )


def _product(rows: Floats, by: Floats) -> Floats:
    answer: Floats = np.ascontiguousarray(rows) @ by
    return answer

"""Going on from an earlier training: with further rows, or with none and fewer rounds."""

from __future__ import annotations

from tidemill.algorithms.xgboost.hyperparameters import NAME, XGBoostHyperparameters
from tidemill.algorithms.xgboost.library import library
from tidemill.algorithms.xgboost.model import model_of
from tidemill.algorithms.xgboost.state import NOTHING, Bytes, XGBoostState, bytes_of
from tidemill.errors import Invalid


def reopened(state: XGBoostState, given: XGBoostHyperparameters) -> XGBoostState:
    """The booster of an earlier training, for rounds on top of it. Raises Invalid."""
    found = model_of(state.booster)
    objective = given.objective.replace("reg:linear", "reg:squarederror")
    wanted, had = (objective, given.num_class or 0), (found.objective, found.classes)
    if wanted != had:
        raise Invalid(
            f"{NAME}: objective and num_class must be those of the earlier model, {had}",
            got=wanted,
            do="Change 'objective' and 'num_class' in HyperParameters, or train anew.",
        )
    return XGBoostState(
        state.booster,
        NOTHING,
        inherited=state.inherited + state.rounds,
        asked=state.asked,
        last=state.rounds or state.last,
        columns=found.columns,
    )


def check_update(state: XGBoostState, given: XGBoostHyperparameters) -> None:
    """Raise Invalid where process_type update has not enough trees to change."""
    if given.process_type == "update" and given.num_round > state.inherited:
        raise Invalid(
            f"{NAME}: process_type update changes the trees of a model in the channel 'model', "
            "and num_round must be at most the rounds that it has",
            got=f"num_round {given.num_round}, and {state.inherited} rounds",
            do="Name an earlier model.tar.gz as channel 'model', or lower num_round.",
        )


def shortened(state: XGBoostState, given: XGBoostHyperparameters) -> Bytes:
    """The booster of a reopened state, with num_round rounds of its last training at most.

    Raises Invalid for more than that training was asked for.
    """
    rounds = given.num_round
    if rounds > state.asked or (rounds < state.last and given.booster == "gblinear"):
        raise Invalid(
            f"{NAME}: without rows num_round can be {state.asked} at most, which the earlier "
            "training had, and of gblinear no other",
            got=rounds,
            do="Lower num_round, or add the channel 'train' to go on.",
        )
    if rounds >= state.last:
        return state.booster
    whole = library().Booster(model_file=bytearray(state.booster))
    return bytes_of(whole[: state.inherited - state.last + rounds].save_raw("ubj"))

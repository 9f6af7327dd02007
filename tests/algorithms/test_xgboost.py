"""The trees are those of the library itself, however the rows come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from tidemill.algorithms.hyperparameters import read
from tidemill.algorithms.xgboost.hyperparameters import XGBoostHyperparameters
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.algorithms.xgboost.model import XGBoostModel
from tidemill.artifact.codec import from_bytes, to_bytes
from tidemill.data.batch import Batch, concatenate, to_csr
from tidemill.errors import Invalid, InvalidData
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import Position, fit

xgb = pytest.importorskip("xgboost")
ROUNDS = 12


def numbers(rows: int = 600, seed: int = 0, missing: float = 0.1) -> tuple[Any, Any]:
    draws = np.random.default_rng(seed)
    features = draws.normal(size=(rows, 6)).astype(np.float32)
    scores = features[:, 0] + np.sin(2 * features[:, 1]) * features[:, 2] + draws.normal(size=rows)
    features[draws.random(features.shape) < missing] = np.nan
    return features, scores.astype(np.float32)


def labels_for(objective: str, scores: Any) -> Any:
    if objective in ("binary:logistic", "binary:logitraw", "binary:hinge", "rank:map"):
        return (scores > 0).astype(np.float32)
    if objective.startswith(("multi:", "rank:")):
        return np.digitize(scores, [-1, 0.5]).astype(np.float32)
    if objective == "reg:logistic":
        return (1 / (1 + np.exp(-scores))).astype(np.float32)
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror"):
        return np.exp(scores / 3).astype(np.float32)
    if objective.startswith("survival:"):
        return (np.exp(scores / 3) * np.where(scores > 1, -1, 1)).astype(np.float32)
    return scores


def given(**text: str) -> XGBoostHyperparameters:
    defaults = {"num_round": str(ROUNDS), "nthread": "1", "verbosity": "0"}
    return read(XGBoostHyperparameters, {**defaults, **text}, algorithm="xgboost")


def trained(
    hyperparameters: XGBoostHyperparameters,
    rows: Batch,
    held_out: Batch | None = None,
    batch_rows: int = 100,
    **more: Any,
) -> Any:
    return fit(
        XGBoost(hyperparameters, **more),
        Stream([*rows.split(batch_rows)]),
        held_out=Stream([*held_out.split(70)]) if held_out else None,
    )


def direct(matrix: Any, rounds: int = ROUNDS, more: Any = None, **settings: Any) -> bytes:
    settings = {"nthread": 1, "verbosity": 0, **settings}
    with_more = {"verbose_eval": False, **(more or {})}
    return bytes(xgb.train(settings, matrix, rounds, **with_more).save_raw("ubj"))


@pytest.mark.parametrize(
    "text",
    [
        {},
        {"objective": "reg:linear", "eta": "0.1", "max_depth": "3"},
        {"objective": "reg:logistic"},
        {"objective": "reg:gamma"},
        {"objective": "reg:tweedie", "tweedie_variance_power": "1.2"},
        {"objective": "reg:pseudohubererror"},
        {"objective": "reg:squaredlogerror"},
        {"objective": "reg:absoluteerror"},
        {"objective": "binary:logistic", "scale_pos_weight": "2", "gamma": "0.5"},
        {"objective": "binary:logitraw", "max_bin": "32"},
        {"objective": "binary:hinge"},
        {"objective": "count:poisson", "max_delta_step": "0.7"},
        {"objective": "multi:softmax", "num_class": "3"},
        {"objective": "multi:softprob", "num_class": "3", "num_parallel_tree": "2"},
        {"objective": "survival:cox"},
        {"objective": "rank:pairwise"},
        {"lambda": "5", "reg_alpha": "0.5", "learning_rate": "0.5", "min_split_loss": "1"},
        {"grow_policy": "lossguide", "max_leaves": "7", "max_depth": "0"},
        {"tree_method": "approx"},
        {"tree_method": "exact", "min_child_weight": "3"},
        {"tree_method": "hist", "monotone_constraints": "(1,0,-1,0,0,0)"},
        {"interaction_constraints": "[[0,1],[2,3,4,5]]"},
        {"subsample": "0.6", "colsample_bytree": "0.7", "seed": "7"},
        {"colsample_bylevel": "0.7", "colsample_bynode": "0.8", "base_score": "0.5"},
        {"booster": "dart", "rate_drop": "0.3", "skip_drop": "0.2", "sample_type": "weighted"},
        {"booster": "dart", "one_drop": "1", "normalize_type": "forest"},
        {"booster": "gblinear", "updater": "coord_descent"},
    ],
    ids=lambda text: " ".join(f"{k}={v}" for k, v in text.items()) or "defaults",
)
def test_a_model_is_what_the_library_makes_of_all_rows_at_once(text: dict[str, str]) -> None:
    features, scores = numbers()
    hyperparameters = given(**text)
    objective = hyperparameters.objective.replace("reg:linear", "reg:squarederror")
    labels = labels_for(objective, scores)
    names = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_alpha": "alpha"}
    settings: dict[str, Any] = {names.get(k, k): v for k, v in text.items()}
    settings["objective"] = objective
    if "one_drop" in settings:
        settings["one_drop"] = 1
    wanted = direct(xgb.DMatrix(features, labels), **settings)
    for batch_rows in (37, 600):
        state = trained(hyperparameters, Batch(features, labels), batch_rows=batch_rows)
        assert XGBoost(hyperparameters).finalize(state).booster.tobytes() == wanted


def test_weights_count_and_may_stand_in_the_second_column() -> None:
    features, labels = numbers()
    weights = np.random.default_rng(1).random(len(labels)).astype(np.float32)
    wanted = direct(xgb.DMatrix(features, labels, weight=weights))
    beside = trained(given(), Batch(features, labels, weights))
    table = np.column_stack([weights, features])
    within = trained(given(csv_weights="1"), Batch(table, labels))
    assert beside.booster.tobytes() == wanted
    assert within.booster.tobytes() == wanted
    with pytest.raises(InvalidData, match="weights must be 0 or more; got -0.99"):
        trained(given(), Batch(features, labels, weights - 1))
    with pytest.raises(InvalidData, match="a label, a weight and a feature; got '1 column"):
        trained(given(csv_weights="1"), Batch(table[:, :1], labels))


def test_what_a_sparse_row_leaves_out_is_missing() -> None:
    features, labels = numbers(missing=0)
    features[np.abs(features) < 0.8] = 0
    matrix = xgb.DMatrix(scipy.sparse.csr_matrix(features), labels)
    assert trained(given(), Batch(to_csr(features), labels)).booster.tobytes() == direct(matrix)


def test_ranking_is_by_the_lists_that_rows_name_in_any_order() -> None:
    features, scores = numbers()
    labels = labels_for("rank:ndcg", scores)
    groups = np.sort(np.random.default_rng(0).integers(0, 40, len(labels)))
    weights = (groups % 3 + 1).astype(np.float32)
    first = np.unique(groups, return_index=True)[1]
    for weighed in (None, weights):
        matrix = xgb.DMatrix(
            features, labels, qid=groups, weight=None if weighed is None else weighed[first]
        )
        wanted = direct(matrix, objective="rank:ndcg")
        whole = Batch(features, labels, weighed, groups=groups)
        assert trained(given(objective="rank:ndcg"), whole).booster.tobytes() == wanted
        parts = [whole.take(np.flatnonzero(groups % 2 == i)) for i in (1, 0)]
        mixed = trained(given(objective="rank:ndcg"), concatenate(parts))
        model = XGBoost(given(objective="rank:ndcg")).finalize(mixed)
        assert model.booster.tobytes() == wanted


def test_times_that_are_censored_are_negative() -> None:
    features, scores = numbers()
    labels = labels_for("survival:aft", scores)
    matrix = xgb.DMatrix(features)
    upper = np.where(labels < 0, np.inf, np.abs(labels))
    matrix.set_info(label=labels, label_lower_bound=np.abs(labels), label_upper_bound=upper)
    wanted = direct(matrix, objective="survival:aft", aft_loss_distribution="logistic")
    text = {"objective": "survival:aft", "aft_loss_distribution": "logistic"}
    assert trained(given(**text), Batch(features, labels)).booster.tobytes() == wanted


@pytest.mark.parametrize("rounds", [3, 40])
def test_stopping_early_leaves_the_rounds_up_to_the_best(rounds: int) -> None:
    features, scores = numbers()
    labels = labels_for("binary:logistic", scores)
    train, held = (xgb.DMatrix(features[s], labels[s]) for s in (slice(0, 400), slice(400, 600)))
    stop = xgb.callback.EarlyStopping(
        rounds=rounds, data_name="validation", metric_name="auc", save_best=True
    )
    more = {"evals": [(train, "train"), (held, "validation")], "callbacks": [stop]}
    text = {"objective": "binary:logistic", "eval_metric": "logloss,auc"}
    settings = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"]}
    wanted = direct(train, 50, more, **settings)
    hyperparameters = given(**text, num_round="50", early_stopping_rounds=str(rounds))
    rows = Batch(features, labels)
    state = trained(hyperparameters, rows.rows(0, 400), rows.rows(400, 600))
    assert state.booster.tobytes() == wanted
    assert state.rounds == state.best.round + 1 < 50
    assert len(state.lines) == min(50, state.rounds + rounds)


def test_rows_on_disk_give_the_same_trees(tmp_path: Path) -> None:
    features, labels = numbers(2000)
    for rows in (Batch(features, labels), Batch(to_csr(np.nan_to_num(features)), labels)):
        text = {"early_stopping_rounds": "5", "subsample": "0.9"}
        parts = rows.rows(0, 1500), rows.rows(1500, 2000)
        in_memory = trained(given(**text), *parts)
        on_disk = trained(given(**text), *parts, scratch=tmp_path / "scratch", room=20_000)
        assert to_bytes(on_disk) == to_bytes(in_memory)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [{}, {"subsample": "0.5"}, {"booster": "dart"}])
def test_going_on_adds_rounds_as_the_library_does(text: dict[str, str]) -> None:
    features, labels = numbers()
    old, new = (xgb.DMatrix(features[s], labels[s]) for s in (slice(0, 300), slice(300, 600)))
    rows = Batch(features, labels)
    first = direct(old, **text)
    wanted = direct(new, 5, {"xgb_model": bytearray(first)}, **text)
    before = trained(given(**text), rows.rows(0, 300))
    assert before.booster.tobytes() == first
    later = given(**text, num_round="5")
    start = XGBoost(later).reopen(before)
    state = fit(XGBoost(later), Stream([rows.rows(300, 600)]), resume=Position(start))
    assert XGBoost(later).finalize(state).booster.tobytes() == wanted
    again = XGBoost(later).reopen(state)
    assert (again.inherited, again.last, again.asked) == (ROUNDS + 5, 5, 5)


def test_trees_of_an_earlier_model_can_be_refreshed() -> None:
    features, labels = numbers()
    rows = Batch(features, labels)
    before = trained(given(), rows.rows(0, 300))
    text = {"process_type": "update", "updater": "refresh", "refresh_leaf": "0"}
    settings = {"process_type": "update", "updater": "refresh", "refresh_leaf": 0}
    new = xgb.DMatrix(features[300:], labels[300:])
    wanted = direct(new, 9, {"xgb_model": bytearray(before.booster)}, **settings)
    update = given(**text, num_round="9")
    start = XGBoost(update).reopen(before)
    state = fit(XGBoost(update), Stream([rows.rows(300, 600)]), resume=Position(start))
    assert state.booster.tobytes() == wanted
    assert (state.inherited, state.rounds) == (0, 9)
    for start in (XGBoost(given(**text)).start(), before):
        too_many = XGBoost(given(**text, num_round="13"))
        position = Position(too_many.reopen(start) if len(start.booster) else start)
        with pytest.raises(Invalid, match="at most the rounds that it has; got 'num_round"):
            fit(too_many, Stream([rows]), resume=position)


def test_a_model_of_fewer_rounds_needs_no_rows() -> None:
    features, labels = numbers()
    rows = Batch(features, labels)
    state = trained(given(), rows)
    for rounds in (1, 7):
        shorter = XGBoost(given(num_round=str(rounds)))
        model = shorter.finalize(shorter.reopen(state))
        np.testing.assert_array_equal(
            model.predict(rows)["score"],
            XGBoost(given())
            .finalize(trained(given(num_round=str(rounds)), rows))
            .predict(rows)["score"],
        )
    longer = XGBoost(given(num_round="13"))
    with pytest.raises(Invalid, match="num_round can be 12 at most.*got 13"):
        longer.finalize(longer.reopen(state))
    other = XGBoost(given(objective="binary:logistic"))
    with pytest.raises(Invalid, match="objective and num_class must be those of the earlier"):
        other.reopen(state)


def test_of_what_was_added_only_the_last_rounds_can_be_left_out() -> None:
    features, labels = numbers()
    rows = Batch(features, labels)
    first, later = XGBoost(given(num_round="4")), XGBoost(given(num_round="6"))
    before = fit(first, Stream([rows]))
    state = fit(later, Stream([rows]), resume=Position(later.reopen(before)))
    for asked, found in (("6", 10), ("2", 6), ("1", 5)):
        again = XGBoost(given(num_round=asked))
        booster = again.finalize(again.reopen(state)).booster
        assert xgb.Booster(model_file=bytearray(booster)).num_boosted_rounds() == found


def test_threads_do_not_change_the_trees() -> None:
    features, labels = numbers(5000)
    one, two = (
        fit(XGBoost(given(nthread=n)), Stream([Batch(features, labels)])) for n in ("1", "2")
    )
    assert one.booster.tobytes() == two.booster.tobytes()


def test_a_model_is_a_dataclass_that_loads_when_it_is_asked() -> None:
    features, labels = numbers()
    model = XGBoost(given()).finalize(trained(given(), Batch(features, labels)))
    again = from_bytes(XGBoostModel, to_bytes(model))
    booster = xgb.Booster(model_file=bytearray(model.booster))
    np.testing.assert_array_equal(
        again.predict(Batch(features))["score"], booster.predict(xgb.DMatrix(features))
    )
    with pytest.raises(InvalidData, match="rows must have 6 features.*got '5 features'"):
        model.predict(Batch(features[:, :5]))

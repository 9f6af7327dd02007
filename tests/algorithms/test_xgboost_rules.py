"""What xgboost refuses, and in which words."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.algorithms.test_xgboost import given, labels_for, numbers, trained
from tidemill import registry
from tidemill.algorithms.xgboost import library
from tidemill.algorithms.xgboost.learner import XGBoost
from tidemill.algorithms.xgboost.parameters import parameters_of
from tidemill.data.batch import Batch
from tidemill.errors import Invalid, InvalidData, InvalidHyperparameter, Missing

pytest.importorskip("xgboost")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ({"objective": "multi:softmax"}, "num_class is required for multi:softmax"),
        ({"num_class": "3"}, "num_class is for the objectives multi:"),
        ({"eval_metric": "accuracy"}, "eval_metric accuracy is of classes"),
        ({"eval_metric": "auc"}, "eval_metric auc is for classification and ranking"),
        ({"eval_metric": "aft-nloglik"}, "aft-nloglik is for survival:aft"),
        ({"objective": "multi:softprob", "num_class": "3", "eval_metric": "f1_binary"},
         "f1_binary is of two classes"),
        ({"booster": "gblinear", "updater": "prune"}, "one of shotgun, coord_descent"),
        ({"updater": "shotgun"}, "updater must be some of grow_colmaker"),
        ({"process_type": "update"}, "some of refresh, prune.*got None"),
        ({"process_type": "update", "updater": "sync"}, "some of refresh, prune"),
        ({"updater": "grow_colmaker,grow_histmaker"}, "only one of grow_colmaker"),
        ({"tree_method": "approx", "monotone_constraints": "(1,0)"}, "auto, exact, hist, gpu_hist"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_each_other_are_refused(text: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidHyperparameter, match=words):
        XGBoost(given(**text))


@pytest.mark.parametrize(
    "text",
    [
        {"objective": "multi:softprob", "num_class": "3", "eval_metric": "auc,f1_macro"},
        {"objective": "reg:logistic", "eval_metric": "accuracy"},
        {"monotone_constraints": "1,-1,0", "interaction_constraints": "[[0, 1], [2]]"},
        {"updater": "grow_colmaker, prune"},
        {"learning_rate": "0.1", "min_split_loss": "1", "reg_lambda": "2", "reg_alpha": "1"},
        {"save_model_on_termination": "true", "use_dask_gpu_training": "false", "dsplit": "row"},
        {"prob_buffer_row": "1.5", "predictor": "cpu_predictor", "lambda_bias": "1"},
        {"deterministic_histogram": "true", "single_precision_histogram": "false"},
        {"_kfold": "5", "_num_cv_round": "3", "_tuning_objective_metric": "validation:rmse"},
    ],
)
def test_what_sagemaker_takes_is_taken(text: dict[str, str]) -> None:
    XGBoost(given(**text))


def test_the_library_is_given_what_was_asked_and_no_more() -> None:
    assert parameters_of(given(), 4) == {
        "objective": "reg:squarederror", "verbosity": 0, "nthread": 1,
    }  # fmt: skip
    text = {
        "lambda": "2", "eta": "0.1", "eval_metric": "mse,mae", "one_drop": "1",
        "tree_method": "approx", "sketch_eps": "0.01", "csv_weights": "1", "predictor": "auto",
    }  # fmt: skip
    assert parameters_of(given(**text)) == {
        "objective": "reg:squarederror", "verbosity": 0, "nthread": 1, "reg_lambda": 2.0,
        "eta": 0.1, "eval_metric": ["mae"], "one_drop": 1, "tree_method": "approx", "max_bin": 100,
    }  # fmt: skip
    assert parameters_of(given(tree_method="gpu_hist"))["tree_method"] == "hist"


@pytest.mark.parametrize(
    ("objective", "label", "words"),
    [
        ("binary:logistic", 1.5, "from 0 to 1; row 31 has another; got 1.5"),
        ("binary:hinge", 0.5, "0 or 1; row 31 has another; got 0.5"),
        ("reg:logistic", -0.1, "from 0 to 1"),
        ("count:poisson", -1, "0 or more; row 31 has another; got -1"),
        ("reg:tweedie", -1, "0 or more"),
        ("reg:gamma", 0, "above 0; row 31 has another; got 0"),
        ("reg:squaredlogerror", -1, "above -1"),
        ("multi:softmax", 3, "from 0 to 2, below num_class; row 31 has another; got 3"),
        ("multi:softprob", 0.5, "whole numbers from 0 to 2"),
        ("rank:map", 2, "0 or 1"),
        ("rank:ndcg", 0.5, "whole numbers from 0 on"),
        ("survival:cox", 0, "a time"),
    ],
)
def test_a_label_outside_the_objectives_range_is_told(
    objective: str, label: float, words: str
) -> None:
    features, scores = numbers(50)
    labels = labels_for(objective, scores)
    labels[30] = label
    classes = {"num_class": "3"} if objective.startswith("multi:") else {}
    with pytest.raises(InvalidData, match=f"labels of {objective} must be .*{words}"):
        trained(given(objective=objective, **classes), Batch(features, labels))


def test_rows_of_another_form_are_told() -> None:
    features, labels = numbers(50)
    for wrong in (None, np.column_stack([labels, labels])):
        with pytest.raises(InvalidData, match="every row must have one label"):
            trained(given(), Batch(features, wrong))
    wide = np.column_stack([features, labels])
    with pytest.raises(InvalidData, match="rows must have 6 features.*got '7 features'"):
        trained(given(), Batch(features, labels), Batch(wide, labels))
    algorithm = XGBoost(given())
    with pytest.raises(InvalidData, match="training needs rows"):
        algorithm.finalize(algorithm.close_pass(algorithm.start()))


def test_columns_that_are_missing_throughout_are_no_harm() -> None:
    features, labels = numbers(200)
    features[:, 2] = np.nan
    model = XGBoost(given()).finalize(trained(given(), Batch(features, labels)))
    assert np.isfinite(model.predict(Batch(features))["score"]).all()


def test_what_the_library_refuses_is_the_requests_fault() -> None:
    features, labels = numbers(50)
    with pytest.raises(Invalid, match=r"xgboost: what the library takes; got '[^/]*constraint"):
        trained(given(monotone_constraints="(1,1,1,1,1,1,1,1,1)"), Batch(features, labels))


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, labels = numbers(50)
    library.library.cache_clear()
    modules: dict[str, Any] = {"xgboost": None}
    with monkeypatch.context() as patched:
        for name, module in modules.items():
            patched.setitem(sys.modules, name, module)
        with pytest.raises(Missing, match=r"pip install 'tidemill\[xgboost\]'"):
            trained(given(), Batch(features, labels))
    library.library.cache_clear()


@pytest.mark.parametrize(
    "image",
    [
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:0.90-1-cpu-py3",
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest",
        "xgboost",
    ],
)
def test_both_repositories_are_this_algorithm(image: str) -> None:
    assert registry.name_of(image) == "xgboost"
    assert registry.check(image, {"num_round": "3", "lambda": "0"}).reg_lambda == 0

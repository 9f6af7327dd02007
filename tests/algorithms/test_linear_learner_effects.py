"""Every hyperparameter does what its documentation says: an experiment each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from tests.algorithms.test_linear_learner import answers, binary, draw, learner, numbers, train
from tidemill.algorithms.linear_learner.hyperparameters import LinearLearnerHyperparameters
from tidemill.algorithms.linear_learner.model import LinearModel
from tidemill.data.batch import Batch, Floats
from tidemill.errors import Invalid
from tidemill.testing.algorithm import Stream
from tidemill.training.loop import fit

EXPERIMENTS: dict[str, Callable[[], None]] = {}
B, M, R = "binary_classifier", "multiclass_classifier", "regressor"
# One model, plain descent over raw numbers: what a step does can be said in advance.
BARE: dict[str, object] = {
    "num_models": 1, "normalize_data": "false", "normalize_label": "false", "unbias_data": "false",
    "unbias_label": "false", "wd": 0, "l1": 0, "init_scale": 1e-30, "use_lr_scheduler": "false",
    "epochs": 1,
}  # fmt: skip
# Adam that forgets at once takes steps of just the learning rate, whatever the slope.
EVEN = {**BARE, "optimizer": "adam", "beta_1": 0, "beta_2": 0}


def shows(*names: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Marks the experiment that shows the effect of these hyperparameters."""

    def mark(experiment: Callable[[], None]) -> Callable[[], None]:
        EXPERIMENTS.update(dict.fromkeys(names, experiment))
        return experiment

    return mark


@pytest.mark.parametrize("name", [f.name for f in fields(LinearLearnerHyperparameters)])
def test_it_has_its_effect(name: str) -> None:
    EXPERIMENTS[name]()


def column(rows: int = 100, label: float = 1e6) -> Batch:
    """Ones, and a label that no number of steps reaches."""
    return Batch(np.ones((rows, 1), np.float32), np.full(rows, label, np.float32))


def walked(rows: Batch, kind: str = R, **given: object) -> tuple[float, float]:
    """Where weight and bias stand in the end (not their mean, which is served)."""
    state = train(kind, rows, **given)[1]
    assert state.iterate is not None
    return float(state.iterate.weights[0, 0]), float(state.iterate.weights[-1, 0])


def said(rows: Batch, **given: object) -> float:
    """How many rows a binary classifier says yes to."""
    return float(answers(train(B, rows, **given)[0], rows)["predicted_label"].sum())


def rates(rows: Batch, **given: object) -> tuple[float, float]:
    """Recall and precision of a binary classifier on its own rows."""
    yes = answers(train(B, rows, **given)[0], rows)["predicted_label"] == 1
    right = (yes & (rows.labels == 1)).sum()
    return right / (rows.labels == 1).sum(), right / max(1, yes.sum())


def skewed() -> Batch:
    """No features to speak of, and labels whose median, mean and quantiles lie apart."""
    draws = np.random.default_rng(0)
    labels = draws.exponential(size=2000).astype(np.float32)
    return Batch(np.zeros((2000, 1), np.float32), labels)


def middle(loss: str, **given: object) -> float:
    """The one number that a regressor predicts for the skewed labels."""
    model, _ = train(R, skewed(), loss=loss, epochs=60, mini_batch_size=500, learning_rate=0.02,
                     early_stopping_patience=99, **given)  # fmt: skip
    return float(model.bias)


@shows("predictor_type")
def _() -> None:
    rows = binary(300)
    assert list(answers(train(R, rows, epochs=1)[0], rows)) == ["score"]
    assert set(answers(train(B, rows, epochs=1)[0], rows)["predicted_label"]) <= {0, 1}


@shows("num_classes", "feature_dim")
def _() -> None:
    for count in (3, 5):
        model, _ = train(M, binary(300), num_classes=count, epochs=1)
        assert answers(model, binary(300))["score"].shape == (300, count)
    train(B, binary(300), feature_dim=6, epochs=1)
    with pytest.raises(Invalid, match="feature_dim = 7"):
        train(B, binary(300), feature_dim=7, epochs=1)


@shows("mini_batch_size")
def _() -> None:
    for size, steps in ((100, 10), (300, 4), (5000, 1)):
        state = train(B, binary(1000), mini_batch_size=size, epochs=1)[1]
        assert state.iterate is not None
        assert state.iterate.steps == steps


@shows("epochs", "num_models")
def _() -> None:
    for count in (1, 5, 40):
        state = train(B, binary(500), num_models=count, epochs=2)[1]
        assert state.best_loss is not None
        assert (len(state.best_loss), state.epoch) == (count, 2)


@shows("num_calibration_samples")
def _() -> None:
    state = train(B, binary(500), binary(900, 1), num_calibration_samples=333, epochs=1)[1]
    assert state.held is not None
    assert state.held.rows == 333


@shows("num_point_for_scaler")
def _() -> None:
    rows = binary(1000)
    for count in (50, 1000):
        state = train(B, rows, num_point_for_scaler=count, epochs=1)[1]
        assert state.scaler is not None
        np.testing.assert_allclose(state.scaler.mean, rows.dense()[:count].mean(0), rtol=1e-4)


@shows("loss")
def _() -> None:
    labels = skewed().labels
    assert labels is not None
    assert middle("squared_loss") == pytest.approx(labels.mean(), abs=0.02)
    assert middle("absolute_loss") == pytest.approx(np.median(labels), abs=0.02)


@shows("quantile")
def _() -> None:
    labels = skewed().labels
    assert labels is not None
    for quantile in (0.2, 0.9):
        wanted = np.quantile(labels, quantile)
        assert middle("quantile_loss", quantile=quantile) == pytest.approx(wanted, rel=0.04)


@shows("huber_delta")
def _() -> None:
    labels = skewed().labels
    assert labels is not None
    near, far = middle("huber_loss", huber_delta=0.01), middle("huber_loss", huber_delta=50)
    assert near == pytest.approx(np.median(labels), abs=0.03)
    assert far == pytest.approx(labels.mean(), abs=0.02)


@shows("loss_insensitivity")
def _() -> None:
    rows = numbers(1000)
    for loss in ("eps_insensitive_squared_loss", "eps_insensitive_absolute_loss"):
        for forgiven, moves in ((0.01, True), (1000, False)):
            weight, _ = walked(rows, loss=loss, num_models=1, loss_insensitivity=forgiven)
            assert (abs(weight) > 0.1) == moves


@shows("margin")
def _() -> None:
    rows = binary()
    spread = [
        np.abs(train(B, rows, loss="hinge_loss", margin=m, mini_batch_size=50, num_models=1,
                     wd=0, l1=0)[0].raw(rows)).mean()
        for m in (0.5, 1, 2)
    ]  # fmt: skip
    assert spread[1] == pytest.approx(2 * spread[0], rel=0.1)
    assert spread[2] == pytest.approx(2 * spread[1], rel=0.1)


@shows("optimizer", "learning_rate")
def _() -> None:
    rows = column(label=10)
    first = {"mini_batch_size": 100, **BARE, "learning_rate": 0.01, "bias_lr_mult": 1}
    assert walked(rows, **first, optimizer="sgd")[0] == pytest.approx(0.01 * 20)
    assert walked(rows, **first, optimizer="adam")[0] == pytest.approx(0.01)
    assert walked(rows, **first, optimizer="rmsprop")[0] == pytest.approx(0.01 / 0.1**0.5)
    twice = {**first, "learning_rate": 0.02}
    assert walked(rows, **twice, optimizer="adam")[0] == pytest.approx(0.02)


@shows("momentum")
def _() -> None:
    given = {**BARE, "mini_batch_size": 50, "optimizer": "sgd", "learning_rate": 1e-6}
    slope = 2e6 * 1e-6
    assert walked(column(), **given)[0] == pytest.approx(2 * slope, rel=1e-3)
    assert walked(column(), **given, momentum=0.5)[0] == pytest.approx(2.5 * slope, rel=1e-3)


@shows("beta_1", "beta_2")
def _() -> None:
    labels = np.float32([10, 10, -30, 40, 5, 5])
    rows = Batch(np.ones((6, 1), np.float32), labels)
    for beta_1, beta_2 in ((0.9, 0.999), (0.0, 0.999), (0.9, 0.5), (0.5, 0.0)):
        at = first = second = 0.0
        for count, label in enumerate(labels, 1):
            slope = 2 * (at - float(label))
            first = beta_1 * first + (1 - beta_1) * slope
            second = beta_2 * second + (1 - beta_2) * slope**2
            unbiased = second / (1 - beta_2**count)
            at -= 0.1 * first / (1 - beta_1**count) / (unbiased**0.5 + 1e-8)
        found, _ = walked(rows, **BARE, mini_batch_size=1, learning_rate=0.1, use_bias="false",
                          beta_1=beta_1, beta_2=beta_2)  # fmt: skip
        assert found == pytest.approx(at, rel=1e-3)


@shows("wd")
def _() -> None:
    sizes = [
        np.abs(train(R, numbers(), wd=wd, num_models=1)[0].weights).sum() for wd in (0, 0.5, 5)
    ]
    assert sizes[0] > 1.1 * sizes[1] > 1.2 * sizes[2]


@shows("l1")
def _() -> None:
    rows = numbers()
    empty = [
        int((train(R, rows, l1=l1, num_models=1, mini_batch_size=100)[0].weights == 0).sum())
        for l1 in (0, 0.2, 100)
    ]
    assert empty[0] == 0
    assert 1 <= empty[1] < 6
    assert empty[2] == 6


@shows("bias_lr_mult")
def _() -> None:
    for times in (0.5, 3):
        weight, bias = walked(column(), **EVEN, learning_rate=0.1, bias_lr_mult=times)
        assert bias == pytest.approx(times * weight, rel=1e-3)


@shows("bias_wd_mult")
def _() -> None:
    given = {**BARE, "wd": 1, "epochs": 100, "learning_rate": 0.2, "early_stopping_patience": 999}
    rows = Batch(np.zeros((100, 1), np.float32), np.full(100, 3, np.float32))
    free = walked(rows, **given, bias_wd_mult=0)[1]
    held = walked(rows, **given, bias_wd_mult=2)[1]
    assert free == pytest.approx(3, rel=0.01)
    assert held == pytest.approx(1.5, rel=0.01)  # 2 (b - 3) + 2 b = 0


@shows("use_bias")
def _() -> None:
    assert train(R, numbers(500), use_bias="false", epochs=2)[0].bias == 0
    assert train(R, numbers(500), epochs=2)[0].bias != 0


@shows("use_lr_scheduler", "lr_scheduler_step", "lr_scheduler_factor", "lr_scheduler_minimum_lr")
def _() -> None:
    given = {**EVEN, "mini_batch_size": 1, "learning_rate": 1}
    del given["use_lr_scheduler"]
    assert walked(column(40), **given, use_lr_scheduler="false")[0] == pytest.approx(40)
    decayed = {**given, "lr_scheduler_step": 10, "lr_scheduler_factor": 0.5}
    assert walked(column(40), **decayed)[0] == pytest.approx(10 + 5 + 2.5 + 1.25)
    assert walked(column(40), **decayed, lr_scheduler_minimum_lr=0.4)[0] == pytest.approx(
        10 + 5 + 4 + 4
    )
    assert walked(column(40), **{**decayed, "lr_scheduler_step": 20})[0] == pytest.approx(20 + 10)


@shows("init_method", "init_scale", "init_sigma", "init_bias")
def _() -> None:
    draws = np.random.default_rng(0)
    rows = Batch(draws.normal(size=(8, 4000)).astype(np.float32), np.zeros(8, np.float32))
    stand = {**BARE, "learning_rate": 1e-12}

    def first(**given: object) -> Floats:
        state = train(R, rows, **{**stand, **given})[1]
        assert state.iterate is not None
        return state.iterate.weights[:, 0]

    for scale in (0.07, 0.5):
        even = first(init_method="uniform", init_scale=scale)[:-1]
        assert 0.95 * scale < np.abs(even).max() <= scale
        assert even.std() == pytest.approx(scale / 3**0.5, rel=0.05)
    for sigma in (0.01, 0.3):
        normal = first(init_method="normal", init_sigma=sigma)[:-1]
        assert normal.std() == pytest.approx(sigma, rel=0.05)
        assert np.abs(normal).max() > 3 * sigma
    assert first(init_bias=2.5)[-1] == pytest.approx(2.5)


@shows("normalize_data", "unbias_data", "normalize_label", "unbias_label")
def _() -> None:
    rows = numbers(1000)
    labels = rows.labels
    assert labels is not None
    one = {"epochs": 1, "num_models": 1}

    def scaler(**given: object) -> tuple[Floats, Floats, float, float]:
        made = train(R, rows, **one, **given)[1].scaler
        assert made is not None
        return made.mean, made.inverse, made.label_mean, made.label_scale

    mean, inverse, label_mean, label_scale = scaler()
    np.testing.assert_allclose(mean, rows.dense().mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(inverse, 1 / rows.dense().std(0), rtol=1e-3)
    assert label_mean == pytest.approx(labels.mean(), rel=1e-3)
    assert label_scale == pytest.approx(labels.std(), rel=1e-3)
    assert (scaler(normalize_data="false")[1] == 1).all()
    assert not scaler(unbias_data="false")[0].any()
    assert scaler(normalize_label="false")[3] == 1
    assert scaler(unbias_label="false")[2] == 0
    assert not scaler(use_bias="false")[0].any(), "auto centres only where a bias can make up"
    assert train(B, binary(500), **one, normalize_label="true")[0].label_scale == 1


def rare() -> Batch:
    features, scores = draw()
    return Batch(features, (scores > 5).astype(np.float32))


def by(criterion: str, **given: object) -> dict[str, object]:
    return {"binary_classifier_model_selection_criteria": criterion, "mini_batch_size": 100,
            **given}  # fmt: skip


@shows("binary_classifier_model_selection_criteria", "target_recall", "target_precision")
def _() -> None:
    rows = rare()
    for target in (0.5, 0.9):
        recall, _ = rates(rows, **by("precision_at_target_recall", target_recall=target))
        assert target <= recall < target + 0.05
    for target in (0.6, 0.9):
        _, precision = rates(rows, **by("recall_at_target_precision", target_precision=target))
        assert target - 0.03 < precision < target + 0.1
    assert train(B, rows, **by("loss_function"))[0].threshold == 0
    assert train(B, rows, **by("cross_entropy_loss"))[0].threshold == 0
    assert said(rows, **by("f1")) > said(rows, **by("accuracy"))


@shows("f_beta")
def _() -> None:
    yes = [said(rare(), **by("f_beta", f_beta=beta)) for beta in (0.3, 1, 4)]
    assert yes[0] < yes[1] < yes[2]


@shows("positive_example_weight_mult")
def _() -> None:
    yes = [
        said(rare(), **by("loss_function", positive_example_weight_mult=weight))
        for weight in (0.3, 1, 5)
    ]
    assert yes[0] < yes[1] < yes[2]
    recall, _ = rates(rare(), **by("loss_function", positive_example_weight_mult="balanced"))
    assert recall > 0.7
    auto = said(rare(), **by("loss_function", positive_example_weight_mult="auto"))
    assert auto == yes[1]


@shows("balance_multiclass_weights")
def _() -> None:
    features, scores = draw()
    rows = Batch(features, np.digitize(scores, [0, 6]).astype(np.float32))
    given = {"num_classes": 3, "num_models": 2, "mini_batch_size": 100}
    yes = []
    for even in ("false", "true"):
        model, _ = train(M, rows, balance_multiclass_weights=even, **given)
        yes.append(int((answers(model, rows)["predicted_label"] == 2).sum()))
    assert yes[1] > 2 * yes[0]


@shows("accuracy_top_k")
def _() -> None:
    features, scores = draw(800)
    rows = Batch(features, np.digitize(scores, [-2, 0, 2]).astype(np.float32))
    found = []
    for k in (1, 2, 4):
        algorithm = learner(M, num_classes=4, accuracy_top_k=k, epochs=3, num_models=1)
        model: LinearModel = algorithm.finalize(fit(algorithm, Stream([rows])))
        quality = algorithm.evaluate(model, rows)
        assert quality is not None
        value = {m.name: m.value for m in quality.measures()}
        found.append(value[f"multiclass_top_k_accuracy_{k}"])
        assert k > 1 or found[0] == value["multiclass_accuracy"]
    assert found[0] < found[1] < found[2] == 1


@shows("early_stopping_patience", "early_stopping_tolerance")
def _() -> None:
    rows = binary(1000)
    given = {"epochs": 60, "mini_batch_size": 100, "num_models": 1}

    def epochs(**more: object) -> int:
        return train(B, rows, **given, **more)[1].epoch

    assert epochs(early_stopping_patience=1) < epochs(early_stopping_patience=6) < 60
    assert epochs(early_stopping_patience=61) == 60
    assert epochs(early_stopping_tolerance=0.5) < epochs(early_stopping_tolerance=1e-9)

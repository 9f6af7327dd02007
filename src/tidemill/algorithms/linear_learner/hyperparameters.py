"""Every hyperparameter of linear learner, as SageMaker documents it."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter
from tidemill.errors import InvalidHyperparameter

NAME = "linear-learner"
BINARY, MULTICLASS, REGRESSOR = "binary_classifier", "multiclass_classifier", "regressor"

LOSSES = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: (
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
}
"""The losses of each predictor type; the first is what ``auto`` means."""

CRITERIA = (
    "accuracy",
    "f_beta",
    "f1",
    "precision_at_target_recall",
    "recall_at_target_precision",
    "loss_function",
    "cross_entropy_loss",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLearnerHyperparameters:
    """What a training job may set; None stands for ``auto``."""

    predictor_type: str = hyperparameter("choice", "what is predicted", choices=tuple(LOSSES))
    num_classes: int | None = hyperparameter(
        "int", "classes of a multiclass classifier", default=None, low=3, high=1_000_000
    )
    feature_dim: int | None = hyperparameter(
        "int", "columns of the features; auto takes them from the data", default=None, low=1,
        auto=True,
    )  # fmt: skip
    mini_batch_size: int = hyperparameter(
        "int", "rows a step", default=1000, low=1, tunable=Range(100, 5000)
    )
    epochs: int = hyperparameter("int", "most passes over the data", default=15, low=1)
    num_models: int | None = hyperparameter(
        "int", "candidates trained side by side; auto is 32 where they fit", default=None, low=1,
        auto=True,
    )  # fmt: skip
    num_calibration_samples: int | None = hyperparameter(
        "int", "most rows that thresholds are calibrated on", default=None, low=1, auto=True
    )
    num_point_for_scaler: int = hyperparameter(
        "int", "rows that means and deviations are taken from", default=10_000, low=1
    )
    loss: str | None = hyperparameter(
        "choice", "what is minimised", default=None, auto=True,
        choices=tuple(name for names in LOSSES.values() for name in names),
    )  # fmt: skip
    optimizer: str | None = hyperparameter(
        "choice", "how steps are made; auto is adam", default=None, auto=True,
        choices=("sgd", "adam", "rmsprop"),
    )  # fmt: skip
    learning_rate: float | None = hyperparameter(
        "float", "size of a step", default=None, low=0, open_low=True, auto=True,
        tunable=Range(1e-5, 1),
    )  # fmt: skip
    wd: float | None = hyperparameter(
        "float", "weight decay (L2)", default=None, low=0, auto=True, tunable=Range(1e-7, 1)
    )
    l1: float | None = hyperparameter(
        "float", "L1 penalty", default=None, low=0, auto=True, tunable=Range(1e-7, 1)
    )
    momentum: float | None = hyperparameter(
        "float", "momentum of sgd", default=None, low=0, high=1, auto=True
    )
    beta_1: float | None = hyperparameter(
        "float", "decay of adam's first moment", default=None, low=0, high=1, auto=True
    )
    beta_2: float | None = hyperparameter(
        "float", "decay of adam's second moment", default=None, low=0, high=1, auto=True
    )
    bias_lr_mult: float | None = hyperparameter(
        "float", "learning rate of the bias, in learning rates", default=None, low=0,
        open_low=True, auto=True,
    )  # fmt: skip
    bias_wd_mult: float | None = hyperparameter(
        "float", "weight decay of the bias, in weight decays", default=None, low=0, auto=True
    )
    use_bias: bool = hyperparameter(
        "bool", "whether the model has a bias", default=True, tunable=("True", "False")
    )
    use_lr_scheduler: bool = hyperparameter(
        "bool", "whether the learning rate decays", default=True
    )
    lr_scheduler_step: int | None = hyperparameter(
        "int", "steps between two decays", default=None, low=1, auto=True
    )
    lr_scheduler_factor: float | None = hyperparameter(
        "float", "what a decay multiplies by", default=None, low=0, high=1, open_low=True,
        open_high=True, auto=True,
    )  # fmt: skip
    lr_scheduler_minimum_lr: float | None = hyperparameter(
        "float", "where the decay ends", default=None, low=0, open_low=True, auto=True
    )
    init_method: str = hyperparameter(
        "choice", "how weights begin", default="uniform", choices=("uniform", "normal")
    )
    init_scale: float = hyperparameter(
        "float", "uniform weights begin within ± this", default=0.07, low=0, open_low=True
    )
    init_sigma: float = hyperparameter(
        "float", "deviation of normal first weights", default=0.01, low=0, open_low=True
    )
    init_bias: float = hyperparameter("float", "the first bias", default=0.0)
    normalize_data: bool | None = hyperparameter(
        "bool", "whether columns are scaled", default=True, auto=True
    )
    normalize_label: bool | None = hyperparameter(
        "bool", "whether a regressor's labels are scaled", default=None, auto=True
    )
    unbias_data: bool | None = hyperparameter(
        "bool", "whether columns are centred; auto: dense ones, with use_bias", default=None,
        auto=True,
    )  # fmt: skip
    unbias_label: bool | None = hyperparameter(
        "bool", "whether a regressor's labels are centred; auto: with use_bias", default=None,
        auto=True,
    )  # fmt: skip
    binary_classifier_model_selection_criteria: str = hyperparameter(
        "choice", "what the best candidate and its threshold are chosen by", default="accuracy",
        choices=CRITERIA,
    )  # fmt: skip
    target_recall: float = hyperparameter(
        "float", "recall to reach", default=0.8, low=0, high=1, open_low=True, open_high=True
    )
    target_precision: float = hyperparameter(
        "float", "precision to reach", default=0.8, low=0, high=1, open_low=True, open_high=True
    )
    f_beta: float = hyperparameter(
        "float", "weight of recall in the F score", default=1.0, low=0, open_low=True
    )
    positive_example_weight_mult: float | str | None = hyperparameter(
        "float", "weight of a positive row; balanced gives both classes the same sum",
        default=1.0, low=0, open_low=True, auto=True, words=("balanced",),
        tunable=Range(1e-5, 1e5),
    )  # fmt: skip
    balance_multiclass_weights: bool = hyperparameter(
        "bool", "whether every class has the same sum of weights", default=False
    )
    accuracy_top_k: int = hyperparameter(
        "int", "guesses allowed by the top-k accuracy", default=3, low=1
    )
    early_stopping_patience: int = hyperparameter(
        "int",
        "passes in a row without gain in the loss (of validation, else of train) after "
        "which training ends; more than epochs: never",
        default=3,
        low=1,
    )
    early_stopping_tolerance: float = hyperparameter(
        "float",
        "relative gain, of the leading candidate on its own best pass, that counts",
        default=0.001,
        low=0,
        open_low=True,
    )
    margin: float = hyperparameter(
        "float", "margin of the hinge loss", default=1.0, low=0, open_low=True
    )
    quantile: float = hyperparameter(
        "float", "quantile of the quantile loss", default=0.5, low=0, high=1, open_low=True,
        open_high=True,
    )  # fmt: skip
    loss_insensitivity: float = hyperparameter(
        "float", "error that the eps losses forgive", default=0.01, low=0, open_low=True
    )
    huber_delta: float = hyperparameter(
        "float", "error where the huber loss turns linear", default=1.0, low=0, open_low=True
    )

    @property
    def outputs(self) -> int:
        """Scores a row: one, or one a class."""
        return (self.num_classes or 1) if self.predictor_type == MULTICLASS else 1


def check_together(given: LinearLearnerHyperparameters) -> None:
    """Raise InvalidHyperparameter where values that are right alone do not fit each other."""
    allowed = LOSSES[given.predictor_type]
    if given.loss is not None and given.loss not in allowed:
        raise InvalidHyperparameter(
            f"{NAME}: loss of a {given.predictor_type} must be auto or one of {', '.join(allowed)}",
            got=given.loss,
            do="Change 'loss' or 'predictor_type' in HyperParameters.",
        )
    if given.predictor_type == MULTICLASS and given.num_classes is None:
        raise InvalidHyperparameter(
            f"{NAME}: num_classes is required of a {MULTICLASS} and must be an integer of "
            "at least 3 and at most 1000000",
            got=None,
            do="Add 'num_classes' to HyperParameters.",
        )

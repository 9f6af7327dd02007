"""Every hyperparameter of factorization machines, as SageMaker documents it, and two of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tidemill.algorithms.hyperparameters import Range, hyperparameter

NAME = "factorization-machines"
BINARY, REGRESSOR = "binary_classifier", "regressor"
METHODS = ("uniform", "normal", "constant")

Kind = Literal["bias", "linear", "factors"]
_TRIED = Range(1e-8, 512)
_SCALE = 0.07


class Start(NamedTuple):
    """How one kind of parameter begins. size: sigma, scale or value, by the method"""

    method: str
    size: float


def _rate(of: str, default: float) -> Any:
    doc = f"Learning rate of {of}."
    return hyperparameter("float", doc, default=default, low=0, tunable=_TRIED)


def _decay(of: str, default: float, **more: Any) -> Any:
    doc = f"L2 penalty of {of}, in the steps that touch it."
    return hyperparameter(
        "float", doc + more.pop("doc", ""), default=default, low=0, tunable=_TRIED, **more
    )


def _method(of: str) -> Any:
    doc = f"Beginning of {of}: uniform in ± scale, normal with sigma, or constant."
    return hyperparameter("choice", doc, default="normal", choices=METHODS, tunable=METHODS)


def _sigma(default: float) -> Any:
    doc = "Standard deviation, where the method is normal."
    return hyperparameter("float", doc, default=default, low=0, tunable=_TRIED)


def _scale() -> Any:
    doc = f"Bound, where the method is uniform; {_SCALE} when not given."
    return hyperparameter("float", doc, default=None, low=0, tunable=_TRIED)


def _value() -> Any:
    doc = "Value, where the method is constant; 0 when not given."
    return hyperparameter("float", doc, default=None, tunable=_TRIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorizationMachinesHyperparameters:
    """What a training job may set."""

    feature_dim: int = hyperparameter("int", "Columns of the rows.", low=1)
    num_factors: int = hyperparameter(
        "int", "Numbers that stand for a feature where it meets others.", low=1
    )
    predictor_type: str = hyperparameter(
        "choice",
        "Squared loss, or logistic loss of labels 0 and 1.",
        choices=(BINARY, REGRESSOR),
    )
    epochs: int = hyperparameter(
        "int", "Passes over the rows.", default=1, low=1, tunable=Range(1, 1000)
    )
    mini_batch_size: int = hyperparameter(
        "int", "Rows a step.", default=1000, low=1, tunable=Range(100, 10000)
    )
    bias_lr: float = _rate("the bias", 0.1)
    linear_lr: float = _rate("linear weights", 0.001)
    factors_lr: float = _rate("factors", 0.0001)
    bias_wd: float = _decay("the bias", 0.01)
    linear_wd: float | None = _decay(
        "a linear weight", 0.001, auto=True, doc=" auto: as for factors. (auto is Tidemill's own.)"
    )
    factors_wd: float | None = _decay(
        "a factor", 0.00001, auto=True,
        doc=" auto: a prior that weakens as the loss falls. (auto is Tidemill's own.)",
    )  # fmt: skip
    bias_init_method: str = _method("the bias")
    bias_init_sigma: float = _sigma(0.01)
    bias_init_scale: float | None = _scale()
    bias_init_value: float | None = _value()
    linear_init_method: str = _method("linear weights")
    linear_init_sigma: float = _sigma(0.01)
    linear_init_scale: float | None = _scale()
    linear_init_value: float | None = _value()
    factors_init_method: str = _method("factors")
    factors_init_sigma: float = _sigma(0.001)
    factors_init_scale: float | None = _scale()
    factors_init_value: float | None = _value()
    clip_gradient: float | None = hyperparameter(
        "float", "Bound that every slope is clipped to, either way.", default=None, low=0,
        open_low=True,
    )  # fmt: skip
    rescale_grad: float | None = hyperparameter(
        "float",
        "What a mini-batch's summed slopes are multiplied by; one over its rows when not given.",
        default=None,
        low=0,
        open_low=True,
    )
    eps: float | None = hyperparameter(
        "float", "What keeps Adam from dividing by zero; 1e-8 when not given.", default=None,
        low=0, open_low=True,
    )  # fmt: skip
    use_lr_scheduler: bool = hyperparameter(
        "bool",
        "Whether learning rates fall to zero, evenly over the epochs. (Tidemill's own.)",
        default=False,
    )

    @property
    def is_logistic(self) -> bool:
        return self.predictor_type == BINARY

    def begins(self, kind: Kind) -> Start:
        """How this kind of parameter begins."""
        method = getattr(self, f"{kind}_init_method")
        if method == "normal":
            return Start(method, getattr(self, f"{kind}_init_sigma"))
        if method == "uniform":
            scale = getattr(self, f"{kind}_init_scale")
            return Start(method, _SCALE if scale is None else scale)
        return Start(method, getattr(self, f"{kind}_init_value") or 0.0)

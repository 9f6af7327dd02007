"""What can be set of principal components: the documented names, defaults and ranges."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import hyperparameter

REGULAR, RANDOMIZED = "regular", "randomized"
_LEAST_EXTRA = 10


@dataclass(frozen=True, slots=True)
class PcaHyperparameters:
    """The documented hyperparameters of ``pca``; None stands for ``auto``."""

    num_components: int = hyperparameter("int", "Components to find.", low=1)
    feature_dim: int | None = hyperparameter(
        "int",
        "Columns of the input; auto takes them from the data.",
        default=None,
        low=1,
        auto=True,
    )
    mini_batch_size: int | None = hyperparameter(
        "int",
        "Rows read at once, at least; the outcome does not depend on it.",
        default=None,
        low=1,
        auto=True,
    )
    algorithm_mode: str = hyperparameter(
        "choice",
        "regular keeps the products of every two columns and is exact; randomized keeps a sketch, "
        "for many columns.",
        default=REGULAR,
        choices=(REGULAR, RANDOMIZED),
    )
    extra_components: int = hyperparameter(
        "int",
        "Directions that a sketch keeps beyond num_components; -1 stands for num_components, or "
        "10 if that is more.",
        default=-1,
        low=-1,
    )
    subtract_mean: bool = hyperparameter(
        "bool", "Whether the mean is taken off the rows, in training and in answers.", default=True
    )

    @property
    def directions(self) -> int:
        """How many a sketch keeps."""
        extra = self.extra_components
        if extra < 0:
            extra = max(_LEAST_EXTRA, self.num_components)
        return self.num_components + extra

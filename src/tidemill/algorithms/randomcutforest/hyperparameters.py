"""What can be set of a random cut forest: the documented names, defaults and ranges."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter

NAME = "randomcutforest"
ACCURACY, PRECISION_RECALL_FSCORE = "accuracy", "precision_recall_fscore"


@dataclass(frozen=True, slots=True)
class RandomCutForestHyperparameters:
    """The documented hyperparameters of ``randomcutforest``."""

    feature_dim: int = hyperparameter("int", "Columns of the input.", low=1, high=10_000)
    num_trees: int = hyperparameter(
        "int",
        "Trees in the forest.",
        default=100,
        low=50,
        high=1_000,
        tunable=Range(50, 1_000),
    )
    num_samples_per_tree: int = hyperparameter(
        "int",
        "Rows that each tree grows from; about 1 / the share of anomalies serves well.",
        default=256,
        low=1,
        high=2_048,
        tunable=Range(1, 2_048),
    )
    eval_metrics: tuple[str, ...] = hyperparameter(
        "list",
        "What to tell of the test channel, where a row is said to be an anomaly when its score is "
        "more than three standard deviations above the mean of the channel's scores.",
        default=(ACCURACY, PRECISION_RECALL_FSCORE),
        choices=(ACCURACY, PRECISION_RECALL_FSCORE),
    )

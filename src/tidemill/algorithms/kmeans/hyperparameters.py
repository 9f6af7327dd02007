"""What can be set of k-means: the documented names, defaults and ranges."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter

METHODS = ("random", "kmeans++")


@dataclass(frozen=True, slots=True)
class KMeansHyperparameters:
    """The documented hyperparameters of ``kmeans``; None stands for ``auto``."""

    k: int = hyperparameter("int", "Clusters to find.", low=1)
    feature_dim: int | None = hyperparameter(
        "int",
        "Columns of the input; auto takes them from the data.",
        default=None,
        low=1,
        auto=True,
    )
    epochs: int = hyperparameter(
        "int",
        "Passes over the data, at most: those after the first are exact Lloyd iterations.",
        default=1,
        low=1,
        tunable=Range(1, 10),
    )
    extra_center_factor: int | None = hyperparameter(
        "int",
        "While streaming, keep this many times k centres; auto is 10.",
        default=None,
        low=1,
        auto=True,
        tunable=Range(4, 10),
    )
    init_method: str = hyperparameter(
        "choice",
        "How the first mini-batch gives the first centres.",
        default="random",
        choices=METHODS,
        words=("k-means++",),
        tunable=METHODS,
    )
    half_life_time_size: int = hyperparameter(
        "int",
        "After this many further points an observation counts half; 0 keeps all alike.",
        default=0,
        low=0,
    )
    local_lloyd_init_method: str = hyperparameter(
        "choice",
        "How the local Lloyd runs start.",
        default="kmeans++",
        choices=METHODS,
        words=("k-means++",),
    )
    local_lloyd_max_iter: int = hyperparameter(
        "int", "Iterations of a local Lloyd run, at most.", default=300, low=1
    )
    local_lloyd_tol: float = hyperparameter(
        "float",
        "Lloyd's iterations end when the loss falls by less than this share.",
        default=0.0001,
        low=0.0,
        high=1.0,
    )
    local_lloyd_num_trials: int | None = hyperparameter(
        "int", "Local Lloyd runs, the best is kept; auto is 10.", default=None, low=1, auto=True
    )
    mini_batch_size: int = hyperparameter(
        "int", "Rows a mini-batch.", default=5000, low=1, tunable=Range(3000, 15000)
    )
    eval_metrics: tuple[str, ...] = hyperparameter(
        "list",
        "What to tell of the test channel: mean (msd), sum (ssd) of squared distances.",
        default=("msd",),
        choices=("msd", "ssd"),
    )

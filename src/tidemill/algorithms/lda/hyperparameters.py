"""What can be set of lda: the documented names, defaults and ranges, and what refines topics."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.algorithms.hyperparameters import Range, hyperparameter

NAME = "lda"


@dataclass(frozen=True, slots=True)
class LdaHyperparameters:
    """The documented hyperparameters of ``lda``, and two of our own: ``epochs`` and ``eta``."""

    num_topics: int = hyperparameter("int", "Topics to find.", low=1, tunable=Range(1, 150))
    feature_dim: int = hyperparameter(
        "int", "Words of the vocabulary: columns of the input.", low=1
    )
    mini_batch_size: int = hyperparameter(
        "int",
        "Documents a batch, at most; it changes no result, and large ones are read in parts.",
        low=1,
    )
    alpha0: float = hyperparameter(
        "float",
        "Concentration of the mixtures: the smaller, the fewer topics a document has.",
        default=1.0,
        low=0.0,
        open_low=True,
        tunable=Range(0.1, 10),
    )
    max_restarts: int = hyperparameter(
        "int",
        "Starts of the alternating least squares; the best one goes on.",
        default=10,
        low=1,
    )
    max_iterations: int = hyperparameter(
        "int", "Iterations of the alternating least squares, at most.", default=1000, low=1
    )
    tol: float = hyperparameter(
        "float",
        "They end when the share of the tensor left unexplained falls by less than this.",
        default=1e-8,
        low=0.0,
        open_low=True,
    )
    epochs: int = hyperparameter(
        "int",
        "Passes of expectation maximisation after the spectral method; 0 is the plain method.",
        default=3,
        low=0,
    )
    eta: float = hyperparameter(
        "float",
        "Smoothing: how often every word came in every topic before any was read.",
        default=0.05,
        low=0.0,
        open_low=True,
    )

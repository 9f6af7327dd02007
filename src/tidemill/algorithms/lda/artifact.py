"""The file that SageMaker's lda leaves, ``model_algo-1``: alpha and beta as MXNet saves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.algorithms.lda.hyperparameters import NAME
from tidemill.algorithms.lda.model import LdaModel
from tidemill.artifact.ndarrays import decode_list, encode_list
from tidemill.errors import InvalidData

FILE = "model_algo-1"


def exports(model: LdaModel) -> Mapping[str, bytes]:
    """The model for ``mxnet.nd.load``: alpha (topics,) and beta (topics, words)."""
    return {FILE: encode_list([model.alpha, model.beta])}


def imports(directory: Path) -> LdaModel:
    """The model of an artifact that SageMaker wrote, or a user from its alpha and beta.

    Rows of beta are scaled to sum to 1. Raises InvalidData.
    """
    path = directory / FILE
    if not path.is_file():
        got = sorted(found.name for found in directory.iterdir())
        raise _error(f"a model.tar.gz with the file {FILE}", got)
    arrays = decode_list(path.read_bytes(), FILE)
    shapes = [array.shape for array in arrays]
    if len(arrays) != 2 or len(shapes[0]) != 1 or len(shapes[1]) != 2 or not arrays[1].size:
        raise _error("alpha (topics,) and beta (topics, words)", shapes)
    alpha, beta = arrays
    if len(alpha) != len(beta):
        raise _error("alpha and beta of as many topics", shapes)
    if not (_is_finite(alpha) and (alpha > 0).all()):
        raise _error("an alpha above 0 for every topic", alpha.tolist())
    sums = beta.sum(axis=1, keepdims=True, dtype=np.float64)
    if not (_is_finite(beta) and (beta >= 0).all() and (sums > 0).all()):
        raise _error("chances of words of at least 0, not all 0 in a topic", "others")
    return LdaModel(alpha.astype(np.float32), (beta / sums).astype(np.float32))


def _is_finite(array: NDArray[Any]) -> bool:
    return bool(np.isfinite(array).all())


def _error(wanted: str, got: object) -> InvalidData:
    return InvalidData(
        f"{NAME}: {wanted}", got=got, do=f"Save [alpha, beta] by mxnet.nd.save as {FILE}."
    )

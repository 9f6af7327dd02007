"""How features begin: a function of the seed and the feature, however many there are."""

from __future__ import annotations

import numpy as np

from tidemill.algorithms.factorization_machines.hyperparameters import (
    FactorizationMachinesHyperparameters,
    Start,
)
from tidemill.data.batch import Floats
from tidemill.kernels.factorization_machines import HEAD, WEIGHT, stride_of, width_of

_BLOCK = 4096
_BIAS, _LINEAR, _FACTORS = range(3)


def records(
    given: FactorizationMachinesHyperparameters, seed: int, first: int, last: int
) -> Floats:
    """Records of the features first..last that no row has touched."""
    factors = given.num_factors
    found = np.zeros((last - first, stride_of(width_of(factors))), np.float32)
    for block in range(first // _BLOCK, -(-last // _BLOCK)):
        start, stop = max(first, block * _BLOCK), min(last, (block + 1) * _BLOCK)
        ours, drawn = slice(start - first, stop - first), slice(start % _BLOCK, None)
        rows = stop - start
        linear = _draw(given.begins("linear"), seed, _LINEAR, block, (_BLOCK,))
        found[ours, WEIGHT] = linear[drawn][:rows]
        own = _draw(given.begins("factors"), seed, _FACTORS, block, (_BLOCK, factors))
        found[ours, HEAD : HEAD + factors] = own[drawn][:rows]
    return found


def bias(given: FactorizationMachinesHyperparameters, seed: int) -> Floats:
    """(HEAD,) the bias as a record begins."""
    found = np.zeros(HEAD, np.float32)
    found[WEIGHT] = _draw(given.begins("bias"), seed, _BIAS, 0, (1,))[0]
    return found


def _draw(start: Start, seed: int, what: int, block: int, shape: tuple[int, ...]) -> Floats:
    if start.method == "constant" or not start.size:
        return np.full(shape, start.size if start.method == "constant" else 0, np.float32)
    key = np.array([seed, what], np.uint64)
    # The counter's highest word, for the generator itself counts in the lowest.
    draws = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, block]))
    if start.method == "normal":
        return draws.standard_normal(shape, np.float32) * np.float32(start.size)
    return (draws.random(shape, np.float32) * 2 - 1) * np.float32(start.size)

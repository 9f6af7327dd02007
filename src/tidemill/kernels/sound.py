"""Whether arrays are what they claim to be, for those that come from somebody's file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def require(holds: bool, what: str) -> None:
    """Raise ValueError unless it holds. what: that should hold"""
    if not holds:
        raise ValueError(f"{what}: that does not hold")


def shaped(name: str, array: NDArray[Any] | None, *shape: int | None) -> None:
    """Raise ValueError unless an array, if there is one, has this shape; None: any length."""
    if array is None:
        return
    fits = array.ndim == len(shape) and all(
        wanted is None or wanted == length
        for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        lengths = ", ".join("any" if wanted is None else str(wanted) for wanted in shape)
        raise ValueError(f"{name} must be of shape ({lengths}), not {array.shape}")


def within(name: str, array: NDArray[Any], low: int, high: int) -> None:
    """Raise ValueError unless all are from low to below high."""
    if array.size and not (low <= array.min() and array.max() < high):
        raise ValueError(f"{name} must be from {low} to below {high}")


def rising(name: str, array: NDArray[Any], *, strictly: bool = False) -> None:
    """Raise ValueError where a number is less than the one before or, strictly, the same.

    Numbers are compared: the difference of two large ones overflows.
    """
    falls = np.less_equal if strictly else np.less
    if falls(array[1:], array[:-1]).any():
        raise ValueError(f"{name} must be rising")


def bounds(name: str, array: NDArray[Any], parts: int | None, end: int) -> None:
    """Raise ValueError unless each part, from one number of the array to the next, is within 0 to
    end. parts: how many there are, None: any number"""
    shaped(name, array, None if parts is None else parts + 1)
    if not len(array) or array[0] < 0 or array[-1] > end:
        raise ValueError(f"{name} must be from 0 to {end}")
    rising(name, array)


def finite(name: str, array: NDArray[Any] | None) -> None:
    """Raise ValueError where a number is none, or infinite."""
    if (
        array is not None
        and array.size
        and not (
            np.isfinite(array.min()) and np.isfinite(array.max())  # no number spreads to both
        )
    ):
        raise ValueError(f"{name} must be finite numbers")


def counted(name: str, array: NDArray[Any] | None) -> None:
    """Raise ValueError unless all numbers are finite, and none is below zero."""
    finite(name, array)
    if array is not None and array.size and not array.min() >= 0:
        raise ValueError(f"{name} must be no less than 0")


def between(name: str, value: float, low: float, high: float = 2**53) -> None:
    """Raise ValueError unless a number is from low to high."""
    if not low <= value <= high:  # NaN is not
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")

"""Blocks of work on all cores, for algorithms that take a ``map`` to spread them with."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tidemill.algorithms.base import Algorithm, Declaration


def build(declaration: Declaration, hyperparameters: Any, hosts: int) -> Algorithm[Any]:
    """The algorithm; one that takes ``each`` gets all cores that are this host's.

    hosts: of the job; they may share the machine
    """
    cores = len(os.sched_getaffinity(0)) // hosts
    takes_each = "each" in inspect.signature(declaration.algorithm).parameters
    more = {"each": _each(cores)} if takes_each and cores > 1 else {}
    algorithm: Algorithm[Any] = declaration.algorithm(hyperparameters, **more)
    return algorithm


def _each(cores: int) -> Callable[..., Iterable[Any]]:
    pool = ThreadPoolExecutor(cores, "side-by-side")

    def each(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        blocks = list(items)
        return pool.map(work, blocks) if len(blocks) > 1 else map(work, blocks)

    return each

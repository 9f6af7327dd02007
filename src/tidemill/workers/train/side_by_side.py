"""An algorithm with what the host has for it: its cores, and room on its disk."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tidemill.algorithms.base import Algorithm, Declaration


def build(
    declaration: Declaration, hyperparameters: Any, hosts: int, scratch: Path | None = None
) -> Algorithm[Any]:
    """The algorithm, with those of these that it takes.

    ``each``: a ``map`` that spreads blocks of work over all cores that are this host's
    ``threads``: the number of these, for libraries with threads of their own
    ``scratch``: a directory for what does not fit in memory
    ``clock``: seconds that pass, for its own log lines

    hosts: of the job; they may share the machine
    """
    cores = len(os.sched_getaffinity(0)) // hosts
    has: dict[str, Any] = {
        "threads": max(1, cores),
        "scratch": scratch,
        "clock": time.monotonic,
    }
    takes = inspect.signature(declaration.algorithm).parameters
    if "each" in takes and cores > 1:
        has["each"] = _each(cores)
    given = {name: value for name, value in has.items() if name in takes}
    algorithm: Algorithm[Any] = declaration.algorithm(hyperparameters, **given)
    return algorithm


def _each(cores: int) -> Callable[..., Iterable[Any]]:
    pool = ThreadPoolExecutor(cores, "side-by-side")

    def each(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        blocks = list(items)
        return pool.map(work, blocks) if len(blocks) > 1 else map(work, blocks)

    return each

"""How much memory and disk the models of a multi-model replica may take."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tidemill.errors import Invalid
from tidemill.workers.serve.shelf import Bounds

MEMORY, DISK = "TIDEMILL_MODELS_MAX_MEMORY_MB", "TIDEMILL_MODELS_MAX_DISK_MB"
SHARE = 4
"""Unless it is said, models may take one part in so many of the machine's memory, and of what is
free of its disk: an endpoint may have several replicas, and a machine several endpoints."""
PATIENCE = 0.9
"""Of the time that a request may take: so long it waits for its model."""
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def bounds(environment: Mapping[str, str], disk: Path, timeout: float, *, keeps: bool) -> Bounds:
    """By a container's environment. disk: where models are unpacked · timeout: seconds

    Raises Invalid for a variable that is no whole number of megabytes above zero.
    """
    return Bounds(
        memory=_megabytes(environment, MEMORY) or machine_memory() // SHARE,
        disk=_megabytes(environment, DISK) or shutil.disk_usage(disk).free // SHARE,
        patience=PATIENCE * timeout,
        keeps=keeps,
    )


def machine_memory() -> int:
    """Bytes that this machine, or the control group we are in, has."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            found.append(int(path.read_text()))
    return min(found)


def _megabytes(environment: Mapping[str, str], name: str) -> int:
    told = environment.get(name, "")
    if not told:
        return 0
    if not (told.isascii() and told.isdigit() and int(told)):
        raise Invalid(f"{name}, a whole number of megabytes", got=told, do="Write 1 or more.")
    return int(told) << 20

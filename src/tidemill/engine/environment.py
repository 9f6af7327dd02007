"""The environment of a worker: a clean one, but for what a Python program needs."""

from __future__ import annotations

import os

# To find itself and its libraries.
_KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *(
        "TIDEMILL_NAMESPACES",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
    ),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
)
# Threads that spin while they wait would starve the other workers of a small machine.
_ADDED = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}


def clean() -> dict[str, str]:
    """What of our own environment workers may see, and what all of them are told."""
    return {**{k: os.environ[k] for k in _KEPT if k in os.environ}, **_ADDED}

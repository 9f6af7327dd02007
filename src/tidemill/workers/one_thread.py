"""Imported first, before NumPy, for its effect: one replica computes on one thread.

Small batches gain nothing from more, and an endpoint grows by replicas.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

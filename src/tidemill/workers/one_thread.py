"""Imported first, before NumPy, for its effect: matrix products run on one thread each.

Products here are small: more threads mostly wait for each other. Whole blocks of work run side by
side instead (``train.side_by_side``), endpoints grow by replicas, and results do not depend on the
number of cores. Libraries that are given more threads (xgboost) put them to sleep between two
pieces of work: threads that wait awake starve each other on a machine that is shared.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

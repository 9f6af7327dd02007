"""Imported first, before NumPy, for its effect: idle threads of the numeric libraries sleep.

They spin by default, which on a machine with a few cores takes time from the threads that work.
"""

from __future__ import annotations

import os

for _name, _value in {
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "GOMP_SPINCOUNT": "0",
}.items():
    os.environ.setdefault(_name, _value)

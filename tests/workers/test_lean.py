"""Workers do without what only users of other libraries need."""

from __future__ import annotations

import subprocess
import sys


def test_xgboost_in_a_worker_loads_neither_scikit_learn_nor_pandas() -> None:
    code = (
        "import sys; from tidemill.workers.lean import EXTRAS, lean; lean();"
        "from tidemill.algorithms.xgboost.library import library; library();"
        "print([name for name in EXTRAS if sys.modules[name]], 'scipy.stats' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] False"

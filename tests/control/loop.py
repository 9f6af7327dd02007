"""A control plane to be killed: ``python -m tests.control.loop HOME``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.control.mill import Mill

if __name__ == "__main__":
    Mill(Path(sys.argv[1])).run(threading.Event())

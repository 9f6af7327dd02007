"""``python -m tidemill.router HOME``: the public port."""

from __future__ import annotations

import sys

from tidemill.router.server import main

if __name__ == "__main__":
    sys.exit(main())

"""``python -m bench [task …]``: run the benchmarks, a process each, and write the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.measure import OUT, ROOT, Row, markdown

REPORT = ROOT / "docs" / "explanation" / "benchmarks.md"
NOT_TASKS = {"__init__", "__main__", "load", "measure", "pace"}


def tasks() -> list[str]:
    """Every module of this package that measures something."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in NOT_TASKS)


def report() -> None:
    """All results in bench/out as one page."""
    parts = [
        "# Benchmarks\n\nThe same work done by Tidemill and by what a user would pick instead, "
        "in turn in one run; medians. `make bench` writes this page.\n"
    ]
    for path in sorted(OUT.glob("*.json")):
        document: dict[str, Any] = json.loads(path.read_text())
        machine = ", ".join(f"{k} {v}" for k, v in document["machine"].items())
        rows = [Row(**r) for r in document["rows"]]
        parts.append(f"## {path.stem}\n\n{markdown(rows)}\n\nMachine: {machine}.\n")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(parts))


def main() -> int:
    wanted = sys.argv[1:] or tasks()
    failed = [t for t in wanted if subprocess.run([sys.executable, "-m", f"bench.{t}"]).returncode]
    report()
    print(f"failed: {', '.join(failed)}" if failed else f"wrote {REPORT}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

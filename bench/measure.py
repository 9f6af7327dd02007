"""Fair timing: systems in turn, medians over repeats, wall and CPU seconds side by side."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench" / "out"
CACHE = ROOT / "bench" / "cache"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. quality: metric name → value · figures: anything else measured."""

    task: str
    dataset: str
    system: str
    wall_s: float | None = None
    cpu_s: float | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def data_directory() -> Path | None:
    """The benchmark data sets (``TIDEMILL_BENCH_DATA``, or ``../shared/data``), or None."""
    path = Path(os.environ.get("TIDEMILL_BENCH_DATA", ROOT.parent / "shared" / "data"))
    return path if path.is_dir() else None


def interleaved(
    systems: Mapping[str, Callable[[], Any]], repeats: int = 3, warm_up: bool = False
) -> dict[str, tuple[float, float, Any]]:
    """Run every system once a round: name → (median wall s, median CPU s, last result)."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    results: dict[str, Any] = {}
    for round_ in range(repeats + warm_up):
        for name, run in systems.items():
            cpu, wall = _cpu(), time.perf_counter()
            results[name] = run()
            took = time.perf_counter() - wall, _cpu() - cpu
            if round_ >= warm_up:
                times[name].append(took)
    return {
        name: (
            statistics.median(w for w, _ in taken),
            statistics.median(c for _, c in taken),
            results[name],
        )
        for name, taken in times.items()
    }


def write(task: str, rows: list[Row]) -> None:
    """Keep the rows for the report and print them."""
    OUT.mkdir(exist_ok=True)
    document = {"machine": machine(), "rows": [asdict(r) for r in rows]}
    (OUT / f"{task}.json").write_text(json.dumps(document, indent=1, default=float))
    print(markdown(rows))


def markdown(rows: list[Row]) -> str:
    """A table with a column for every quality and figure that occurs."""
    extra = list(dict.fromkeys(k for r in rows for k in (*r.quality, *r.figures)))
    head = ["dataset", "system", *extra, "wall s", "CPU s", "note"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        values = {**r.quality, **r.figures}
        cells = [r.dataset, r.system, *(_cell(values.get(k)) for k in extra)]
        lines.append("| " + " | ".join([*cells, _cell(r.wall_s), _cell(r.cpu_s), r.note]) + " |")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _cpu() -> float:
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

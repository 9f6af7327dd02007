"""What was measured of all, as a table: case by case the fastest first, then what each costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench.measure import Row
from bench.peers.contest import ONE, Case, Contestant, Figures

TASK = "serving_peers"
_WHOLE = ("requests/s", "asked/s", "RSS MB", "PSS MB")


def table(contestants: Sequence[Contestant], cases: Sequence[Case], share: float) -> list[Row]:
    """All rows. share: of its most that each was asked for at a fixed rate"""
    good = [each for each in contestants if not each.failure]
    return [
        *(row for case in cases for row in _of_case(case, good)),
        *(_paced(each, share) for each in good),
        *(
            _row("overhead beside the model, 1 connection", each, medians(each.overhead))
            for each in good
            if each.overhead
        ),
        *(_standing(each) for each in contestants),
    ]


def medians(rounds: Sequence[Figures]) -> dict[str, Any]:
    """The median of every figure, but the sum of errors."""
    found: dict[str, Any] = {n: statistics.median(r[n] for r in rounds) for n in rounds[0]}
    found |= {name: round(found[name]) for name in _WHOLE if name in found}
    if "errors" in found:
        found["errors"] = int(sum(r["errors"] for r in rounds))
    return found


def _of_case(case: Case, contestants: Sequence[Contestant]) -> list[Row]:
    size, connections = case
    name = f"{size}, {connections} connection{'s'[: connections > 1]}"
    rows = [_row(name, each, medians(each.cases[case])) for each in contestants]
    return sorted(rows, key=lambda row: -row.figures["requests/s"])


def _paced(each: Contestant, share: float) -> Row:
    figures = medians(each.paced)
    note = f"the generator took {figures.pop('generator'):.0%} of a core"
    whose = "tidemill's" if each.system.is_floor else "its"
    return _row(f"{ONE} at {share:.0%} of {whose} most", each, figures, note)


def _standing(each: Contestant) -> Row:
    others = [f"{name}: {count:.0f}/s" for name, count in each.trials.items()]
    notes = [each.setup]
    if len(others) > 1:
        notes.append(f"tried {', '.join(others)}")
    figures = medians(each.memory) if each.memory else {}
    if figures:
        count = int(figures.pop("processes"))
        notes.insert(1, f"{count} process{'es'[: 2 * (count > 1)]}")
    return Row(
        TASK,
        "start to the first right answer; memory after all cases",
        f"{each.system.name} {each.system.version}".strip(),
        wall_s=statistics.median(each.starts) if each.starts else None,
        figures=figures,
        note=f"out: {each.failure}" if each.failure else "; ".join(notes),
    )


def _row(name: str, each: Contestant, figures: dict[str, Any], note: str = "") -> Row:
    return Row(TASK, name, each.system.name, figures=figures, note=note)

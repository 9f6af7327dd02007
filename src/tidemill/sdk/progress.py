"""The live line that shows where a job or an endpoint stands; on stderr, quiet in pipes."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

SHOWN_METRICS = 2


class Progress:
    """One job's progress line. On a terminal it moves; elsewhere each new stage is one line."""

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._live = self._console.is_terminal
        self._bar = Bar(
            TextColumn("[bold]{task.fields[name]}"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[metrics]}", style="dim"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._live,
        )
        self._name = name
        self._task = self._bar.add_task("Starting", name=name, metrics="", total=100)
        self._stage = ""

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, answer: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Bring the line up to date with a DescribeTrainingJob answer."""
        stage = str(answer["SecondaryStatus"])
        done = 100.0 if stage == "Completed" else metrics.get("train:progress", 0.0)
        self._bar.update(self._task, description=stage, completed=done, metrics=_in_words(metrics))
        self._line(stage, metrics)

    def stage(self, stage: str, done: float = 0.0) -> None:
        """Bring the line up to date with a status alone (``done``: percent)."""
        self._bar.update(self._task, description=stage, completed=done)
        self._line(stage, {})

    def _line(self, stage: str, metrics: Mapping[str, float]) -> None:
        if not self._live and stage != self._stage:
            line = f"{self._name}: {stage} {_in_words(metrics)}".rstrip()
            self._console.print(line, soft_wrap=True, markup=False, highlight=False)
        self._stage = stage


def _in_words(metrics: Mapping[str, float]) -> str:
    """The metrics that tell most, in a few characters.

    >>> _in_words({"train:progress": 50.0, "train:throughput": 9.0, "test:msd": 2.5})
    'test:msd 2.5'
    """
    boring = ("train:progress", "train:throughput")
    told = [(n, v) for n, v in metrics.items() if n not in boring]
    return "  ".join(f"{name} {value:.5g}" for name, value in told[:SHOWN_METRICS])

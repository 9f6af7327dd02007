"""The lines that SageMaker's own containers print; scripts and metric definitions read them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from tidemill.algorithms.base import Measure


class Log:
    """Prints one line at a time, whole and at once; ``tap`` is given each line's text too."""

    def __init__(
        self,
        host: str,
        tap: Callable[[str], None] = lambda line: None,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host, self._tap, self._out, self._clock = host, tap, out or sys.stdout, clock

    def info(self, text: str) -> None:
        self._print("INFO", text)

    def line(self, text: str) -> None:
        """Text alone, as some algorithms print it."""
        self._out.write(text + "\n")
        self._out.flush()
        self._tap(text)

    def warning(self, text: str) -> None:
        self._print("WARNING", text)

    def error(self, text: str) -> None:
        self._print("ERROR", text)

    def configuration(
        self,
        default: Mapping[str, object],
        given: Mapping[str, object],
        final: Mapping[str, object],
    ) -> None:
        """The three lines that say which hyperparameters hold."""
        self.info(f"Reading default configuration: {_json(default)}")
        self.info(
            "Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: "
            + _json(given)
        )
        self.info(f"Final configuration: {_json(final)}")

    def quality(self, channel: str, measure: Measure, epoch: int | None = None) -> None:
        """``#quality_metric: host=algo-1, epoch=0, train msd <loss>=1.25``"""
        during = "" if epoch is None else f" epoch={epoch},"
        self.info(
            f"#quality_metric: host={self._host},{during} "
            f"{channel} {measure.name} <{measure.kind}>={float(measure.value)!r}"
        )

    def early_stopping(self, measure: Measure, epoch: int) -> None:
        """``#early_stopping_criteria_metric: host=algo-1, epoch=3, criteria=mse_objective, …``"""
        self.info(
            f"#early_stopping_criteria_metric: host={self._host}, epoch={epoch}, "
            f"criteria={measure.name}, value={float(measure.value)!r}"
        )

    def progress(self, fraction: float) -> None:
        """``#progress_metric: host=algo-1, completed 40 % of epochs``"""
        self.info(
            f"#progress_metric: host={self._host}, completed {100 * fraction:.4g} % of epochs"
        )

    def throughput(self, channel: str, rows: int, seconds: float) -> None:
        """``#throughput_metric: host=algo-1, train throughput=1234.5 records/second``"""
        rate = rows / max(seconds, 1e-9)
        self.info(
            f"#throughput_metric: host={self._host}, "
            f"{channel} throughput={rate:.10g} records/second"
        )

    def metrics(
        self,
        algorithm: str,
        operation: str,
        start: float,
        values: Mapping[str, float],
        epoch: int | None = None,
    ) -> None:
        """``#metrics {JSON}``: times in milliseconds and counts, each as sum, count, min, max."""
        dimensions: dict[str, object] = {
            "Algorithm": algorithm,
            "Host": self._host,
            "Operation": operation,
        }
        if epoch is not None:
            dimensions["epoch"] = epoch
        document = {
            "StartTime": start,
            "EndTime": self._clock(),
            "Dimensions": dimensions,
            "Metrics": {
                name: {"sum": value, "count": 1, "min": value, "max": value}
                for name, value in values.items()
            },
        }
        self.info(f"#metrics {_json(document)}")

    def _print(self, level: str, text: str) -> None:
        stamp = time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(self._clock()))
        line = f"[{stamp} {level} {os.getpid()}] {text}"
        self._out.write(line + "\n")
        self._out.flush()
        self._tap(line)


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, default=str)

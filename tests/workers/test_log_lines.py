"""The lines are those that scripts written for SageMaker look for."""

from __future__ import annotations

import io
import json
import re

import pytest

from tidemill.algorithms.base import Measure
from tidemill.errors import Invalid
from tidemill.spec.training_job import MetricDefinition
from tidemill.workers import metric_tap
from tidemill.workers.log_lines import Log
from tidemill.workers.metric_tap import MetricTap

START = re.compile(r"^\[01/02/2024 03:04:05 INFO \d+\] ")
NOW = 1704164645.0


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(out: io.StringIO) -> Log:
    return Log("algo-1", out=out, clock=lambda: NOW)


def text(out: io.StringIO) -> str:
    line = out.getvalue()
    assert line.endswith("\n")
    assert START.match(line)
    return START.sub("", line[:-1])


def test_what_decides_whether_training_goes_on(log: Log, out: io.StringIO) -> None:
    log.early_stopping(Measure("mse_objective", 0.25), epoch=3)
    assert text(out) == (
        "#early_stopping_criteria_metric: host=algo-1, epoch=3, criteria=mse_objective, value=0.25"
    )


def test_quality_within_an_epoch(log: Log, out: io.StringIO) -> None:
    log.quality("train", Measure("msd", 1.25), epoch=3)
    assert text(out) == "#quality_metric: host=algo-1, epoch=3, train msd <loss>=1.25"


def test_quality_of_the_model(log: Log, out: io.StringIO) -> None:
    log.quality("test", Measure("roc_auc_score", 0.75, "score"))
    assert text(out) == "#quality_metric: host=algo-1, test roc_auc_score <score>=0.75"


@pytest.mark.parametrize(
    ("fraction", "words"), [(0.4, "40"), (1.0, "100"), (1 / 3, "33.33"), (0.0, "0")]
)
def test_progress(log: Log, out: io.StringIO, fraction: float, words: str) -> None:
    log.progress(fraction)
    assert text(out) == f"#progress_metric: host=algo-1, completed {words} % of epochs"


def test_throughput(log: Log, out: io.StringIO) -> None:
    log.throughput("train", 2469, 2.0)
    assert text(out) == "#throughput_metric: host=algo-1, train throughput=1234.5 records/second"


def test_metrics_are_json(log: Log, out: io.StringIO) -> None:
    log.metrics("kmeans", "training", NOW - 1, {"update.time": 3.5}, epoch=2)
    name, _, document = text(out).partition(" ")
    assert name == "#metrics"
    assert json.loads(document) == {
        "StartTime": NOW - 1,
        "EndTime": NOW,
        "Dimensions": {
            "Algorithm": "kmeans",
            "Host": "algo-1",
            "Operation": "training",
            "epoch": 2,
        },
        "Metrics": {"update.time": {"sum": 3.5, "count": 1, "min": 3.5, "max": 3.5}},
    }


def test_the_configuration_ends_in_what_holds(log: Log, out: io.StringIO) -> None:
    log.configuration({"epochs": 1}, {"k": "3"}, {"epochs": 1, "k": 3})
    assert out.getvalue().splitlines()[-1].endswith('Final configuration: {"epochs": 1, "k": 3}')


def tap(*definitions: tuple[str, str]) -> tuple[MetricTap, list[tuple[str, float]]]:
    found: list[tuple[str, float]] = []
    made = [MetricDefinition(*d) for d in definitions]
    return MetricTap(made, lambda name, value: found.append((name, value))), found


def test_metrics_are_what_the_definitions_find_in_the_log(out: io.StringIO) -> None:
    listen, found = tap(
        ("test:msd", r"#quality_metric: host=\S+, test msd <loss>=(\S+)"),
        ("mine", r"msd <loss>=([0-9.]+)"),
    )
    Log("algo-1", listen, out).quality("test", Measure("msd", 0.5))
    assert found == [("test:msd", 0.5), ("mine", 0.5)]


@pytest.mark.parametrize("regex", [r"loss=(\w+)", "loss=", r"loss=(x)?", r"(nan)", r"(inf)"])
def test_what_is_no_finite_number_is_no_metric(regex: str) -> None:
    listen, found = tap(("m", regex))
    listen("loss=nan inf")
    assert found == []


def test_an_expression_that_takes_for_ever_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_tap, "FREE_SECONDS", 0.1)
    found: list[tuple[str, float]] = []
    said: list[str] = []
    definitions = [MetricDefinition("endless", "(a+)+$x"), MetricDefinition("fine", "b=([0-9]+)")]
    listen = MetricTap(definitions, lambda *pair: found.append(pair), said.append)
    listen("a" * 60 + "b=3")
    listen("b=4")
    assert found == [("fine", 3.0), ("fine", 4.0)]
    assert [text.split("'")[1] for text in said] == ["endless"]


def test_a_broken_expression_names_its_definition() -> None:
    with pytest.raises(Invalid, match=r"'mine': a regular expression .*got '\('"):
        tap(("mine", "("))


def test_a_line_of_an_algorithms_own_form_is_printed_as_it_is(out: io.StringIO) -> None:
    found: list[tuple[str, float]] = []
    regex = r".*\[[0-9]+\].*#011validation-rmse:(\S+)"
    tap = MetricTap([MetricDefinition("validation:rmse", regex)], lambda *pair: found.append(pair))
    Log("algo-1", tap, out).line("[3]#011train-rmse:1.2#011validation-rmse:1.3")
    assert out.getvalue() == "[3]#011train-rmse:1.2#011validation-rmse:1.3\n"
    assert found == [("validation:rmse", 1.3)]


def test_a_value_ends_at_a_tab_as_syslog_writes_it() -> None:
    read, found = tap(
        ("validation:auc", r".*\[[0-9]+\].*#011validation-auc:(\S+)"),
        ("validation:logloss", r".*\[[0-9]+\].*#011validation-logloss:(\S+)"),
    )
    read("[3]#011train-auc:0.75#011validation-auc:0.5#011validation-logloss:0.25")
    assert found == [("validation:auc", 0.5), ("validation:logloss", 0.25)]

"""Inference experiments from their beginning to their end, on an endpoint of dummy replicas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.control.mill import REGION, Mill
from tidemill.control import endpoint, inference_experiment
from tidemill.control.endpoint import Change
from tidemill.control.inference_experiment import Experiments, spec
from tidemill.control.plan.inference_experiment import from_document
from tidemill.errors import Conflict
from tidemill.spec.capture import Capture
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.inference_experiment import DAY, Experiment, ExperimentStatus
from tidemill.spec.route import Variant
from tidemill.store.base import Row

CAPTURE = Capture(100, "s3://mill/seen")
MAIN = ProductionVariant("main", "mill-model")
DARK = ProductionVariant("dark", "mill-model", shadow=True)
COMPLETED, CANCELLED = ExperimentStatus.COMPLETED, ExperimentStatus.CANCELLED


class Trial:
    """An experiment ``try`` on an endpoint ``mill``, and the duty that brings it about."""

    def __init__(self, mill: Mill) -> None:
        self.mill = mill
        self.duty = Experiments(mill.verbs)

    def create(self, start: float = 0.0, end: float = DAY, **more: object) -> None:
        """start, end: seconds from now"""
        now = self.mill.now()
        wanted = Experiment("mill", MAIN, DARK, 50, now + start, now + end, CAPTURE)
        request = {"Name": "try", **more}
        inference_experiment.create(self.mill.verbs, REGION, "try", wanted, request, {})

    def until(self, status: str) -> Row:
        def there() -> Row | None:
            self.duty.tick(self.mill.now())
            row = self.mill.verbs.describe(inference_experiment.KIND, REGION, "try")
            return row if row.status == status else None

        row: Row = self.mill.until(there)
        return row

    def stop(self, *left: ProductionVariant, goal: ExperimentStatus = COMPLETED) -> None:
        inference_experiment.stop(self.mill.verbs, REGION, "try", left, goal, "seen enough")

    def variants(self) -> dict[str, Variant]:
        self.mill.until(lambda: all(v.config == "" for v in self.mill.routes()["mill"].variants))
        return {v.name: v for v in self.mill.routes()["mill"].variants}


@pytest.fixture
def trial(mill: Mill) -> Trial:
    mill.serve("mill")
    mill.until_endpoint("mill", "InService")
    return Trial(mill)


def test_one_that_begins_at_once_runs_and_is_over_in_time(trial: Trial) -> None:
    trial.create()
    row = trial.until("Running")
    found = trial.variants()
    assert (found["dark"].shadow, found["dark"].weight) == (True, 0.5)
    assert trial.mill.routes()["mill"].capture == CAPTURE
    assert from_document(row.document["state"]).started is not None
    trial.mill.clock_ahead += DAY
    row = trial.until("Completed")
    assert set(trial.variants()) == {"main"}
    assert trial.mill.routes()["mill"].capture is None
    assert row.document["state"]["ended"] is not None
    assert row.document["state"]["reason"] == "The schedule has ended."


def test_one_that_begins_later_has_its_shadow_but_copies_nothing_until_then(trial: Trial) -> None:
    trial.create(start=3600.0)
    trial.until("Created")
    found = trial.variants()
    assert (found["dark"].weight, len(found["dark"].replicas)) == (0.0, 1)
    assert trial.mill.routes()["mill"].capture is None
    inference_experiment.start(trial.mill.verbs, REGION, "try")
    row = trial.until("Running")
    assert trial.variants()["dark"].weight == 0.5
    assert spec(row).start <= trial.mill.now()
    with pytest.raises(Conflict):
        inference_experiment.start(trial.mill.verbs, REGION, "try")


def test_a_shadow_that_is_promoted_takes_the_traffic(trial: Trial) -> None:
    trial.create()
    trial.until("Running")
    trial.stop(replace(DARK, shadow=False, instances=2))
    row = trial.until("Completed")
    found = trial.variants()
    assert set(found) == {"dark"}
    assert (found["dark"].shadow, len(found["dark"].replicas)) == (False, 2)
    assert row.document["state"]["reason"] == "seen enough"
    inference_experiment.delete(trial.mill.verbs, REGION, "try")
    assert trial.mill.endpoint("mill").status == "InService"


def test_scaling_goes_on_and_other_hands_end_it(trial: Trial) -> None:
    trial.create()
    trial.until("Running")
    verbs = trial.mill.verbs
    endpoint.update_weights(verbs, REGION, "mill", {"dark": Change("dark", 1.0, 2)})
    trial.until("Running")
    trial.mill.until_endpoint("mill", "InService")
    assert trial.variants()["dark"].weight == 1.0
    endpoint.update(verbs, REGION, "mill", "mill", {})
    row = trial.until("Cancelled")
    assert "by other hands" in row.document["state"]["reason"]


def test_a_shadow_that_does_not_start_cancels_it_and_production_stays(trial: Trial) -> None:
    trial.mill.config("bad", ProductionVariant("x", "bad-model"), mode="fail")
    now = trial.mill.now()
    dark = replace(DARK, model="bad-model")
    wanted = Experiment("mill", MAIN, dark, 50, now, now + DAY)
    inference_experiment.create(trial.mill.verbs, REGION, "try", wanted, {"Name": "try"}, {})
    row = trial.until("Cancelled")
    assert "'dark' could not start" in row.document["state"]["reason"]
    assert set(trial.variants()) == {"main"}


def test_an_endpoint_that_goes_takes_its_experiment_along(trial: Trial) -> None:
    trial.create()
    trial.until("Running")
    endpoint.delete(trial.mill.verbs, REGION, "mill")
    row = trial.until("Cancelled")
    assert row.document["state"]["reason"] == "Endpoint 'mill' is gone."


def test_a_control_plane_that_dies_after_it_has_told_the_endpoint_tells_it_once(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.create()
    update, kind = trial.mill.store.update, inference_experiment.KIND
    with monkeypatch.context() as lost:
        lost.setattr(trial.mill.store, "update", lambda r: r if r.kind == kind else update(r))
        trial.duty.tick(trial.mill.now())
    state = trial.mill.endpoint("mill").document["state"]
    assert state["pending"]["config"].startswith("try-")
    trial.until("Running")
    assert trial.mill.endpoint("mill").document["state"]["generation"] == 2

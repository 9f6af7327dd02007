"""Inference experiments: rows of their own, brought about by updates of their endpoints."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidemill.control import endpoint, endpoint_config
from tidemill.control.plan import fleet
from tidemill.control.plan import inference_experiment as plan
from tidemill.control.plan.inference_experiment import Found, State, deployed
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, TidemillError
from tidemill.spec.capture import Capture
from tidemill.spec.endpoint import EndpointStatus
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.spec.inference_experiment import Experiment, ExperimentStatus, from_document
from tidemill.store.base import Document, Row

KIND = "inference_experiment"
UNFINISHED = [s.value for s in ExperimentStatus if not s.is_final]
LONGEST_STEM = 48
_LOG = logging.getLogger(__name__)
Change = Callable[[ExperimentStatus, Experiment, State], tuple[ExperimentStatus, Experiment, State]]


def create(
    verbs: Verbs,
    region: str,
    name: str,
    wanted: Experiment,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write an experiment down as Creating; raises Conflict for a taken name, or an endpoint that
    has an experiment already.
    """
    for row in verbs.store.unfinished(KIND, UNFINISHED):
        if (row.region, spec(row).endpoint) == (region, wanted.endpoint) and row.name != name:
            raise Conflict(
                "an endpoint without an inference experiment", got=row.name, do="Stop that one."
            )
    runs = wanted.start <= verbs.clock()
    state = State(fresh(name), wanted.variants(runs=runs), runs)
    document = {
        "request": dict(request),
        "spec": asdict(wanted),
        "state": state.to_document(),
    }
    return verbs.create(KIND, region, name, document, ExperimentStatus.CREATING.value, tags)


def spec(row: Row) -> Experiment:
    """The experiment that a row holds."""
    return from_document(row.document["spec"])


def change(
    verbs: Verbs, region: str, name: str, fn: Change, request: Mapping[str, Any] | None = None
) -> Row:
    """Change one that is Created or Running; raises NotFound, and Conflict with its status.

    request: what is told of it from now on
    """

    def changed(row: Row) -> Row:
        status = ExperimentStatus(row.status)
        if not status.is_steady:
            raise Conflict("an experiment that is Created or Running", got=row.status, do="Wait.")
        state = plan.from_document(row.document["state"])
        status, wanted, state = fn(status, spec(row), state)
        told = row.document["request"] if request is None else dict(request)
        document = {"request": told, "spec": asdict(wanted), "state": state.to_document()}
        return replace(row, status=status.value, document=document)

    return verbs.change(KIND, region, name, changed)


def start(verbs: Verbs, region: str, name: str) -> Row:
    """Begin now what was to begin later; raises NotFound, and Conflict unless Created."""

    def begun(
        status: ExperimentStatus, wanted: Experiment, state: State
    ) -> tuple[ExperimentStatus, Experiment, State]:
        if status is not ExperimentStatus.CREATED:
            raise Conflict("an experiment that is Created", got=status.value, do="It runs already.")
        wanted = replace(wanted, start=verbs.clock())
        state = deployed(state, fresh(name), wanted.variants(runs=True), runs=True)
        return ExperimentStatus.STARTING, wanted, state

    return change(verbs, region, name, begun)


def stop(
    verbs: Verbs,
    region: str,
    name: str,
    variants: Sequence[ProductionVariant],
    goal: ExperimentStatus,
    reason: str,
) -> Row:
    """End it, its endpoint left with these variants; raises NotFound, and Conflict with its status
    unless Created or Running.
    """

    def stopped(
        status: ExperimentStatus, wanted: Experiment, state: State
    ) -> tuple[ExperimentStatus, Experiment, State]:
        state = deployed(state, fresh(name), variants, runs=False)
        return ExperimentStatus.STOPPING, wanted, replace(state, goal=goal.value, reason=reason)

    return change(verbs, region, name, stopped)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget one; its endpoint stays as it is. Raises NotFound, and Conflict while it changes."""

    def check(row: Row) -> None:
        status = ExperimentStatus(row.status)
        if not (status.is_final or status.is_steady):
            raise Conflict("an experiment that is not changing", got=row.status, do="Wait.")

    verbs.delete(KIND, region, name, check)


def fresh(name: str) -> str:
    """A name for another config of an experiment's endpoint."""
    return f"{name[:LONGEST_STEM].rstrip('-')}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Experiments:
    """A duty of control: brings every experiment one step further.

    What is asked of an endpoint is written down afterwards: a control plane that dies between the
    two finds by the config's name that the endpoint has been told.
    """

    verbs: Verbs
    seconds: float = 0.5

    def tick(self, now: float) -> None:
        """One look at every experiment. now: epoch seconds"""
        for row in self.verbs.store.unfinished(KIND, UNFINISHED):
            try:
                self._look(row, now)
            except Conflict:
                continue  # somebody has just changed it, or its endpoint: its turn comes again
            except Exception:
                _LOG.exception("%s %s in %s: this turn failed", row.kind, row.name, row.region)

    def _look(self, row: Row, now: float) -> None:
        wanted, state = spec(row), plan.from_document(row.document["state"])
        served = self.verbs.store.get(endpoint.KIND, row.region, wanted.endpoint)
        found = None if served is None else _found(served)
        status = ExperimentStatus(row.status)
        after = plan.advance(status, state, wanted, found, now, fresh(row.name))
        if after.deploys:
            after = self._deploy(row, wanted, after, now)
        if (after.status, after.state) != (status, state):
            document = {**row.document, "state": after.state.to_document()}
            changed = replace(row, status=after.status.value, document=document, modified=now)
            self.verbs.store.update(changed)

    def _deploy(self, row: Row, wanted: Experiment, after: plan.Next, now: float) -> plan.Next:
        state, region = after.state, row.region
        capture = (wanted.capture if state.runs else None) or wanted.before
        told = _request(state, capture)
        arn = self.verbs.arn(endpoint_config.KIND, region, state.config)
        config = EndpointConfig(state.config, arn, region, state.variants, capture)
        asked = {"EndpointName": wanted.endpoint, "EndpointConfigName": state.config}
        try:
            with suppress(Conflict):  # made before control died
                endpoint_config.create(self.verbs, config, told, {})
            endpoint.update(self.verbs, region, wanted.endpoint, state.config, asked)
        except Conflict:
            raise
        except TidemillError as error:  # a model is gone, say
            ended = replace(state, reason=str(error)[:1024], ended=now)
            return plan.Next(ExperimentStatus.CANCELLED, ended)
        return replace(after, state=replace(state, asked=True))


def _found(row: Row) -> Found:
    state = fleet.from_document(row.document["state"])
    pending = state.pending.config if state.pending is not None else ""
    return Found(EndpointStatus(row.status), state.config, pending, state.failure or "")


def _request(state: State, capture: Capture | None) -> Document:
    """The CreateEndpointConfig request that a config of an experiment would have come from."""
    told: dict[str, Any] = {"EndpointConfigName": state.config}
    for member, is_shadow in (("ProductionVariants", False), ("ShadowProductionVariants", True)):
        mine = [_told(v) for v in state.variants if v.shadow is is_shadow]
        if mine:
            told[member] = mine
    if capture is not None:
        told["DataCaptureConfig"] = {
            "EnableCapture": capture.enabled,
            "InitialSamplingPercentage": capture.percentage,
            "DestinationS3Uri": capture.destination,
            "CaptureOptions": [{"CaptureMode": mode} for mode in capture.modes],
        }
    return told


def _told(variant: ProductionVariant) -> dict[str, Any]:
    return {
        "VariantName": variant.name,
        "ModelName": variant.model,
        "InstanceType": variant.instance_type,
        "InitialInstanceCount": variant.instances,
        "InitialVariantWeight": variant.weight,
    }

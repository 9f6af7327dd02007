"""Requests of inference experiments, understood: which variants, how many copies, until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.control.plan.fleet import Deployed, EndpointState
from tidemill.errors import TidemillError
from tidemill.gateway.resources import quota
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.capture import Capture
from tidemill.spec.endpoint_config import ProductionVariant
from tidemill.spec.inference_experiment import DAY, DAYS, LONGEST_DAYS, Experiment
from tidemill.storage.uri import parse

_SETTLED = ("Schedule", "Description", "ModelVariants", "DataStorageConfig", "ShadowModeConfig")


def to_spec(sent: Mapping[str, Any], live: EndpointState, now: float) -> Experiment:
    """An experiment on an endpoint, from its CreateInferenceExperiment request."""
    source, shadow, percentage = _mode(sent["ShadowModeConfig"])
    given = _given(sent["ModelVariants"])
    [there] = live.variants
    if source not in given and source != there.name:
        raise invalid(
            f"SourceModelVariantName {source} must be one of ModelVariants, or the endpoint's "
            f"variant {there.name}."
        )
    if shadow not in given:
        raise invalid(f"ShadowModelVariantName {shadow} must be one of ModelVariants.")
    if unknown := sorted(set(given) - {source, shadow}):
        raise invalid(f"ModelVariants that ShadowModeConfig does not name: {', '.join(unknown)}.")
    start, end = _schedule(sent.get("Schedule", {}), now, now)
    return Experiment(
        sent["EndpointName"],
        given.get(source) or _present(there),
        replace(given[shadow], shadow=True),
        percentage,
        start,
        end,
        _capture(sent.get("DataStorageConfig")),
        live.capture,
    )


def merged(old: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The request to create, with what one to update names in its place."""
    return {**old, **{name: asked[name] for name in _SETTLED if name in asked}}


def changed(
    old: Experiment, told: Mapping[str, Any], asked: Mapping[str, Any], *, runs: bool
) -> Experiment:
    """The experiment with what an UpdateInferenceExperiment request asks for."""
    source, shadow, percentage = _mode(told["ShadowModeConfig"])
    if (source, shadow) != (old.source.name, old.shadow.name):
        raise invalid(
            f"ShadowModeConfig must name the experiment's variants, {old.source.name} and "
            f"{old.shadow.name}; got {source} and {shadow}."
        )
    given = _given(asked.get("ModelVariants", ()))
    if unknown := sorted(set(given) - {source, shadow}):
        raise invalid(f"ModelVariants that the experiment does not have: {', '.join(unknown)}.")
    schedule = asked.get("Schedule", {})
    if runs and "StartTime" in schedule:
        raise invalid("StartTime cannot be changed once an experiment runs. Give EndTime alone.")
    start, end = _schedule(schedule, old.start, old.start, old.end)
    return replace(
        old,
        source=given.get(source, old.source),
        shadow=replace(given.get(shadow, old.shadow), shadow=True),
        percentage=percentage,
        start=start,
        end=end,
        capture=_capture(told.get("DataStorageConfig")),
    )


def left(wanted: Experiment, asked: Mapping[str, Any]) -> tuple[ProductionVariant, ...]:
    """The variants that StopInferenceExperiment leaves the endpoint with."""
    actions = asked["ModelVariantActions"]
    both = {v.name: v for v in (wanted.source, wanted.shadow)}
    if unknown := sorted(set(actions) - set(both)):
        raise invalid(f"ModelVariantActions: the experiment has no variant {', '.join(unknown)}.")
    given = _given(asked.get("DesiredModelVariants", ()))
    source, shadow = wanted.source.name, wanted.shadow.name
    if actions.get(source) == "Promote":
        raise invalid(f"Only the shadow variant can be promoted; {source} is in production.")
    found = []
    if actions.get(source, "Retain") == "Retain":
        found.append(replace(given.get(source, both[source]), weight=1.0, shadow=False))
    action = actions.get(shadow, "Remove")
    if action != "Remove":
        weight = 1.0 if action == "Promote" else wanted.percentage / 100
        is_shadow = action == "Retain"
        found.append(replace(given.get(shadow, both[shadow]), weight=weight, shadow=is_shadow))
    if all(variant.shadow for variant in found):
        raise invalid(
            f"ModelVariantActions must leave a production variant: Retain {source}, or Promote "
            f"{shadow}."
        )
    if unknown := sorted(set(given) - {variant.name for variant in found}):
        raise invalid(f"DesiredModelVariants: nothing is left of {', '.join(unknown)}.")
    return tuple(found)


def told(variant: ProductionVariant) -> dict[str, Any]:
    """A ModelVariantConfig."""
    real = {"InstanceType": variant.instance_type, "InstanceCount": variant.instances}
    infrastructure = {"InfrastructureType": "RealTimeInference", "RealTimeInferenceConfig": real}
    return {
        "ModelName": variant.model,
        "VariantName": variant.name,
        "InfrastructureConfig": infrastructure,
    }


def mode(wanted: Experiment) -> dict[str, Any]:
    """A ShadowModeConfig."""
    shadow = {
        "ShadowModelVariantName": wanted.shadow.name,
        "SamplingPercentage": wanted.percentage,
    }
    return {"SourceModelVariantName": wanted.source.name, "ShadowModelVariants": [shadow]}


def _mode(sent: Mapping[str, Any]) -> tuple[str, str, int]:
    """The names of the source and of the shadow, and the percentage of copies."""
    [shadow] = sent["ShadowModelVariants"]
    percentage = shadow["SamplingPercentage"]
    if not 0 <= percentage <= 100:
        raise invalid(f"SamplingPercentage must be from 0 to 100; got {percentage}.")
    return sent["SourceModelVariantName"], shadow["ShadowModelVariantName"], percentage


def _given(sent: Sequence[Mapping[str, Any]]) -> dict[str, ProductionVariant]:
    variants = [_variant(one) for one in sent]
    found = {variant.name: variant for variant in variants}
    if len(found) < len(variants):
        raise invalid(f'The variant name "{variants[0].name}" was non-unique within the request.')
    return found


def _variant(sent: Mapping[str, Any]) -> ProductionVariant:
    real = sent["InfrastructureConfig"]["RealTimeInferenceConfig"]
    kind, count = real["InstanceType"], real["InstanceCount"]
    if count < 1:
        raise invalid(f"InstanceCount of {sent['VariantName']} must be at least 1; got {count}.")
    quota.check(count, f"{kind} for endpoint usage")
    return ProductionVariant(sent["VariantName"], sent["ModelName"], count, instance_type=kind)


def _present(there: Deployed) -> ProductionVariant:
    """The endpoint's own variant as it stands."""
    return ProductionVariant(
        there.name,
        there.model,
        there.count,
        instance_type=there.instance_type,
        routing=there.routing,
    )


def _schedule(
    sent: Mapping[str, Any], now: float, start: float, end: float | None = None
) -> tuple[float, float]:
    start = sent.get("StartTime", start)
    end = sent.get("EndTime", start + DAYS * DAY if end is None else end)
    if not start < end <= start + LONGEST_DAYS * DAY:
        raise invalid(
            f"Schedule: EndTime must be after StartTime, by {LONGEST_DAYS} days at the most."
        )
    if end <= now:
        raise invalid("Schedule: EndTime must be in the future.")
    return start, end


def _capture(sent: Mapping[str, Any] | None) -> Capture | None:
    """All requests and answers are written down, where a place for them is named."""
    if sent is None:
        return None
    try:
        parse(sent["Destination"])
    except TidemillError as error:
        raise invalid(f"DataStorageConfig.Destination must be an S3 URI: {error}") from error
    types = sent.get("ContentType", {})
    csv, json = (
        tuple(name.lower() for name in types.get(member, ()))
        for member in ("CsvContentTypes", "JsonContentTypes")
    )
    return Capture(100, sent["Destination"], csv=csv, json=json, kms_key=sent.get("KmsKey", ""))

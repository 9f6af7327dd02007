"""DescribeEndpoint: an endpoint as it stands, and the update that is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tidemill.control import endpoint
from tidemill.errors import NotFound
from tidemill.gateway.call import Call
from tidemill.gateway.resources import data_capture, endpoint_config, serverless
from tidemill.spec.endpoint import EndpointStatus
from tidemill.store.base import Row
from tidemill.traffic import rollout as moves

_OLD = {moves.TERMINATING: "Deleting", moves.BACK: "Updating"}
_NEW = {
    moves.CREATING: "Creating",
    moves.ACTIVATING: "ActivatingTraffic",
    moves.BAKING: "Baking",
    moves.BACK: "Deleting",
}


def described(call: Call, row: Row) -> dict[str, Any]:
    """The answer of DescribeEndpoint."""
    state = row.document["state"]
    sent = _sent(call, state["config"])
    answer = {
        "EndpointName": row.name,
        "EndpointArn": call.arn(row.kind, row.name),
        "EndpointConfigName": state["config"],
        "EndpointStatus": row.status,
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
        **{n: sent[n] for n in ("AsyncInferenceConfig", "ExplainerConfig") if n in sent},
    }
    if row.status != EndpointStatus.CREATING.value:
        answer |= _by_kind(state["variants"], partial(_live, row, sent))
    if state.get("capture"):
        buckets = call.platform.home.buckets
        answer["DataCaptureConfig"] = data_capture.summary(state["capture"], row.status, buckets)
    if state.get("failure"):
        answer["FailureReason"] = state["failure"]
    last = endpoint.last_deployment(row.document)
    if last is not None:
        answer["LastDeploymentConfig"] = last
    if state.get("pending"):
        answer["PendingDeploymentSummary"] = _summary(call, row)
    return answer


def _summary(call: Call, row: Row) -> dict[str, Any]:
    """Of the deployment that is under way."""
    state = row.document["state"]
    pending = state["pending"]
    sent = _sent(call, pending["config"])
    answer = {
        "EndpointConfigName": pending["config"],
        **_by_kind(pending["variants"], partial(_coming, row, sent)),
    }
    if state.get("rollout"):
        answer["StartTime"] = state["rollout"]["started"]
    return answer


def _by_kind(
    variants: Sequence[Mapping[str, Any]], told: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Production variants, and the shadows if there are any."""
    shadows = [told(v) for v in variants if v.get("shadow")]
    answer = {"ProductionVariants": [told(v) for v in variants if not v.get("shadow")]}
    return {**answer, "ShadowProductionVariants": shadows} if shadows else answer


def _live(row: Row, sent: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    """A variant of the fleet that takes the traffic, all of it or a part."""
    answer, state = _variant(row, sent, variant), row.document["state"]
    if not state.get("pending"):
        scales = row.status == EndpointStatus.UPDATING.value
        return {**answer, "VariantStatus": [{"Status": "Updating"}]} if scales else answer
    if not variant.get("shadow"):
        answer["CurrentWeight"] *= _share(state, is_old=True)
    answer["CurrentInstanceCount"] = _ready(state, state["generation"], variant["name"])
    return {**answer, **_variant_status(state, is_old=True)}


def _coming(row: Row, sent: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    """A variant of the fleet that an update brings."""
    answer, state = _variant(row, sent, variant), row.document["state"]
    generation, name = state["pending"]["generation"], variant["name"]
    share = 1.0 if variant.get("shadow") else _share(state, is_old=False)
    answer["CurrentWeight"] = variant["weight"] * share
    answer["CurrentInstanceCount"] = _ready(state, generation, name)
    return {**answer, **_variant_status(state, is_old=False)}


def _variant(row: Row, sent: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    images = [one["image"] for one in variant.get("containers", ())] or [variant["image"]]
    answer = {
        "VariantName": variant["name"],
        "CurrentWeight": variant["current_weight"],
        "DesiredWeight": variant["weight"],
        "CurrentInstanceCount": variant["current_count"],
        "DesiredInstanceCount": variant["count"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": row.created}
            for image in images
        ],
    }
    if variant.get("serverless"):
        state = row.document["state"]
        del answer["DesiredInstanceCount"]
        generation = state["generation"]
        answer["CurrentInstanceCount"] = _ready(state, generation, variant["name"])
        answer |= serverless.summary(variant)
    return answer


def _sent(call: Call, config: str) -> Mapping[str, Any]:
    """The config's own request; an endpoint outlives its config."""
    try:
        row = call.verbs.describe(endpoint_config.NOUN.kind, call.region, config)
    except NotFound:
        return {}
    sent: Mapping[str, Any] = row.document["request"]
    return sent


def _share(state: Mapping[str, Any], *, is_old: bool) -> float:
    """The part of the traffic that the old or the new fleet takes."""
    taken: float = (state.get("rollout") or {}).get("share", 0.0)
    return 1.0 - taken if is_old else taken


def _ready(state: Mapping[str, Any], generation: int, variant: str) -> int:
    """How many replicas of a variant answer in one of the fleets."""
    return sum(
        r["ready"] and r.get("retired") is None
        for r in state["replicas"].values()
        if (r["generation"], r["variant"]) == (generation, variant)
    )


def _variant_status(state: Mapping[str, Any], *, is_old: bool) -> dict[str, Any]:
    """The VariantStatus of a fleet's variants while an update runs; else nothing."""
    rollout = state.get("rollout") or {}
    word = (_OLD if is_old else _NEW).get(rollout.get("stage", ""))
    if not word:
        return {}
    return {"VariantStatus": [{"Status": word, "StartTime": rollout["since"]}]}

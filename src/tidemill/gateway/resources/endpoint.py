"""Endpoint on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tidemill.control import endpoint
from tidemill.control.endpoint import Change
from tidemill.errors import Conflict, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import deployment, endpoint_answer, endpoint_config, model, quota
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.endpoint import Endpoint, EndpointStatus
from tidemill.store.base import Row

NOUN = Noun(
    "endpoint",
    "Endpoint",
    unknown='Could not find endpoint "{arn}".',
    taken='Cannot create already existing endpoint "{arn}".',
)
_BUSY = (
    EndpointStatus.CREATING.value,
    EndpointStatus.UPDATING.value,
    EndpointStatus.ROLLING_BACK.value,
)


def create(call: Call) -> dict[str, Any]:
    name, config = call.request["EndpointName"], call.request["EndpointConfigName"]
    endpoint_config.NOUN.find(call, config)
    spec = Endpoint(name, call.arn(NOUN.kind, name), call.region, config)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    home = call.platform.home
    deployment.to_spec(call, kept.get("DeploymentConfig", {}))  # for later; it must be sound now
    return NOUN.create(
        call, _models(call, lambda tags: endpoint.create(call.verbs, home, spec, kept, tags))
    )


def update(call: Call) -> dict[str, Any]:
    """Roll over to another config."""
    asked = call.request
    name, config = asked["EndpointName"], asked["EndpointConfigName"]
    row = NOUN.find(call)
    endpoint_config.NOUN.find(call, config)
    last = endpoint.last_deployment(row.document) if asked.get("RetainDeploymentConfig") else None
    how = deployment.to_spec(call, asked.get("DeploymentConfig", last or {}))
    kept = asked.get("RetainAllVariantProperties", False)
    dropped = {e["VariantPropertyType"] for e in asked.get("ExcludeRetainedVariantProperties", ())}
    return _change(
        call,
        lambda _: endpoint.update(
            call.verbs,
            call.region,
            name,
            config,
            asked,
            keep_weights=kept and "DesiredWeight" not in dropped,
            keep_counts=kept and "DesiredInstanceCount" not in dropped,
            keep_capture=kept and "DataCaptureConfig" not in dropped,
            deployment=how,
        ),
    )


def update_weights(call: Call) -> dict[str, Any]:
    """The request is looked at before the endpoint's state."""
    row = NOUN.find(call)
    wanted = call.request["DesiredWeightsAndCapacities"]
    names = [w["VariantName"] for w in wanted]
    for name, times in Counter(names).items():
        if times > 1:
            raise invalid(f'The variant name "{name}" was non-unique within the request.')
    state = row.document["state"]
    known = {v["name"] for v in state["variants"]}
    unknown = ", ".join(n for n in names if n not in known)
    if unknown:
        raise invalid(
            f'The variant name(s) "{unknown}" is/are not present within endpoint configuration '
            f'"{state["config"]}".'
        )
    for one in wanted:
        quota.check(one.get("DesiredInstanceCount", 1), "local for endpoint usage")
    changes = {
        w["VariantName"]: Change(
            w["VariantName"],
            w.get("DesiredWeight"),
            w.get("DesiredInstanceCount"),
            w.get("ServerlessUpdateConfig", {}).get("MaxConcurrency"),
            w.get("ServerlessUpdateConfig", {}).get("ProvisionedConcurrency"),
        )
        for w in wanted
    }
    return _change(
        call, lambda _: endpoint.update_weights(call.verbs, call.region, row.name, changes)
    )


def delete(call: Call) -> None:
    NOUN.delete(call, lambda region, name: endpoint.delete(call.verbs, region, name))


def describe(call: Call) -> dict[str, Any]:
    return endpoint_answer.described(call, NOUN.find(call))


def _change(call: Call, fn: Callable[[dict[str, str]], Row]) -> dict[str, Any]:
    arn = call.arn(NOUN.kind, call.request["EndpointName"])
    try:
        _models(call, fn, NOUN)({})
    except Conflict as error:
        if error.got in _BUSY:
            raise invalid(f'Cannot update in-progress endpoint "{arn}".') from None
        raise invalid(
            f'Cannot update endpoint "{arn}" in status {error.got}: it must be InService.'
        ) from None
    return {"EndpointArn": arn}


def _models(
    call: Call, fn: Callable[[dict[str, str]], Row], *named: Noun
) -> Callable[[dict[str, str]], Row]:
    """What the request names was looked up: what is missing is a model of the config, unless one
    of those was deleted meanwhile.
    """

    def guarded(tags: dict[str, str]) -> Row:
        try:
            return fn(tags)
        except NotFound as error:
            for noun in (*named, endpoint_config.NOUN):
                if noun.key in call.request:
                    noun.find(call)
            raise model.NOUN.missing(call, str(error.got)) from None

    return guarded


OPERATIONS: dict[str, Handler] = {
    "CreateEndpoint": create,
    "DescribeEndpoint": describe,
    "UpdateEndpoint": update,
    "UpdateEndpointWeightsAndCapacities": update_weights,
    "DeleteEndpoint": delete,
    "ListEndpoints": Listing(
        NOUN,
        "Endpoints",
        lambda row: {"LastModifiedTime": row.modified, "EndpointStatus": row.status},
    ),
}

"""Model on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.control import model
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import packaged_model
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.model import DIRECT, MULTI, SERIAL, SINGLE, Container, Model

NOUN = Noun(
    "model",
    "Model",
    unknown='Could not find model "{arn}".',
    taken='Cannot create already existing model "{arn}".',
)


def create(call: Call) -> dict[str, Any]:
    spec = to_spec(call)
    return NOUN.create(call, lambda tags: model.create(call.verbs, spec, _kept(call), tags))


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call)
    return {
        "EnableNetworkIsolation": False,
        **call.echo(row.document["request"]),
        "ModelArn": call.arn(row.kind, row.name),
        "CreationTime": row.created,
    }


def delete(call: Call) -> None:
    NOUN.delete(call, lambda region, name: model.delete(call.verbs, region, name))


def to_spec(call: Call) -> Model:
    """A model from its CreateModel request."""
    request, name = call.request, call.request["ModelName"]
    if "PrimaryContainer" in request and "Containers" in request:
        raise invalid(
            "PrimaryContainer and Containers must not both be given. Keep one of them: "
            "Containers for models that answer one after another."
        )
    single = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    sent = request.get("Containers", single)
    containers = tuple(_container(c) for one in sent for c in packaged_model.containers(call, one))
    execution = request.get("InferenceExecutionConfig", {}).get("Mode", SERIAL)
    if problem := _problem(containers, execution):
        raise invalid(problem)
    return Model(name, call.arn(NOUN.kind, name), call.region, containers, execution)


def _problem(containers: Sequence[Container], execution: str) -> str:
    """Why containers can not be one model, or nothing."""
    hostnames = [one.hostname for one in containers]
    named = [name for name in hostnames if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        return (
            f"ContainerHostname must be unique among the containers of a model; got {twice[0]!r} "
            "more than once. Give each a name of its own."
        )
    if len(containers) > 1 and 0 < len(named) < len(hostnames):
        return (
            "ContainerHostname must be given for all containers of a model, or for none; got "
            f"{len(named)} of {len(hostnames)}. Name the others, too."
        )
    if execution == DIRECT and len(named) < max(len(containers), 2):
        return (
            "InferenceExecutionConfig.Mode Direct needs two containers or more, each with a "
            f"ContainerHostname; got {len(named)} of them. Name them all, or use Serial."
        )
    several = [one for one in containers if one.mode == MULTI]
    if len(several) > 1 or (several and execution == DIRECT):
        return (
            "Mode MultiModel is for one container of a model, and not with Direct execution; got "
            f"{len(several)} of {len(containers)} containers. Make the others models of their own."
        )
    return ""


def _container(sent: Mapping[str, Any]) -> Container:
    source = sent.get("ModelDataSource", {}).get("S3DataSource", {})
    return Container(
        sent.get("Image", ""),
        sent.get("ModelDataUrl", source.get("S3Uri")),
        sent.get("Environment", {}),
        sent.get("ContainerHostname", ""),
        sent.get("Mode", SINGLE),
        sent.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled") == "Enabled",
    )


def _kept(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.request.items() if name != "Tags"}


OPERATIONS: dict[str, Handler] = {
    "CreateModel": create,
    "DescribeModel": describe,
    "DeleteModel": delete,
    "ListModels": Listing(NOUN, "Models", lambda row: {}),
}

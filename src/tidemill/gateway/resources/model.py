"""Model on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.control import model
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import invalid
from tidemill.spec.model import Container, Model

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
    containers = tuple(_container(c) for c in request.get("Containers", single))
    return Model(name, call.arn(NOUN.kind, name), call.region, containers)


def _container(sent: Mapping[str, Any]) -> Container:
    source = sent.get("ModelDataSource", {}).get("S3DataSource", {})
    return Container(
        sent.get("Image", ""),
        sent.get("ModelDataUrl", source.get("S3Uri")),
        sent.get("Environment", {}),
    )


def _kept(call: Call) -> dict[str, Any]:
    return {name: value for name, value in call.request.items() if name != "Tags"}


OPERATIONS: dict[str, Handler] = {
    "CreateModel": create,
    "DescribeModel": describe,
    "DeleteModel": delete,
    "ListModels": Listing(NOUN, "Models", lambda row: {}),
}

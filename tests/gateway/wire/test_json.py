"""JSON 1.1: types as the model says, and words for those that are not."""

from __future__ import annotations

from typing import Any

import botocore.session
import orjson
import pytest
from botocore.parsers import create_parser

from tidemill.gateway.wire import json
from tidemill.gateway.wire.errors import Fault
from tidemill.gateway.wire.model import Shape, service

SAGEMAKER = service("sagemaker")


def shape(operation: str) -> Shape:
    found = SAGEMAKER.operation(operation)
    assert found is not None
    assert found.input is not None
    return found.input


def parse(operation: str, document: Any) -> dict[str, Any]:
    return json.parse(orjson.dumps(document), shape(operation))


def test_unknown_members_and_nulls_are_left_out() -> None:
    document = {"TrainingJobName": "a", "Flavour": "sweet", "HyperParameters": None}
    assert parse("CreateTrainingJob", document) == {"TrainingJobName": "a"}


def test_an_empty_body_is_an_empty_request() -> None:
    assert json.parse(b"", shape("ListModels")) == {}


@pytest.mark.parametrize("sent", [1_700_000_000, "2023-11-14T22:13:20Z", "2023-11-14T22:13:20"])
def test_times_are_epoch_seconds_however_sent(sent: Any) -> None:
    assert parse("ListModels", {"CreationTimeAfter": sent})["CreationTimeAfter"] == 1_700_000_000


@pytest.mark.parametrize(
    ("operation", "document", "message"),
    [
        ("DescribeModel", {"ModelName": 5}, "NUMBER_VALUE can not be converted to String: 5 at"),
        ("DescribeModel", {"ModelName": True}, "BOOLEAN_VALUE can not be converted to String"),
        ("DescribeModel", {"ModelName": ["a"]}, "Start of list found where not expected"),
        ("ListModels", {"MaxResults": "5"}, "STRING_VALUE can not be converted to Integer"),
        ("ListModels", {"MaxResults": 1.5}, "NUMBER_VALUE can not be converted to Integer: 1.5"),
        ("ListModels", {"MaxResults": 2**40}, "NUMBER_VALUE can not be converted to Integer"),
        ("ListModels", {"CreationTimeAfter": "soon"}, "can not be converted to Timestamp"),
        ("ListModels", {"CreationTimeAfter": 1e300}, "can not be converted to Timestamp"),
        ("CreateModel", {"Containers": {}}, "Start of structure or map found where not expected"),
        ("CreateModel", {"Containers": "x"}, "Expected list or null"),
        ("CreateModel", {"PrimaryContainer": []}, "Start of list found where not expected"),
        ("CreateModel", {"EnableNetworkIsolation": 1}, "can not be converted to Boolean"),
        ("CreateModel", {"Containers": [{"Image": 1}]}, "'containers.1.member.image'"),
        ("CreateTrainingJob", {"HyperParameters": {"k": 10}}, "'hyperParameters.k.member'"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(
    operation: str, document: dict[str, Any], message: str
) -> None:
    with pytest.raises(Fault) as caught:
        parse(operation, document)
    assert caught.value.code == "SerializationException"
    assert message in caught.value.message


def filled(shape: Shape, seen: tuple[str, ...] = ()) -> Any:
    """One value of every member, as deep as it goes without going round."""
    if shape.kind == "structure":
        inner = (*seen, shape.name)
        return {n: filled(m, inner) for n, m in shape.members.items() if m.name not in inner}
    if shape.kind == "list":
        assert shape.element is not None
        return [] if shape.element.name in seen else [filled(shape.element, seen)]
    if shape.kind == "map":
        assert shape.value is not None
        return {"key": filled(shape.value, seen)}
    some = {"string": "a", "boolean": True, "timestamp": 1_700_000_000.5, "float": 0.5}
    return some.get(shape.kind, 1)


@pytest.mark.parametrize(
    "operation",
    ["CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "Search"],
)
def test_a_full_request_is_read_as_botocore_writes_it(operation: str) -> None:
    document = filled(shape(operation))
    assert parse(operation, document) == document


def test_botocore_reads_our_answers() -> None:
    theirs = botocore.session.get_session().get_service_model("sagemaker")
    for operation in ("DescribeTrainingJob", "DescribeEndpoint", "ListTags"):
        found = SAGEMAKER.operation(operation)
        assert found is not None
        assert found.output is not None
        body = json.dump(filled(found.output))
        output = theirs.operation_model(operation).output_shape
        told = create_parser("json").parse(
            {"body": body, "headers": {}, "status_code": 200}, output
        )
        assert set(told) - {"ResponseMetadata"} == set(found.output.members)

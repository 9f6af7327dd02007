"""Every violation in AWS's words, and agreement with botocore's own validator."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.requests import ROLE, training_job, variant
from tidemill.gateway.wire import json, validate
from tidemill.gateway.wire.errors import Fault
from tidemill.gateway.wire.model import Shape, service

SAGEMAKER = service("sagemaker")
ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/x"


def message(operation: str, request: dict[str, Any]) -> str:
    found = SAGEMAKER.operation(operation)
    assert found is not None
    with pytest.raises(Fault) as caught:
        validate.check(request, found.input)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_pattern() -> None:
    request = {"EndpointConfigName": "c", "ProductionVariants": [variant(model="a b")]}
    said = message("CreateEndpointConfig", request)
    assert said.startswith(
        "1 validation error detected: Value 'a b' at 'productionVariants.1.member.modelName' "
        "failed to satisfy constraint: Member must satisfy regular expression pattern: "
    )
    assert SAGEMAKER.shape("ModelName").pattern in said


@pytest.mark.parametrize(
    ("operation", "request_", "violation"),
    [
        (
            "ListTrainingJobs",
            {"MaxResults": 101},
            "Value '101' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 100",
        ),
        (
            "ListTrainingJobs",
            {"MaxResults": 0},
            "Value '0' at 'maxResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            "ListTrainingJobs",
            {"SortBy": "Taste"},
            "Value 'Taste' at 'sortBy' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Name, CreationTime, Status]",
        ),
        (
            "DescribeTrainingJob",
            {},
            "Value null at 'trainingJobName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "DescribeTrainingJob",
            {"TrainingJobName": "x" * 64},
            f"Value '{'x' * 64}' at 'trainingJobName' failed to satisfy constraint: "
            "Member must have length less than or equal to 63",
        ),
        (
            "CreateEndpointConfig",
            {"EndpointConfigName": "c", "ProductionVariants": []},
            "Value '[]' at 'productionVariants' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            "CreateTrainingJob",
            training_job("j", HyperParameters={"k": "x" * 2501, "fine": "1"}),
            "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: "
            "[Member must have length less than or equal to 2500, Member must have length greater "
            "than or equal to 0, Member must satisfy regular expression pattern: .*]",
        ),
        (
            "CreateTrainingJob",
            training_job("j", Environment={"1a": "b"}),
            "Value '{1a=b}' at 'environment' failed to satisfy constraint: "
            "Map keys must satisfy constraint: [",
        ),
        (
            "DeleteTags",
            {"ResourceArn": ARN, "TagKeys": ["ok", "b\tad"]},
            "Value '[b\tad]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
            "constraint: [Member must have length less than or equal to 128",
        ),
        (
            "DeleteTags",
            {"ResourceArn": ARN, "TagKeys": ["ok", None]},
            "Value null at 'tagKeys.2.member' failed to satisfy constraint: "
            "Member must not be null",
        ),
    ],
)
def test_the_words_of_a_violation(operation: str, request_: dict[str, Any], violation: str) -> None:
    said = message(operation, request_)
    assert said.startswith("1 validation error detected: Value ")
    assert violation in said


def test_several_violations_are_counted_and_joined() -> None:
    said = message("CreateTrainingJob", {"TrainingJobName": "-"})
    assert said.startswith("3 validation errors detected: Value null at 'roleArn'")
    assert "; Value '-' at 'trainingJobName'" in said


def test_at_most_ten_violations_are_told_and_long_values_are_cut() -> None:
    variants = [variant(name="-", model="x" * 5000) for _ in range(10)]
    said = message("CreateEndpointConfig", {"ProductionVariants": variants})
    assert said.startswith("10 validation errors detected: ")
    assert len(said) < 20_000


def test_a_union_has_exactly_one_member() -> None:
    unions = [s for n in SAGEMAKER.names for s in _unions(n)]
    assert unions
    for shape in unions[:3]:
        with pytest.raises(Fault, match="Exactly one member"):
            validate.check({}, shape)


def _unions(operation: str) -> list[Shape]:
    found = SAGEMAKER.operation(operation)
    assert found is not None
    members = found.input.members.values() if found.input else ()
    return [m for m in members if m.union]


def samples(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of roughly the right shape: members missing, lists too short, numbers too low."""
    if shape.kind == "structure":
        members = shape.members if depth < 3 else {n: shape.members[n] for n in shape.required}
        return st.fixed_dictionaries(
            {}, optional={n: samples(m, depth + 1) for n, m in list(members.items())[:6]}
        )
    if shape.kind == "list":
        assert shape.element is not None
        return st.lists(samples(shape.element, depth + 1), max_size=2)
    if shape.kind == "map":
        assert shape.value is not None
        return st.dictionaries(st.just("key"), samples(shape.value, depth + 1), max_size=1)
    return {
        "string": st.sampled_from(["", "a", *shape.enum[:1]]),
        "boolean": st.booleans(),
        "timestamp": st.just(1_700_000_000),
        "float": st.sampled_from([-1.0, 0.5]),
        "double": st.sampled_from([-1.0, 0.5]),
    }.get(shape.kind, st.sampled_from([-1, 0, 1]))


@pytest.mark.parametrize(
    "operation",
    ["CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "ListEndpoints", "AddTags"],
)
def test_what_botocore_refuses_is_refused_and_what_is_only_ours_it_does_not_check(
    operation: str,
) -> None:
    theirs = botocore.session.get_session().get_service_model("sagemaker")
    input_shape = theirs.operation_model(operation).input_shape
    found = SAGEMAKER.operation(operation)
    assert found is not None
    assert found.input is not None
    ours = found.input

    @given(samples(ours))
    def agree(request: dict[str, Any]) -> None:
        refused = ParamValidator().validate(request, input_shape).has_errors()
        try:
            validate.check(json.parse(json.dump(request), ours), ours)
            said = ""
        except Fault as fault:
            said = fault.message
        if refused:
            assert said
        elif said:  # botocore leaves these to the server
            only_ours = ("pattern", "enum value set", "less than or equal", "Exactly one")
            assert any(words in said for words in only_ours)

    agree()


def test_a_lawful_request_passes() -> None:
    found = SAGEMAKER.operation("CreateTrainingJob")
    assert found is not None
    validate.check(training_job("mill-1", RoleArn=ROLE), found.input)

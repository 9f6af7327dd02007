"""What filters mean, against plain Python; every record and every value that hypothesis finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.gateway.search import expression
from tidemill.gateway.search.properties import has, values
from tidemill.gateway.wire.errors import Fault
from tidemill.gateway.wire.model import Shape, service

NUMBERS = st.integers(-5, 5) | st.floats(-5, 5).map(lambda x: round(x, 2))
WORDS = st.text("abc.", min_size=1, max_size=4)
PARAMETERS = st.dictionaries(WORDS, NUMBERS | WORDS, max_size=4)


def component() -> Shape:
    """The record of a trial component."""
    output = service("sagemaker").operation("Search").output  # type: ignore[union-attr]
    assert output is not None
    results = output.members["Results"].element
    assert results is not None
    return results.members["TrialComponent"]


def one(name: str, operator: str, value: object = None) -> dict[str, Any]:
    said = {} if value is None else {"Value": str(value)}
    return {"Filters": [{"Name": name, "Operator": operator, **said}]}


def record(parameters: dict[str, Any]) -> dict[str, Any]:
    wire = {
        name: {"StringValue": value} if isinstance(value, str) else {"NumberValue": value}
        for name, value in parameters.items()
    }
    return {"Parameters": wire}


@given(PARAMETERS, WORDS, NUMBERS)
def test_numbers_are_compared_as_numbers(
    parameters: dict[str, Any], name: str, value: float
) -> None:
    found = parameters.get(name)
    here = isinstance(found, (int, float))
    asked = f"Parameters.{name}"
    wanted = {
        "Equals": here and found == value,
        "GreaterThan": here and found > value,
        "GreaterThanOrEqualTo": here and found >= value,
        "LessThan": here and found < value,
        "LessThanOrEqualTo": here and found <= value,
    }
    for operator, holds in wanted.items():
        told = expression.matches(one(asked, operator, value), record(parameters))
        assert told == holds, operator


@given(PARAMETERS, WORDS, WORDS)
def test_text_is_compared_as_text(parameters: dict[str, Any], name: str, value: str) -> None:
    found = parameters.get(name)
    text = found if isinstance(found, str) else None
    wanted = {
        "Equals": text == value,
        "Contains": text is not None and value in text,
        "In": text == value,
        "GreaterThan": False,
        "LessThanOrEqualTo": False,
    }
    for operator, holds in wanted.items():
        asked = one(f"Parameters.{name}", operator, value)
        assert expression.matches(asked, record(parameters)) == holds, operator


@given(PARAMETERS, WORDS, NUMBERS | WORDS)
def test_operators_that_deny_are_the_others_turned(
    parameters: dict[str, Any], name: str, value: object
) -> None:
    told, asked = record(parameters), f"Parameters.{name}"
    for operator, other in (("Equals", "NotEquals"), ("Exists", "NotExists")):
        yes = expression.matches(one(asked, operator, value), told)
        assert yes != expression.matches(one(asked, other, value), told)
    assert expression.matches(one(asked, "Exists"), told) == (name in parameters)


TERMS = st.deferred(
    lambda: st.builds(
        lambda filters, more, operator: {
            "Filters": filters,
            "SubExpressions": more,
            "Operator": operator,
        },
        st.lists(
            st.builds(
                lambda name, operator, value: one(f"Parameters.{name}", operator, value)["Filters"][
                    0
                ],
                st.sampled_from("ab"),
                st.sampled_from(expression.OPERATORS),
                NUMBERS,
            ),
            min_size=1,
            max_size=3,
        ),
        st.lists(TERMS, max_size=2),
        st.sampled_from(["And", "Or"]),
    )
)


@settings(max_examples=30)
@given(TERMS, PARAMETERS)
def test_expressions_are_what_their_parts_are(
    terms: dict[str, Any], parameters: dict[str, Any]
) -> None:
    told = record(parameters)
    parts = [expression.matches({"Filters": [one]}, told) for one in terms["Filters"]]
    parts += [expression.matches(one, told) for one in terms["SubExpressions"]]
    wanted = any(parts) if terms["Operator"] == "Or" else all(parts)
    assert expression.matches(terms, told) == wanted


@given(PARAMETERS)
def test_keys_with_dots_are_found(parameters: dict[str, Any]) -> None:
    told = record(parameters)
    for name, value in parameters.items():
        assert value in list(values(told, f"Parameters.{name}"))


@pytest.mark.parametrize(
    ("found", "operator", "value", "holds"),
    [
        ("0.5", "LessThan", "0.7", True),
        ("0.5", "GreaterThan", "0", False),  # beside a whole number decimals do not count
        ("0.5", "GreaterThan", "0.0", True),
        ("10", "Equals", "10.0", True),
        ("auto", "LessThan", "1", False),
        ("a,b", "Contains", ",", True),
        ("b", "In", "a, b", True),
    ],
)
def test_hyperparameters_are_text_that_may_be_numbers(
    found: str, operator: str, value: str, holds: bool
) -> None:
    told = {"HyperParameters": {"x.y": found}}
    assert expression.matches(one("HyperParameters.x.y", operator, value), told) == holds


def test_times_are_told_in_iso_8601() -> None:
    told = {"CreationTime": 1_714_564_800.0}  # noon of the first of May 2024
    assert expression.matches(one("CreationTime", "GreaterThan", "2024-05-01T11:59:59"), told)
    assert expression.matches(one("CreationTime", "LessThan", "2024-05-01T13:30:00+01:00"), told)
    assert not expression.matches(one("CreationTime", "LessThan", "2024-05-01T12:00:00Z"), told)
    assert not expression.matches(one("CreationTime", "LessThan", "yesterday"), told)


def test_a_nested_filter_means_one_object() -> None:
    told = {
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://rye/a"}}},
            {"ChannelName": "test", "DataSource": {"S3DataSource": {"S3Uri": "s3://oats/b"}}},
        ]
    }

    def holds(channel: str, uri: str) -> bool:
        name, source = (
            "InputDataConfig.ChannelName",
            "InputDataConfig.DataSource.S3DataSource.S3Uri",
        )
        filters = [
            {"Name": name, "Operator": "Equals", "Value": channel},
            {"Name": source, "Operator": "Contains", "Value": uri},
        ]
        nested = {"NestedPropertyName": "InputDataConfig", "Filters": filters}
        return expression.matches({"NestedFilters": [nested]}, told)

    assert holds("train", "rye")
    assert holds("test", "oats")
    assert not holds("train", "oats")


def test_names_are_known_by_the_shape() -> None:
    shape = component()
    for name in (
        "TrialComponentName",
        "Parameters.k",
        "metrics.loss.max",
        "Tags.any.thing",
        "Parents.TrialName",
        "Status.PrimaryStatus",
        "InputArtifacts.train.Value",
        "Source.SourceArn",
    ):
        assert has(shape, name), name
    for name in ("ExperimentName", "Parents.Name", "Status.Primary", "Tags", ""):
        assert not has(shape, name), name


def test_what_cannot_be_searched_is_said() -> None:
    wrong = [
        (one("ExperimentName", "Equals", "x"), "Unknown property name: ExperimentName"),
        (one("DisplayName", "Equals"), "Operator Equals needs a Value, for DisplayName."),
        (
            {"Filters": one("Parameters.a", "Contains", "x")["Filters"] * 2},
            "'CONTAINS' operator usage limit of 1 exceeded.",
        ),
        (
            {"SubExpressions": [{"Filters": one("DisplayName", "Exists")["Filters"] * 20}] * 3},
            "The maximum number of recursive",
        ),
    ]
    for asked, message in wrong:
        with pytest.raises(Fault) as caught:
            expression.check(asked, component())
        assert caught.value.code == "ValidationException"
        assert message in caught.value.message
    expression.check({"Filters": one("DisplayName", "Contains", "x")["Filters"] * 2}, component())

"""Forms in, XML out."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tidemill.gateway.wire import query
from tidemill.gateway.wire.errors import Answer, Fault
from tidemill.gateway.wire.model import Operation, service


def operation(name: str, of: str) -> Operation:
    found = service(of).operation(name)
    assert found is not None
    return found


def test_lists_and_structures_are_spelled_in_names() -> None:
    fields = query.fields(
        "Action=GetMetricStatistics&Namespace=n&Dimensions.member.1.Name=a&Dimensions.member.1."
        "Value=b&Dimensions.member.2.Name=c&Statistics.member.1=Sum&Period=60"
        "&StartTime=2023-11-14T22%3A13%3A20Z"
    )
    assert query.parse(fields, operation("GetMetricStatistics", "cloudwatch").input) == {
        "Namespace": "n",
        "Dimensions": [{"Name": "a", "Value": "b"}, {"Name": "c"}],
        "Statistics": ["Sum"],
        "Period": 60,
        "StartTime": 1_700_000_000.0,
    }


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(Fault, match="Period cannot be read as integer: 'x'"):
        query.parse({"Period": "x"}, operation("GetMetricStatistics", "cloudwatch").input)


def test_too_many_fields_are_refused() -> None:
    with pytest.raises(Fault, match="cannot be read"):
        query.fields("a&" * 20_000)


def test_an_answer_is_well_formed_whatever_is_in_it() -> None:
    answer = {"EvaluationResults": [{"EvalActionName": "<&\x00>", "EvalDecision": "allowed"}]}
    found = operation("SimulatePrincipalPolicy", "iam")
    root = ElementTree.fromstring(query.dump(found, answer, "urn:x", "id-1"))
    assert root.find(".//{urn:x}EvalActionName").text == "<&\ufffd>"
    assert root.find(".//{urn:x}RequestId").text == "id-1"
    error = query.error(Answer("Code", "<&", 400), "id-2")
    assert ElementTree.fromstring(error).find("Error/Message").text == "<&"

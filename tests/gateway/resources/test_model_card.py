"""Model cards and their versions through unmodified boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.failing import refused

CONTENT = json.dumps(
    {
        "model_overview": {"model_name": "mill", "model_owner": "Ada", "model_version": 2},
        "intended_uses": {"purpose_of_model": "Grain", "risk_rating": "Low"},
        "training_details": {
            "objective_function": {"function": {"function": "Minimize", "facet": "Loss"}},
            "training_job_details": {"training_metrics": [{"name": "loss", "value": 0.5}]},
        },
        "evaluation_details": [
            {
                "name": "first",
                "metadata": {"by": "Ada"},
                "metric_groups": [
                    {
                        "name": "all",
                        "metric_data": [
                            {"name": "auc", "type": "number", "value": 0.9},
                            {"name": "c", "type": "matrix", "value": [[1, 2], [3, 4]]},
                        ],
                    }
                ],
            }
        ],
        "additional_information": {"custom_details": {"colour": "blue"}},
    }
)


@pytest.fixture
def card(sagemaker: Any) -> str:
    arn: str = sagemaker.create_model_card(
        ModelCardName="mill",
        Content=CONTENT,
        ModelCardStatus="Draft",
        SecurityConfig={"KmsKeyId": "key"},
        Tags=[{"Key": "a", "Value": "b"}],
    )["ModelCardArn"]
    return arn


def listed(sagemaker: Any, **asked: Any) -> list[tuple[int, str]]:
    pages = sagemaker.get_paginator("list_model_card_versions").paginate(
        ModelCardName="mill", **asked
    )
    found = [one for page in pages for one in page["ModelCardVersionSummaryList"]]
    return [(one["ModelCardVersion"], one["ModelCardStatus"]) for one in found]


def test_each_update_is_a_version_and_the_earlier_stay(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName="mill", ModelCardStatus="PendingReview")
    answer = sagemaker.update_model_card(ModelCardName=card, Content="{}")
    assert answer["ModelCardArn"] == card
    newest = sagemaker.describe_model_card(ModelCardName=card)
    first = sagemaker.describe_model_card(ModelCardName="mill", ModelCardVersion=1)
    assert (newest["ModelCardVersion"], newest["Content"]) == (3, "{}")
    assert (first["ModelCardVersion"], first["Content"]) == (1, CONTENT)
    assert (newest["ModelCardStatus"], first["ModelCardStatus"]) == ("PendingReview", "Draft")
    assert newest["CreationTime"] == first["CreationTime"]
    assert newest["LastModifiedTime"] > first["LastModifiedTime"]
    assert newest["SecurityConfig"] == first["SecurityConfig"] == {"KmsKeyId": "key"}
    assert newest["CreatedBy"] == newest["LastModifiedBy"] == {}
    assert sagemaker.list_tags(ResourceArn=card)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_versions_are_listed_in_order(sagemaker: Any, card: str) -> None:
    statuses = ["PendingReview", "Approved", "Draft", "Approved"]
    for status in statuses:
        sagemaker.update_model_card(ModelCardName="mill", ModelCardStatus=status)
    wanted = list(enumerate(["Draft", *statuses], 1))
    assert listed(sagemaker) == wanted
    assert listed(sagemaker, SortBy="Version", SortOrder="Descending") == wanted[::-1]
    assert listed(sagemaker, PaginationConfig={"PageSize": 2}) == wanted
    assert listed(sagemaker, ModelCardStatus="Approved") == [(3, "Approved"), (5, "Approved")]
    assert listed(sagemaker, CreationTimeAfter=4e9) == []
    assert listed(sagemaker, CreationTimeAfter=1) == wanted
    versions = sagemaker.list_model_card_versions(ModelCardName=card)
    summaries = versions["ModelCardVersionSummaryList"]
    assert len({one["CreationTime"] for one in summaries}) == 1
    assert {one["ModelCardArn"] for one in summaries} == {card}


def test_lists_tell_the_newest_status(sagemaker: Any, card: str) -> None:
    sagemaker.create_model_card(ModelCardName="other", Content="{}", ModelCardStatus="Draft")
    sagemaker.update_model_card(ModelCardName="mill", ModelCardStatus="Approved")
    found = sagemaker.list_model_cards(ModelCardStatus="Approved")["ModelCardSummaries"]
    assert [(one["ModelCardName"], one["ModelCardStatus"]) for one in found] == [
        ("mill", "Approved")
    ]
    assert len(sagemaker.list_model_cards()["ModelCardSummaries"]) == 2


def test_a_card_goes_with_all_its_versions(sagemaker: Any, card: str) -> None:
    sagemaker.update_model_card(ModelCardName="mill", ModelCardStatus="Approved")
    sagemaker.delete_model_card(ModelCardName="mill")
    with refused("ResourceNotFound", "Modelcard mill does not exist."):
        sagemaker.list_model_card_versions(ModelCardName="mill")
    with refused("ResourceNotFound", "Modelcard mill does not exist."):
        sagemaker.delete_model_card(ModelCardName="mill")
    sagemaker.create_model_card(ModelCardName="mill", Content="{}", ModelCardStatus="Draft")
    assert listed(sagemaker) == [(1, "Draft")]


def test_a_version_that_is_not_there(sagemaker: Any, card: str) -> None:
    with refused("ResourceNotFound", "Modelcard with name mill and version: 7 does not exist"):
        sagemaker.describe_model_card(ModelCardName="mill", ModelCardVersion=7)


def test_one_thing_is_updated_at_a_time(sagemaker: Any, card: str) -> None:
    with refused("ValidationException", "cannot update both"):
        sagemaker.update_model_card(ModelCardName="mill", Content="{}", ModelCardStatus="Approved")
    with refused("ValidationException", "Nothing to update"):
        sagemaker.update_model_card(ModelCardName="mill")
    assert listed(sagemaker) == [(1, "Draft")]


def test_metadata_alone_may_be_told(sagemaker: Any, card: str) -> None:
    told = sagemaker.describe_model_card(ModelCardName="mill", IncludedData="MetadataOnly")
    assert json.loads(told["Content"]) == {
        "model_overview": {"model_name": "mill"},
        "intended_uses": {"risk_rating": "Low"},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("grain", "an object in JSON"),
        ("[" * 50_000, "an object in JSON"),
        ("[]", "$ must be an object"),
        ('{"grain": {}}', "$ has no member 'grain'"),
        ('{"model_overview": {"model_owner": 7}}', "$.model_overview.model_owner must be text"),
        ('{"intended_uses": {"risk_rating": "Huge"}}', "one of High, Medium, Low, Unknown"),
        ('{"evaluation_details": [{}]}', "$.evaluation_details[0].name is missing"),
        ('{"evaluation_details": {}}', "$.evaluation_details must be a list"),
        ('{"model_overview": {"model_version": true}}', "must be a number"),
        ('{"business_details": {"line_of_business": "%s"}}' % ("x" * 2049), "at most 2048"),
    ],
    ids=lambda value: value[:40],
)
def test_content_that_is_no_card(sagemaker: Any, content: str, message: str) -> None:
    with refused("ValidationException", message):
        sagemaker.create_model_card(ModelCardName="mill", Content=content, ModelCardStatus="Draft")


def test_a_card_is_found_by_its_model(sagemaker: Any, card: str) -> None:
    content = json.dumps({"model_package_details": {"model_package_arn": "arn:grain/1"}})
    sagemaker.create_model_card(ModelCardName="of-1", Content=content, ModelCardStatus="Draft")
    sagemaker.update_model_card(ModelCardName="of-1", ModelCardStatus="Approved")

    def found(name: str, value: str) -> list[dict[str, Any]]:
        filters = [{"Name": name, "Operator": "Equals", "Value": value}]
        results = sagemaker.search(Resource="ModelCard", SearchExpression={"Filters": filters})
        return [one["ModelCard"] for one in results["Results"]]

    [told] = found("ModelId", "arn:grain/1")
    assert (told["ModelCardName"], told["ModelCardVersion"]) == ("of-1", 2)
    assert [one["ModelCardName"] for one in found("RiskRating", "Low")] == ["mill"]
    assert found("ModelId", "arn:grain/2") == []

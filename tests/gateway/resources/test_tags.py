"""Tags, by ARN, on what exists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT
from tests.gateway.failing import refused
from tests.gateway.requests import model, training_job


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def arn(sagemaker: Any) -> str:
    made: str = sagemaker.create_model(**model("mill", Tags=pairs(b="1")))["ModelArn"]
    return made


def test_tags_keep_the_order_of_their_addition(sagemaker: Any, arn: str) -> None:
    added = sagemaker.add_tags(ResourceArn=arn, Tags=pairs(c="2", a="3"))["Tags"]
    assert added == sagemaker.list_tags(ResourceArn=arn)["Tags"] == pairs(b="1", c="2", a="3")
    sagemaker.add_tags(ResourceArn=arn, Tags=pairs(c="9"))
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b", "unknown"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == pairs(c="9", a="3")
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "c"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_fifty_tags_make_a_page(sagemaker: Any, arn: str) -> None:
    for start in (0, 50):
        tags = pairs(**{f"k{i:02}": str(i) for i in range(start, start + 50)})
        sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    first = sagemaker.list_tags(ResourceArn=arn)
    assert len(first["Tags"]) == 50
    pages = list(sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn))
    assert [t["Key"] for p in pages for t in p["Tags"]] == ["b", *(f"k{i:02}" for i in range(100))]
    assert "NextToken" not in pages[-1]
    with refused("ValidationException", "Invalid NextToken"):
        sagemaker.list_tags(ResourceArn=arn, NextToken="made-up")


def test_more_than_fifty_tags_a_call_are_refused(sagemaker: Any, arn: str) -> None:
    tags = pairs(**{f"k{i}": "" for i in range(51)})
    with refused("ValidationException", "Member must have length less than or equal to 50"):
        sagemaker.add_tags(ResourceArn=arn, Tags=tags)


def test_a_job_is_tagged_too_and_forgets_with_it(sagemaker: Any) -> None:
    request = training_job("mill", Tags=pairs(team="ops"))
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == pairs(team="ops")


def test_tags_of_what_does_not_exist(sagemaker: Any, region: str) -> None:
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:model/nobody"
    for call, more in (
        (sagemaker.list_tags, {}),
        (sagemaker.add_tags, {"Tags": pairs(a="1")}),
        (sagemaker.delete_tags, {"TagKeys": ["a"]}),
    ):
        with refused("ValidationException", f'Could not find model "{arn}".'):
            call(ResourceArn=arn, **more)
    strange = f"arn:aws:sagemaker:{region}:{ACCOUNT}:watermill/nobody"
    with refused("ResourceNotFound", strange):
        sagemaker.list_tags(ResourceArn=strange)


def test_an_arn_must_be_of_this_account_and_region(sagemaker: Any, arn: str, region: str) -> None:
    for other in (arn.replace(ACCOUNT, "999999999999"), arn.replace(region, "eu-west-1")):
        with refused("ValidationException", "is not of region"):
            sagemaker.list_tags(ResourceArn=other)


def test_keys_of_aws_are_refused(sagemaker: Any, arn: str) -> None:
    with refused("ValidationException", "reserved"):
        sagemaker.add_tags(ResourceArn=arn, Tags=pairs(**{"aws:mine": "1"}))

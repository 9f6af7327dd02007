"""The model registry through unmodified boto3: groups, versions, approval, and models of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.conftest import ACCOUNT, Gateway
from tests.gateway.failing import refused
from tests.gateway.requests import IMAGE, ROLE, model
from tidemill.control.model import spec

VALIDATION = "ValidationException"
DATA = "s3://results/models/job/output/model.tar.gz"
CONTAINER = {"Image": IMAGE, "ModelDataUrl": DATA, "Environment": {"SPEED": "1", "LEVEL": "2"}}
SPECIFICATION = {
    "Containers": [CONTAINER],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["application/json"],
}


@pytest.fixture
def prefix(region: str) -> str:
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:"


@pytest.fixture
def mill(sagemaker: Any) -> str:
    """A group."""
    sagemaker.create_model_package_group(ModelPackageGroupName="Mill")
    return "Mill"


def version(sagemaker: Any, group: str = "Mill", **changes: Any) -> str:
    """The ARN of a new version."""
    request = {"InferenceSpecification": SPECIFICATION, **changes}
    arn: str = sagemaker.create_model_package(ModelPackageGroupName=group, **request)[
        "ModelPackageArn"
    ]
    return arn


def arns(sagemaker: Any, **asked: Any) -> list[str]:
    pages = sagemaker.get_paginator("list_model_packages").paginate(**asked)
    return [one["ModelPackageArn"] for page in pages for one in page["ModelPackageSummaryList"]]


def test_versions_are_numbered_from_one_and_never_twice(
    sagemaker: Any, mill: str, prefix: str
) -> None:
    made = [version(sagemaker) for _ in range(3)]
    assert made == [f"{prefix}model-package/Mill/{n}" for n in (1, 2, 3)]
    sagemaker.delete_model_package(ModelPackageName=made[2])
    assert version(sagemaker, prefix + "model-package-group/Mill").endswith("/4")
    assert arns(sagemaker, ModelPackageGroupName=mill) == [*made[:2], made[2][:-1] + "4"]


def test_a_version_comes_back_as_it_was_sent(sagemaker: Any, mill: str) -> None:
    sent: dict[str, Any] = {
        "InferenceSpecification": SPECIFICATION,
        "ModelPackageDescription": "Sorts grain.",
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "json", "S3Uri": "s3://a/b"}}
        },
        "MetadataProperties": {"CommitId": "abc"},
        "CustomerMetadataProperties": {"team": "mill"},
        "Domain": "MACHINE_LEARNING",
        "ModelLifeCycle": {"Stage": "Test", "StageStatus": "Open"},
        "ValidationSpecification": {
            "ValidationRole": ROLE,
            "ValidationProfiles": [{"ProfileName": "one", "TransformJobDefinition": TRANSFORM}],
        },
    }
    arn = version(sagemaker, **sent)
    told = sagemaker.describe_model_package(ModelPackageName=arn)
    assert {name: told[name] for name in sent} == sent
    assert told["ModelPackageGroupName"] == mill
    assert told["ModelPackageVersion"] == 1
    assert told["ModelPackageStatus"] == "Completed"
    assert told["ModelPackageStatusDetails"] == {
        "ValidationStatuses": [{"Name": "one", "Status": "NotStarted"}],
        "ImageScanStatuses": [],
    }
    assert told["ModelApprovalStatus"] == "PendingManualApproval"
    assert told["CertifyForMarketplace"] is False
    assert "ModelPackageName" not in told
    assert "ClientToken" not in told
    assert sagemaker.describe_model_package(ModelPackageName="Mill/1")["ModelPackageArn"] == arn


TRANSFORM = {
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a"}}
    },
    "TransformOutput": {"S3OutputPath": "s3://b"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


def test_a_package_of_its_own_is_known_by_name(sagemaker: Any, prefix: str) -> None:
    arn = sagemaker.create_model_package(ModelPackageName="Mill")["ModelPackageArn"]
    assert arn == prefix + "model-package/mill"
    for name in ("Mill", "mill", arn):
        told = sagemaker.describe_model_package(ModelPackageName=name)
        assert told["ModelPackageName"] == "Mill"
        assert "ModelApprovalStatus" not in told
    with refused(VALIDATION, f"ModelPackage already exists: {arn}"):
        sagemaker.create_model_package(ModelPackageName="MILL")
    with refused(VALIDATION, "Only versioned model packages can be updated"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.delete_model_package(ModelPackageName="Mill")
    with refused(VALIDATION, f"ModelPackage {arn} does not exist."):
        sagemaker.describe_model_package(ModelPackageName="Mill")


def test_a_package_is_of_a_group_or_of_its_own(sagemaker: Any, mill: str) -> None:
    both = "Both ModelPackageName and ModelPackageGroupName are provided in the input."
    with refused(VALIDATION, both):
        sagemaker.create_model_package(ModelPackageName="a", ModelPackageGroupName=mill)
    with refused(VALIDATION, "Missing ARN"):
        sagemaker.create_model_package()
    with refused(VALIDATION, "Model Package Group does not exist."):
        sagemaker.create_model_package(ModelPackageGroupName="nobody")
    with refused(VALIDATION, "Tag the group"):
        version(sagemaker, Tags=[{"Key": "a", "Value": "b"}])
    assert arns(sagemaker, ModelPackageType="Both") == []


def test_the_same_token_makes_one_version(sagemaker: Any, mill: str) -> None:
    first = version(sagemaker, ClientToken="grain-1")
    assert version(sagemaker, ClientToken="grain-1") == first
    assert version(sagemaker, ClientToken="grain-2") != first
    with refused("ConflictException", "ClientToken"):
        version(sagemaker, ClientToken="grain-1", ModelPackageDescription="Another.")
    own = {"ModelPackageName": "own", "ClientToken": "grain-3"}
    made = [sagemaker.create_model_package(**own)["ModelPackageArn"] for _ in range(2)]
    assert made[:1] == made[1:] == arns(sagemaker)


def test_many_at_once_get_a_number_each(sagemaker: Any, mill: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: version(sagemaker), range(24)))
    assert sorted(int(arn.rpartition("/")[2]) for arn in made) == list(range(1, 25))


def test_a_group_goes_when_it_is_empty(sagemaker: Any, mill: str, prefix: str) -> None:
    arn = version(sagemaker)
    with refused("ConflictException", "still contains Model Packages"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=mill)
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=prefix + "model-package-group/Mill")
    with refused(VALIDATION, f"ModelPackageGroup {prefix}model-package-group/Mill does not exist."):
        sagemaker.describe_model_package_group(ModelPackageGroupName=mill)


def test_groups_are_listed_with_their_descriptions_oldest_first(sagemaker: Any) -> None:
    for name in ("b", "a"):
        sagemaker.create_model_package_group(
            ModelPackageGroupName=name, ModelPackageGroupDescription=f"Of {name}."
        )
    listed = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [
        (one["ModelPackageGroupName"], one["ModelPackageGroupDescription"]) for one in listed
    ] == [
        ("b", "Of b."),
        ("a", "Of a."),
    ]
    assert {one["ModelPackageGroupStatus"] for one in listed} == {"Completed"}
    shared = sagemaker.list_model_package_groups(CrossAccountFilterOption="CrossAccount")
    assert shared["ModelPackageGroupSummaryList"] == []


def test_the_policy_of_a_group_is_kept(sagemaker: Any, mill: str, prefix: str) -> None:
    arn = prefix + "model-package-group/Mill"
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    with refused(VALIDATION, f"Cannot find resource policy for: {arn}"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=mill)
    put = sagemaker.put_model_package_group_policy(
        ModelPackageGroupName=mill, ResourcePolicy=policy
    )
    assert put["ModelPackageGroupArn"] == arn
    version(sagemaker)  # which writes to the group, too
    told = sagemaker.get_model_package_group_policy(ModelPackageGroupName=mill)
    assert told["ResourcePolicy"] == policy
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=mill)
    with refused(VALIDATION, "Cannot find resource policy"):
        sagemaker.delete_model_package_group_policy(ModelPackageGroupName=mill)
    with refused(VALIDATION, "Cannot find Model Package Group"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="nobody")
    with refused(VALIDATION, "an object in JSON"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=mill, ResourcePolicy="{")


def test_an_update_changes_what_it_names(sagemaker: Any, mill: str) -> None:
    arn = version(sagemaker, CustomerMetadataProperties={"a": "1", "b": "2"})
    before = sagemaker.describe_model_package(ModelPackageName=arn)
    answer = sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="Ground well.",
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a", "nothing"],
    )
    assert answer["ModelPackageArn"] == arn
    told = sagemaker.describe_model_package(ModelPackageName=arn)
    assert told["ModelApprovalStatus"] == "Approved"
    assert told["ApprovalDescription"] == "Ground well."
    assert told["CustomerMetadataProperties"] == {"b": "3", "c": "4"}
    assert told["InferenceSpecification"] == SPECIFICATION
    assert told["CreationTime"] == before["CreationTime"]
    assert told["LastModifiedTime"] > before["LastModifiedTime"]
    gone = ["b", "c"]
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=gone)
    told = sagemaker.describe_model_package(ModelPackageName=arn)
    assert "CustomerMetadataProperties" not in told
    assert told["ModelApprovalStatus"] == "Approved"


def test_metadata_stays_within_fifty(sagemaker: Any, mill: str) -> None:
    arn = version(sagemaker, CustomerMetadataProperties={str(i): "x" for i in range(49)})
    two = {"a": "1", "b": "2"}
    with refused(VALIDATION, "at most 50"):
        sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties=two)
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties=two,
        CustomerMetadataPropertiesToRemove=["0"],
    )


def test_specifications_are_added_once(sagemaker: Any, mill: str) -> None:
    arn = version(sagemaker)
    added = [{"Name": "small", "Containers": [CONTAINER]}]
    request = {"ModelPackageArn": arn, "AdditionalInferenceSpecificationsToAdd": added}
    for _ in range(2):  # the second is the first again, as a client repeats it
        sagemaker.update_model_package(**request, ClientToken="token")
    told = sagemaker.describe_model_package(ModelPackageName=arn)
    assert told["AdditionalInferenceSpecifications"] == added
    with refused(VALIDATION, "'small' more than once"):
        sagemaker.update_model_package(**request)


def test_a_package_may_carry_a_card(sagemaker: Any, mill: str) -> None:
    content = {"intended_uses": {"risk_rating": "Low", "purpose_of_model": "Grain"}}
    card = {"ModelCardContent": json.dumps(content), "ModelCardStatus": "Draft"}
    arn = version(sagemaker, ModelCard=card)
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelCard"] == card
    told = sagemaker.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly")
    assert json.loads(told["ModelCard"]["ModelCardContent"]) == {
        "intended_uses": {"risk_rating": "Low"}
    }
    sagemaker.update_model_package(ModelPackageArn=arn, ModelCard={"ModelCardStatus": "Archived"})
    with refused(VALIDATION, "Model Card is in Archived state"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelCard={"ModelCardContent": "{}"})
    with refused(VALIDATION, "$.model_overview has no member 'model_owner'"):
        bad = json.dumps({"model_overview": {"model_owner": "Ada"}})
        version(sagemaker, ModelCard={"ModelCardContent": bad})


def test_lists_are_of_one_type_and_one_group_and_one_approval(sagemaker: Any, mill: str) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="other")
    own = sagemaker.create_model_package(ModelPackageName="Own")["ModelPackageArn"]
    first, second = version(sagemaker), version(sagemaker, ModelApprovalStatus="Approved")
    other = version(sagemaker, "other")
    assert arns(sagemaker) == [own]
    assert arns(sagemaker, NameContains="Ow") == [own]
    assert arns(sagemaker, ModelPackageType="Versioned") == [first, second, other]
    assert arns(sagemaker, ModelPackageType="Versioned", NameContains="oth") == [other]
    assert arns(sagemaker, ModelPackageType="Both") == [own, first, second, other]
    assert arns(sagemaker, ModelPackageGroupName=mill) == [first, second]
    assert arns(sagemaker, ModelPackageGroupName=mill, SortOrder="Descending") == [second, first]
    assert arns(sagemaker, ModelPackageGroupName=mill, ModelApprovalStatus="Approved") == [second]
    page = sagemaker.list_model_packages(ModelPackageGroupName=mill, MaxResults=1)
    rest = sagemaker.list_model_packages(
        ModelPackageGroupName=mill, MaxResults=1, NextToken=page["NextToken"]
    )
    assert "NextToken" not in rest
    [summary] = rest["ModelPackageSummaryList"]
    assert summary["ModelPackageVersion"] == 2
    assert summary["ModelApprovalStatus"] == "Approved"
    assert "InferenceSpecification" not in summary


def test_several_are_described_at_once(sagemaker: Any, mill: str, prefix: str) -> None:
    first, nobody = version(sagemaker), prefix + "model-package/Mill/9"
    told = sagemaker.batch_describe_model_package(ModelPackageArnList=[first, nobody])
    [(arn, summary)] = told["ModelPackageSummaries"].items()
    assert arn == first
    assert summary["InferenceSpecification"] == SPECIFICATION
    error = told["BatchDescribeModelPackageErrorMap"][nobody]
    assert error == {
        "ErrorCode": VALIDATION,
        "ErrorResponse": f"Could not find model package: ModelPackage {nobody} does not exist.",
    }


def test_a_package_elsewhere_is_not_found_here(sagemaker: Any, region: str) -> None:
    arn = f"arn:aws:sagemaker:eu-north-9:{ACCOUNT}:model-package/mill/1"
    with refused(VALIDATION, f"ARN should be scoped to correct region: {region}"):
        sagemaker.describe_model_package(ModelPackageName=arn)
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:model/mill"
    with refused(VALIDATION, "Invalid ARN"):
        sagemaker.describe_model_package(ModelPackageName=arn)


def test_algorithms_of_the_marketplace_are_not_here(sagemaker: Any) -> None:
    with refused(VALIDATION, "Algorithm wheel does not exist"):
        sagemaker.create_model_package(
            ModelPackageName="a",
            SourceAlgorithmSpecification={"SourceAlgorithms": [{"AlgorithmName": "wheel"}]},
        )


def test_only_an_approved_version_becomes_a_model(
    sagemaker: Any, gateway: Gateway, region: str, mill: str
) -> None:
    arn = version(sagemaker)
    container = {"ModelPackageName": arn, "Environment": {"LEVEL": "3"}}
    request = {"ModelName": "mill", "ExecutionRoleArn": ROLE, "Containers": [container]}
    for status in ("PendingManualApproval", "Rejected"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
        with refused(VALIDATION, f"its ModelApprovalStatus is {status}, and must be Approved"):
            sagemaker.create_model(**request)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    sagemaker.create_model(**request)
    assert sagemaker.describe_model(ModelName="mill")["Containers"] == [container]
    [made] = spec(gateway.verbs.describe("model", region, "mill")).containers
    assert (made.image, made.model_uri) == (IMAGE, DATA)
    assert made.environment == {"SPEED": "1", "LEVEL": "3"}


def test_a_package_of_several_containers_is_a_model_of_several(
    sagemaker: Any, gateway: Gateway, region: str
) -> None:
    second = {"Image": IMAGE, "ModelDataUrl": "s3://results/second.tar.gz"}
    sagemaker.create_model_package(
        ModelPackageName="both",
        InferenceSpecification={"Containers": [CONTAINER, second]},
        AdditionalInferenceSpecifications=[{"Name": "small", "Containers": [second]}],
    )
    named = {"ModelPackageName": "both"}
    sagemaker.create_model(ModelName="both", ExecutionRoleArn=ROLE, PrimaryContainer=named)
    named["InferenceSpecificationName"] = "small"
    sagemaker.create_model(ModelName="small", ExecutionRoleArn=ROLE, PrimaryContainer=named)
    made = {
        name: [c.model_uri for c in spec(gateway.verbs.describe("model", region, name)).containers]
        for name in ("both", "small")
    }
    assert made == {"both": [DATA, second["ModelDataUrl"]], "small": [second["ModelDataUrl"]]}
    named["InferenceSpecificationName"] = "none"
    with refused(VALIDATION, "there are: small"):
        sagemaker.create_model(ModelName="none", ExecutionRoleArn=ROLE, PrimaryContainer=named)


def test_what_is_not_a_model_is_refused(sagemaker: Any, mill: str) -> None:
    empty = sagemaker.create_model_package(ModelPackageName="empty")["ModelPackageArn"]
    wanted = {
        "nobody": "does not exist",
        empty: "has no InferenceSpecification",
    }
    for name, message in wanted.items():
        with refused(VALIDATION, message):
            sagemaker.create_model(
                ModelName="a", ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": name}
            )
    with refused(VALIDATION, "cannot both be given"):
        sagemaker.create_model(
            ModelName="a",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"ModelPackageName": empty, "Image": IMAGE},
        )
    with pytest.raises(ClientError):
        sagemaker.describe_model(ModelName="a")


def test_a_source_fills_in_what_serves(sagemaker: Any, mill: str) -> None:
    arn = sagemaker.create_model(**model("mill"))["ModelArn"]
    wanted = {"Containers": [model("mill")["PrimaryContainer"]]}
    first = sagemaker.create_model_package(ModelPackageGroupName=mill, SourceUri=arn)
    second = sagemaker.create_model_package(
        ModelPackageGroupName=mill, SourceUri=first["ModelPackageArn"]
    )
    for made in (first, second):
        told = sagemaker.describe_model_package(ModelPackageName=made["ModelPackageArn"])
        assert told["InferenceSpecification"] == wanted
    with refused(VALIDATION, "both cannot be given"):
        version(sagemaker, SourceUri=arn)
    with refused(VALIDATION, "Could not find model"):
        sagemaker.create_model_package(ModelPackageGroupName=mill, SourceUri=arn + "s")

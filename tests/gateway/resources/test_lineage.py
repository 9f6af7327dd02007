"""Artifacts, associations and what is asked of them, through unmodified boto3."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conftest import ACCOUNT
from tests.gateway.failing import refused

DATA, MODEL = "s3://mill/data", "s3://mill/model.tar.gz"


def artifact(sagemaker: Any, uri: str, kind: str = "DataSet", **more: Any) -> str:
    made = sagemaker.create_artifact(Source={"SourceUri": uri}, ArtifactType=kind, **more)
    return str(made["ArtifactArn"])


def associate(sagemaker: Any, source: str, destination: str, how: str) -> None:
    sagemaker.add_association(SourceArn=source, DestinationArn=destination, AssociationType=how)


@pytest.fixture
def chain(sagemaker: Any) -> list[str]:
    """ARNs: data contributed to a job, which produced a model, which a deployment came of."""
    data = artifact(sagemaker, DATA, Properties={"grain": "rye"})
    job = sagemaker.create_trial_component(TrialComponentName="job")["TrialComponentArn"]
    model = artifact(sagemaker, MODEL, "Model", ArtifactName="the-model")
    action = sagemaker.create_action(
        ActionName="deploy", Source={"SourceUri": "arn:x"}, ActionType="ModelDeployment"
    )["ActionArn"]
    associate(sagemaker, data, job, "ContributedTo")
    associate(sagemaker, job, model, "Produced")
    associate(sagemaker, model, action, "ContributedTo")
    return [data, job, model, action]


def arns(sagemaker: Any, **query: Any) -> list[str]:
    return [vertex["Arn"] for vertex in sagemaker.query_lineage(**query)["Vertices"]]


def test_there_is_one_artifact_for_a_uri(sagemaker: Any, region: str) -> None:
    tag = {"Key": "team", "Value": "mill"}
    arn = artifact(sagemaker, DATA, ArtifactName="data", Properties={"a": "1"}, Tags=[tag])
    assert arn.startswith(f"arn:aws:sagemaker:{region}:{ACCOUNT}:artifact/")
    assert artifact(sagemaker, DATA, "Other") == arn
    told = sagemaker.describe_artifact(ArtifactArn=arn)
    assert (told["ArtifactName"], told["ArtifactType"]) == ("data", "DataSet")
    assert told["Source"] == {"SourceUri": DATA}
    sagemaker.update_artifact(
        ArtifactArn=arn, ArtifactName="rye", Properties={"b": "2"}, PropertiesToRemove=["a"]
    )
    told = sagemaker.describe_artifact(ArtifactArn=arn)
    assert (told["ArtifactName"], told["Properties"]) == ("rye", {"b": "2"})
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [tag]


def test_artifacts_are_found_and_deleted_by_what_they_stand_for(sagemaker: Any) -> None:
    data, model = artifact(sagemaker, DATA), artifact(sagemaker, MODEL, "Model")
    for filters in ({"SourceUri": MODEL}, {"ArtifactType": "Model"}):
        found = sagemaker.list_artifacts(**filters)["ArtifactSummaries"]
        assert [one["ArtifactArn"] for one in found] == [model]
    assert sagemaker.delete_artifact(Source={"SourceUri": MODEL})["ArtifactArn"] == model
    sagemaker.delete_artifact(ArtifactArn=data)
    assert sagemaker.list_artifacts()["ArtifactSummaries"] == []
    with refused("ResourceNotFound", "does not exist"):
        sagemaker.describe_artifact(ArtifactArn=data)
    with refused("ResourceNotFound", "does not exist"):
        sagemaker.delete_artifact(Source={"SourceUri": MODEL})
    with refused("ValidationException", "Exactly one"):
        sagemaker.delete_artifact()


def test_associations_are_drawn_once_between_what_is_there(
    sagemaker: Any, chain: list[str]
) -> None:
    data, job, model, _ = chain
    with refused("ValidationException", "already exists"):
        associate(sagemaker, data, job, "AssociatedWith")
    with refused("ResourceNotFound", f"'{data}x' does not exist"):
        associate(sagemaker, data + "x", job, "AssociatedWith")
    with refused("ValidationException", "two different"):
        associate(sagemaker, data, data, "SameAs")
    [found] = sagemaker.list_associations(SourceArn=job)["AssociationSummaries"]
    assert (found["SourceArn"], found["DestinationArn"]) == (job, model)
    assert (found["AssociationType"], found["DestinationType"]) == ("Produced", "Model")
    assert (found["SourceName"], found["DestinationName"]) == ("job", "the-model")
    for filters, count in (
        ({}, 3),
        ({"AssociationType": "ContributedTo"}, 2),
        ({"DestinationType": "Model"}, 1),
        ({"DestinationArn": model, "SourceType": "DataSet"}, 0),
    ):
        assert len(sagemaker.list_associations(**filters)["AssociationSummaries"]) == count
    sagemaker.delete_association(SourceArn=data, DestinationArn=job)
    with refused("ResourceNotFound", "does not exist"):
        sagemaker.delete_association(SourceArn=data, DestinationArn=job)


def test_associations_come_in_any_order_page_by_page(sagemaker: Any, chain: list[str]) -> None:
    for by in ("SourceArn", "DestinationArn", "DestinationType", "SourceType", "CreationTime"):
        asked: dict[str, Any] = {"SortBy": by, "SortOrder": "Ascending", "MaxResults": 1}
        found = []
        while True:
            page = sagemaker.list_associations(**asked)
            found += page["AssociationSummaries"]
            if "NextToken" not in page:
                break
            asked["NextToken"] = page["NextToken"]
        values = [one.get(by, "") for one in found]
        assert len(found) == 3
        assert values == sorted(values)
    with refused("ValidationException", "NextToken"):
        sagemaker.list_associations(SortBy="SourceArn", NextToken="forged")


def test_nothing_goes_while_something_is_associated_with_it(
    sagemaker: Any, chain: list[str]
) -> None:
    data, job, model, action = chain
    with refused("ValidationException", "has associations"):
        sagemaker.delete_artifact(ArtifactArn=data)
    with refused("ValidationException", "has associations"):
        sagemaker.delete_action(ActionName="deploy")
    sagemaker.delete_trial_component(TrialComponentName="job")  # takes its own with it
    [left] = sagemaker.list_associations()["AssociationSummaries"]
    assert (left["SourceArn"], left["DestinationArn"]) == (model, action)
    sagemaker.delete_artifact(ArtifactArn=data)
    assert job not in arns(sagemaker, StartArns=[model])


def test_lineage_is_walked_both_ways(sagemaker: Any, chain: list[str]) -> None:
    data, job, model, action = chain
    assert arns(sagemaker, StartArns=[model]) == [job, data, action]
    assert arns(sagemaker, StartArns=[model], Direction="Ascendants") == [job, data]
    assert arns(sagemaker, StartArns=[data], Direction="Descendants", MaxDepth=2) == [job, model]
    told = sagemaker.query_lineage(StartArns=[data], IncludeEdges=True)
    assert [vertex["Arn"] for vertex in told["Vertices"]] == chain
    assert told["Vertices"][2] == {"Arn": model, "Type": "Model", "LineageType": "Artifact"}
    assert told["Edges"][0] == {
        "SourceArn": data,
        "DestinationArn": job,
        "AssociationType": "ContributedTo",
    }
    assert len(told["Edges"]) == 3


def test_lineage_is_filtered(sagemaker: Any, chain: list[str]) -> None:
    data, job, model, action = chain

    def found(**filters: Any) -> list[str]:
        return arns(sagemaker, StartArns=[job], Filters=filters)

    assert found(LineageTypes=["Artifact"]) == [data, model]
    assert found(Types=["ModelDeployment", "DataSet"]) == [data, action]
    assert found(Properties={"grain": "rye", "other": "x"}) == [data]
    assert found(CreatedAfter=4_000_000_000) == []
    assert found(ModifiedBefore=4_000_000_000, CreatedAfter=0, LineageTypes=["Action"]) == [action]
    told = sagemaker.query_lineage(
        StartArns=[data], IncludeEdges=True, Filters={"Types": ["Model"]}
    )
    assert [vertex["Arn"] for vertex in told["Vertices"]] == [data, job, model]
    assert len(arns(sagemaker, Filters={"LineageTypes": ["Artifact"]})) == 2


def test_lineage_comes_page_by_page(sagemaker: Any, chain: list[str]) -> None:
    asked: dict[str, Any] = {"StartArns": chain[:1], "IncludeEdges": True, "MaxResults": 2}
    first = sagemaker.query_lineage(**asked)
    rest = sagemaker.query_lineage(**asked, NextToken=first["NextToken"])
    assert [v["Arn"] for v in first["Vertices"] + rest["Vertices"]] == chain
    assert (len(first["Edges"]), len(rest["Edges"])) == (1, 2)
    assert "NextToken" not in rest
    with refused("ValidationException", "NextToken"):
        sagemaker.query_lineage(**asked, NextToken="x")
    with refused("ValidationException", "MaxResults must be at least 1"):
        sagemaker.query_lineage(StartArns=chain[:1], MaxResults=0)
    with refused("ResourceNotFound", "does not exist"):
        sagemaker.query_lineage(StartArns=[chain[0] + "x"])

"""Whatever is only written down: the same verbs and the same laws, through unmodified boto3."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.conftest import ACCOUNT

SCRIPT = [{"Content": "ZWNobyBoaQ=="}]
GIT = {"RepositoryUrl": "https://git.example.org/mill.git", "Branch": "main"}
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mill"


@dataclass(frozen=True)
class Case:
    """What is asked of one kind. prefix: of XName and XArn · items: of its list · path: in ARNs
    request: beside the name · update: what may be changed · told: by describe after that, where
    it is not what was sent · contains: the list's filter by a part of the name
    """

    name: str
    plural: str
    items: str
    path: str
    request: dict[str, Any]
    update: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""
    unknown: str = "ValidationException"
    taken: str = "ValidationException"
    contains: str = "NameContains"

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        return f"{self.prefix or self.name}Name"

    @property
    def arn(self) -> str:
        return f"{self.prefix or self.name}Arn"


CASES = [
    Case(
        "CodeRepository",
        "CodeRepositories",
        "CodeRepositorySummaryList",
        "code-repository",
        {"GitConfig": GIT},
        {"GitConfig": {"SecretArn": SECRET}},
        {"GitConfig": {**GIT, "SecretArn": SECRET}},
    ),
    Case(
        "ModelCard",
        "ModelCards",
        "ModelCardSummaries",
        "model-card",
        {"Content": '{"intended_uses": {"risk_rating": "Low"}}', "ModelCardStatus": "Draft"},
        {"ModelCardStatus": "Approved"},
        unknown="ResourceNotFound",
        taken="ConflictException",
    ),
    Case(
        "ModelPackageGroup",
        "ModelPackageGroups",
        "ModelPackageGroupSummaryList",
        "model-package-group",
        {"ModelPackageGroupDescription": "Grain, sorted."},
    ),
    Case(
        "NotebookInstanceLifecycleConfig",
        "NotebookInstanceLifecycleConfigs",
        "NotebookInstanceLifecycleConfigs",
        "notebook-instance-lifecycle-config",
        {"OnCreate": SCRIPT},
        {"OnStart": SCRIPT},
    ),
    Case(
        "Experiment",
        "Experiments",
        "ExperimentSummaries",
        "experiment",
        {"DisplayName": "Grist", "Description": "fine"},
        {"DisplayName": "Flour", "Description": "coarse"},
        unknown="ResourceNotFound",
        contains="",
    ),
    Case(
        "Action",
        "Actions",
        "ActionSummaries",
        "action",
        {
            "Source": {"SourceUri": "arn:mill", "SourceType": "ARN"},
            "ActionType": "ModelDeployment",
            "Properties": {"stage": "test", "by": "me"},
            "Status": "InProgress",
        },
        {"Properties": {"stage": "live"}, "PropertiesToRemove": ["by"], "Status": "Completed"},
        {"Properties": {"stage": "live"}, "Status": "Completed"},
        unknown="ResourceNotFound",
        contains="",
    ),
    Case(
        "Context",
        "Contexts",
        "ContextSummaries",
        "context",
        {"Source": {"SourceUri": "arn:mill"}, "ContextType": "Endpoint", "Description": "a mill"},
        {"Properties": {"stage": "live"}, "Description": "the mill"},
        unknown="ResourceNotFound",
        contains="",
    ),
    Case(
        "TrialComponent",
        "TrialComponents",
        "TrialComponentSummaries",
        "experiment-trial-component",
        {
            "Parameters": {"k": {"NumberValue": 3.0}, "init": {"StringValue": "random"}},
            "Status": {"PrimaryStatus": "InProgress", "Message": "at work"},
            "InputArtifacts": {"train": {"MediaType": "text/csv", "Value": "s3://mill/train"}},
        },
        {
            "Parameters": {"k": {"NumberValue": 4.0}, "seed": {"NumberValue": 1.0}},
            "ParametersToRemove": ["init"],
            "Status": {"PrimaryStatus": "Completed"},
        },
        {
            "Parameters": {"k": {"NumberValue": 4.0}, "seed": {"NumberValue": 1.0}},
            "Status": {"PrimaryStatus": "Completed"},
        },
        unknown="ResourceNotFound",
        contains="",
    ),
    Case(
        "StudioLifecycleConfig",
        "StudioLifecycleConfigs",
        "StudioLifecycleConfigs",
        "studio-lifecycle-config",
        {"StudioLifecycleConfigContent": "ZWNobw==", "StudioLifecycleConfigAppType": "JupyterLab"},
        unknown="ResourceNotFound",
        taken="ResourceInUse",
    ),
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def do(sagemaker: Any, case: Case) -> Callable[..., Any]:
    """Calls an operation of the case's kind: ``do("Create", "name", …)``."""

    def call(verb: str, name: str | None = None, **more: Any) -> Any:
        noun = case.plural if verb == "List" else case.name
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", verb + noun).lower()
        named = {} if name is None else {case.key: name}
        return getattr(sagemaker, method)(**named, **more)

    return call


def test_it_comes_back_as_it_was_sent(do: Callable[..., Any], case: Case, region: str) -> None:
    made = do("Create", "mill", **case.request)
    arn = f"arn:aws:sagemaker:{region}:{ACCOUNT}:{case.path}/mill"
    assert made[case.arn] == arn
    told = do("Describe", "mill")
    assert told[case.key] == "mill"
    assert told[case.arn] == arn
    assert {name: told[name] for name in case.request} == case.request
    assert "Tags" not in told


def test_lists_tell_all_page_by_page(do: Callable[..., Any], case: Case) -> None:
    assert do("List")[case.items] == []
    for name in ("b", "a", "c"):
        do("Create", name, **case.request)
    first = do("List", MaxResults=2, SortBy="Name", SortOrder="Ascending")
    rest = do(
        "List", MaxResults=2, SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )
    names = [one[case.key] for one in first[case.items] + rest[case.items]]
    assert names == ["a", "b", "c"]
    assert "NextToken" not in rest
    if case.contains:
        assert [one[case.key] for one in do("List", **{case.contains: "b"})[case.items]] == ["b"]


def test_a_name_is_taken_once(do: Callable[..., Any], case: Case) -> None:
    do("Create", "mill", **case.request)
    with pytest.raises(ClientError) as caught:
        do("Create", "mill", **case.request)
    assert caught.value.response["Error"]["Code"] == case.taken
    assert "already exist" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("verb", ["Describe", "Delete"])
def test_what_is_not_there_is_said_so(do: Callable[..., Any], case: Case, verb: str) -> None:
    with pytest.raises(ClientError) as caught:
        do(verb, "nobody")
    assert caught.value.response["Error"]["Code"] == case.unknown


def test_updates_change_what_they_name_and_nothing_else(do: Callable[..., Any], case: Case) -> None:
    do("Create", "mill", **case.request)
    if not case.update:
        pytest.skip(f"{case} has no update")
    do("Update", "mill", **case.update)
    told = do("Describe", "mill")
    wanted = case.told or case.update
    assert {name: told[name] for name in wanted} == wanted
    kept = case.request.keys() - case.update.keys()
    assert {name: told[name] for name in kept} == {name: case.request[name] for name in kept}
    with pytest.raises(ClientError) as caught:
        do("Update", "nobody", **case.update)
    assert caught.value.response["Error"]["Code"] == case.unknown


def test_what_is_deleted_is_gone_with_its_tags(
    do: Callable[..., Any], sagemaker: Any, case: Case
) -> None:
    tag = {"Key": "team", "Value": "mill"}
    arn = do("Create", "mill", **case.request, Tags=[tag])[case.arn]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [tag]
    do("Delete", "mill")
    assert do("List")[case.items] == []
    do("Create", "mill", **case.request)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []

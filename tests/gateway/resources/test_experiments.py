"""Experiments, trials and trial components: who belongs where, through unmodified boto3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.conftest import ACCOUNT


def refused(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Code and message of the error that a call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def mill(sagemaker: Any) -> Any:
    """Two experiments with a trial each, and three components."""
    for name in ("wheat", "rye"):
        sagemaker.create_experiment(ExperimentName=name)
        sagemaker.create_trial(TrialName=f"{name}-trial", ExperimentName=name)
    for name in ("a", "b", "c"):
        sagemaker.create_trial_component(TrialComponentName=name)
    return sagemaker


def join(mill: Any, component: str, trial: str) -> Any:
    return mill.associate_trial_component(TrialComponentName=component, TrialName=trial)


def components(mill: Any, **filters: Any) -> list[str]:
    found = mill.list_trial_components(**filters)["TrialComponentSummaries"]
    return sorted(one["TrialComponentName"] for one in found)


def test_a_new_component_tells_its_name_and_empty_maps(mill: Any) -> None:
    told = mill.describe_trial_component(TrialComponentName="a")
    assert told["DisplayName"] == "a"
    for name in ("CreatedBy", "LastModifiedBy", "Parameters", "InputArtifacts", "OutputArtifacts"):
        assert told[name] == {}
    assert told["Metrics"] == told["Sources"] == []
    assert not {"Status", "StartTime", "EndTime", "Source"} & told.keys()
    arn = told["TrialComponentArn"]
    assert mill.describe_trial_component(TrialComponentName=arn)["TrialComponentName"] == "a"


def test_a_trial_tells_its_experiment_and_needs_one(mill: Any, region: str) -> None:
    told = mill.describe_trial(TrialName="rye-trial")
    assert (told["ExperimentName"], told["DisplayName"]) == ("rye", "rye-trial")
    assert refused(mill.create_trial, TrialName="x", ExperimentName="oats") == (
        "ResourceNotFound",
        f"Experiment 'arn:aws:sagemaker:{region}:{ACCOUNT}:experiment/oats' does not exist.",
    )
    mill.update_trial(TrialName="rye-trial", DisplayName="Rye")
    assert mill.describe_trial(TrialName="rye-trial")["DisplayName"] == "Rye"


def test_names_are_taken_in_the_words_that_the_sdk_looks_for(mill: Any) -> None:
    for call, request in (
        (mill.create_experiment, {"ExperimentName": "rye"}),
        (mill.create_trial, {"TrialName": "rye-trial", "ExperimentName": "rye"}),
        (mill.create_trial_component, {"TrialComponentName": "a"}),
    ):
        code, message = refused(call, **request)
        assert code == "ValidationException"
        assert "already exists" in message


def test_components_are_found_by_what_they_belong_to(mill: Any, region: str) -> None:
    answer = join(mill, "a", "wheat-trial")
    prefix = f"arn:aws:sagemaker:{region}:{ACCOUNT}"
    assert answer["TrialComponentArn"] == f"{prefix}:experiment-trial-component/a"
    assert answer["TrialArn"] == f"{prefix}:experiment-trial/wheat-trial"
    join(mill, "a", "rye-trial")
    join(mill, "b", "rye-trial")
    join(mill, "b", "rye-trial")
    assert components(mill, TrialName="rye-trial") == ["a", "b"]
    assert components(mill, ExperimentName="wheat") == ["a"]
    assert components(mill, TrialName="nobody") == []
    assert components(mill) == ["a", "b", "c"]
    assert trials(mill, TrialComponentName="a") == ["rye-trial", "wheat-trial"]
    assert trials(mill, TrialComponentName="a", ExperimentName="rye") == ["rye-trial"]
    assert trials(mill, TrialComponentName="c") == []
    mill.disassociate_trial_component(TrialComponentName="a", TrialName="rye-trial")
    assert components(mill, TrialName="rye-trial") == ["b"]
    assert trials(mill, TrialComponentName="a") == ["wheat-trial"]
    code, message = refused(mill.list_trial_components, TrialName="x", ExperimentName="y")
    assert (code, "Only one of" in message) == ("ValidationException", True)


def trials(mill: Any, **filters: Any) -> list[str]:
    return sorted(one["TrialName"] for one in mill.list_trials(**filters)["TrialSummaries"])


def test_what_is_not_there_cannot_be_joined_or_left(mill: Any, region: str) -> None:
    for component in ("a", "nobody"):
        assert refused(join, mill=mill, component=component, trial="none") == (
            "ResourceNotFound",
            f"Trial 'arn:aws:sagemaker:{region}:{ACCOUNT}:experiment-trial/none' does not exist.",
        )
    leave = mill.disassociate_trial_component
    assert refused(join, mill=mill, component="nobody", trial="rye-trial")[0] == "ResourceNotFound"
    code, message = refused(leave, TrialComponentName="a", TrialName="rye-trial")
    assert (code, "is not associated" in message) == ("ResourceNotFound", True)


def test_nothing_goes_while_others_belong_to_it(mill: Any) -> None:
    join(mill, "a", "rye-trial")
    for call, request in (
        (mill.delete_experiment, {"ExperimentName": "rye"}),
        (mill.delete_trial, {"TrialName": "rye-trial"}),
        (mill.delete_trial_component, {"TrialComponentName": "a"}),
    ):
        assert refused(call, **request)[0] == "ValidationException"
    mill.disassociate_trial_component(TrialComponentName="a", TrialName="rye-trial")
    assert mill.delete_trial_component(TrialComponentName="a")["TrialComponentArn"]
    assert mill.delete_trial(TrialName="rye-trial")["TrialArn"]
    assert mill.delete_experiment(ExperimentName="rye")["ExperimentArn"]
    assert refused(mill.describe_trial, TrialName="rye-trial")[0] == "ResourceNotFound"


def test_artifacts_and_parameters_are_added_replaced_and_removed(mill: Any) -> None:
    data, model = {"Value": "s3://mill/data"}, {"Value": "s3://mill/model", "MediaType": "x/tar"}
    mill.update_trial_component(
        TrialComponentName="a",
        InputArtifacts={"data": data},
        OutputArtifacts={"model": model},
        Parameters={"k": {"NumberValue": 3.0}},
    )
    mill.update_trial_component(
        TrialComponentName="a", InputArtifactsToRemove=["data"], OutputArtifacts={"log": data}
    )
    told = mill.describe_trial_component(TrialComponentName="a")
    assert told["InputArtifacts"] == {}
    assert told["OutputArtifacts"] == {"model": model, "log": data}
    assert told["Parameters"] == {"k": {"NumberValue": 3.0}}
    many = {f"p{i}": {"NumberValue": 1.0} for i in range(300)}
    code, message = refused(mill.update_trial_component, TrialComponentName="a", Parameters=many)
    assert (code, "at most 300 Parameters; got 301" in message) == ("ValidationException", True)
    assert len(mill.describe_trial_component(TrialComponentName="a")["Parameters"]) == 1

"""What can be searched: each kind's rows, as the records that a search looks at and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.control import experiment as experiments
from tidemill.control.model_package import GROUP_LABEL
from tidemill.gateway import sagemaker_metrics
from tidemill.gateway.call import Call
from tidemill.gateway.resources import (
    endpoint,
    endpoint_answer,
    experiment,
    feature_group,
    model,
    model_card,
    model_package,
    model_package_group,
    training_job,
    training_job_answer,
    trial,
    trial_component,
)
from tidemill.gateway.resources.record import Record
from tidemill.gateway.wire.model import Shape
from tidemill.store.base import Row

Tell = Callable[[Call, Row, Shape], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Searched:
    """kind: of its rows · member: of a SearchRecord · inside: the member of that, where the record
    is one deeper · tell: a record without its tags and metrics · labels: property → the label by
    which the store finds it · names: the property that is the row's name · metrics: of a record
    """

    kind: str
    member: str
    tell: Tell
    names: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    inside: str = ""
    metrics: Callable[[Call, Row], list[dict[str, Any]]] | None = None

    def shape(self, call: Call) -> Shape:
        """Of its records."""
        output = call.operation.output
        assert output is not None
        results = output.members["Results"].element
        assert results is not None
        shape = results.members[self.member]
        return shape.members[self.inside] if self.inside else shape

    def record(self, call: Call, row: Row, *, tags: bool, metrics: bool) -> dict[str, Any]:
        """As filters see it; what costs more is there when it is asked for."""
        record = self.tell(call, row, self.shape(call))
        if tags:
            record["Tags"] = call.verbs.store.tags(call.arn(row.kind, row.name))
        if metrics:
            told = self.metrics(call, row) if self.metrics else _final(record)
            record["Metrics"] = {one["MetricName"]: one for one in told}
        return record

    def answer(self, call: Call, row: Row) -> dict[str, Any]:
        """As it is answered."""
        record = self.tell(call, row, self.shape(call))
        room = self.shape(call).members
        tags = call.verbs.store.tags(call.arn(row.kind, row.name))
        if tags and "Tags" in room:
            record["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        if self.metrics is not None:
            record["Metrics"] = self.metrics(call, row)
        return {self.member: {self.inside: record} if self.inside else record}


def _final(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = record.get("FinalMetricDataList", [])
    return found


def _by(record: Record) -> Tell:
    """Of what is only written down."""
    return record.told


def _with_room(told: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name in shape.members}


def _training_job(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    sent = _with_room(row.document["request"], shape)
    told = training_job_answer.to_wire(row, sent, call.arn(row.kind, row.name))
    return _with_room(told, shape)


def _endpoint(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    return _with_room(endpoint_answer.described(call, row), shape)


def _model(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    arn = call.arn(row.kind, row.name)
    told = {**row.document["request"], "ModelArn": arn, "CreationTime": row.created}
    return _with_room(told, shape)


def _feature_group(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    return _with_room(feature_group.told(call, row), shape)


def _component(call: Call, row: Row, shape: Shape) -> dict[str, Any]:
    told = trial_component.RECORD.told(call, row, shape)
    run = row.document["state"].get("run")
    parents = [dict(parent) for parent in experiments.parents(row)]
    return {**told, "Parents": parents, **({"RunName": run} if run else {})}


RESOURCES: Mapping[str, Searched] = {
    "TrainingJob": Searched(
        training_job.NOUN.kind, "TrainingJob", _training_job, "TrainingJobName"
    ),
    "Endpoint": Searched(endpoint.NOUN.kind, "Endpoint", _endpoint, "EndpointName"),
    "Model": Searched(model.NOUN.kind, "Model", _model, "ModelName", inside="Model"),
    "Experiment": Searched(
        experiment.NOUN.kind, "Experiment", _by(experiment.RECORD), "ExperimentName"
    ),
    "ExperimentTrial": Searched(
        trial.NOUN.kind,
        "Trial",
        _by(trial.RECORD),
        "TrialName",
        {"ExperimentName": "experiment"},
    ),
    "ExperimentTrialComponent": Searched(
        trial_component.NOUN.kind,
        "TrialComponent",
        _component,
        "TrialComponentName",
        {"Parents.TrialName": "trial", "Parents.ExperimentName": "experiment"},
        metrics=sagemaker_metrics.summaries,
    ),
    "FeatureGroup": Searched(
        feature_group.NOUN.kind, "FeatureGroup", _feature_group, "FeatureGroupName"
    ),
    "ModelCard": Searched(model_card.NOUN.kind, "ModelCard", model_card.searched, "ModelCardName"),
    "ModelPackage": Searched(
        model_package.NOUN.kind,
        "ModelPackage",
        model_package.told,
        labels={"ModelPackageGroupName": GROUP_LABEL},
    ),
    "ModelPackageGroup": Searched(
        model_package_group.NOUN.kind,
        "ModelPackageGroup",
        _by(model_package_group.RECORD),
        "ModelPackageGroupName",
    ),
}
"""Of all that AWS searches, what there is here; of the rest nothing is ever found."""

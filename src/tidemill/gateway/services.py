"""The services that speak here: how each is recognised, and what each can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.gateway import sagemaker_metrics, sts
from tidemill.gateway.autoscaling import operations as autoscaling
from tidemill.gateway.call import Handler
from tidemill.gateway.cloudwatch import operations as cloudwatch
from tidemill.gateway.iam import operations as iam
from tidemill.gateway.logs import operations as logs
from tidemill.gateway.resources import (
    action,
    artifact,
    association,
    code_repository,
    context,
    endpoint,
    endpoint_config,
    experiment,
    feature_group,
    feature_record,
    inference_experiment,
    lifecycle_config,
    model,
    model_card,
    model_package,
    model_package_group,
    processing_job,
    query_lineage,
    tags,
    training_job,
    transform_job,
    trial,
    trial_component,
)
from tidemill.gateway.search import operations as search
from tidemill.gateway.wire.errors import DOCUMENTATION, VALIDATION, Fault
from tidemill.gateway.wire.model import Operation, Service, service


@dataclass(frozen=True, slots=True)
class Spoken:
    """scope: in signatures · model: botocore's name · target: before the dot of X-Amz-Target
    invalid: its code for values out of bounds · by_path: REST, its operations are told by path
    """

    scope: str
    model: str
    title: str
    handlers: Mapping[str, Handler]
    target: str = ""
    json: str = "1.1"
    invalid: str = VALIDATION
    by_path: bool = False

    def description(self) -> Service:
        """AWS's description of it, read at the first call."""
        return service(self.model)

    def find(self, name: str) -> tuple[Operation, Handler]:
        """An operation and what does it; raises what AWS answers for a name it does not know."""
        operation = self.description().operation(name)
        if operation is None:
            raise Fault(
                "UnknownOperationException", f"{self.title} has no operation {name!r:.100}."
            )
        handler = self.handlers.get(name)
        if handler is None:
            raise Fault(
                "UnsupportedOperation",
                f"{name} of {self.title} is not supported by Tidemill. Supported operations: "
                f"{DOCUMENTATION}/reference/api-coverage",
                status=501,
            )
        return operation, handler


SAGEMAKER = Spoken(
    "sagemaker",
    "sagemaker",
    "Amazon SageMaker",
    {
        **training_job.OPERATIONS,
        **transform_job.OPERATIONS,
        **model.OPERATIONS,
        **model_card.OPERATIONS,
        **model_package.OPERATIONS,
        **model_package_group.OPERATIONS,
        **endpoint_config.OPERATIONS,
        **endpoint.OPERATIONS,
        **inference_experiment.OPERATIONS,
        **code_repository.OPERATIONS,
        **lifecycle_config.OPERATIONS,
        **experiment.OPERATIONS,
        **feature_group.OPERATIONS,
        **trial.OPERATIONS,
        **trial_component.OPERATIONS,
        **artifact.OPERATIONS,
        **action.OPERATIONS,
        **context.OPERATIONS,
        **association.OPERATIONS,
        **query_lineage.OPERATIONS,
        **search.OPERATIONS,
        **processing_job.OPERATIONS,
        **tags.OPERATIONS,
    },
    target="SageMaker",
)
SPOKEN = (
    SAGEMAKER,
    Spoken(
        "sagemaker",
        "sagemaker-metrics",
        "Amazon SageMaker Metrics",
        sagemaker_metrics.OPERATIONS,
        by_path=True,
    ),
    Spoken(
        "sagemaker",
        "sagemaker-featurestore-runtime",
        "Amazon SageMaker Feature Store Runtime",
        feature_record.OPERATIONS,
        invalid="ValidationError",
        by_path=True,
    ),
    Spoken(
        "logs",
        "logs",
        "CloudWatch Logs",
        logs.OPERATIONS,
        target="Logs_20140328",
        invalid="InvalidParameterException",
    ),
    Spoken(
        "monitoring",
        "cloudwatch",
        "CloudWatch",
        cloudwatch.OPERATIONS,
        target="GraniteServiceVersion20100801",
        json="1.0",
        invalid="InvalidParameterValue",
    ),
    Spoken(
        "application-autoscaling",
        "application-autoscaling",
        "Application Auto Scaling",
        autoscaling.OPERATIONS,
        target="AnyScaleFrontendService",
    ),
    Spoken("sts", "sts", "AWS STS", sts.OPERATIONS, invalid="ValidationError"),
    Spoken("iam", "iam", "AWS IAM", iam.OPERATIONS, invalid="ValidationError"),
)
BY_TARGET = {s.target: s for s in SPOKEN if s.target}
BY_SCOPE = {s.scope: s for s in SPOKEN if not s.by_path}
BY_PATH = tuple(s for s in SPOKEN if s.by_path)

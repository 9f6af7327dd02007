"""What every training job's request has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.errors import Invalid
from tidemill.sdk.connection import Connection


def submit(
    connection: Connection,
    name: str,
    image: str,
    hyperparameters: Mapping[str, str],
    channels: Sequence[Mapping[str, Any]],
    *,
    instances: int = 1,
    max_seconds: int = 86_400,
) -> None:
    """Create the training job."""
    connection.client("sagemaker").create_training_job(
        TrainingJobName=name,
        HyperParameters=dict(hyperparameters),
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn=connection.role(),
        InputDataConfig=list(channels),
        OutputDataConfig={"S3OutputPath": f"s3://{connection.bucket()}"},
        ResourceConfig={
            "InstanceType": "ml.m5.large",
            "InstanceCount": instances,
            "VolumeSizeInGB": 30,
        },
        StoppingCondition={"MaxRuntimeInSeconds": max_seconds},
    )


def model_channel(artifact: str) -> dict[str, Any]:
    """The channel that a training goes on from an earlier one's artifact with."""
    location = {
        "S3DataType": "S3Prefix",
        "S3Uri": artifact,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": "model",
        "DataSource": {"S3DataSource": location},
        "ContentType": "application/x-sagemaker-model",
    }


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters as the wire carries them.

    >>> as_text({"k": 10, "use_bias": True, "eval_metrics": ["msd"]})
    {'k': '10', 'use_bias': 'true', 'eval_metrics': '["msd"]'}
    """
    return {name: _text(name, value) for name, value in values.items()}


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return json.dumps(list(value))
    if isinstance(value, str | int | float) or hasattr(value, "item"):
        return str(value)
    raise Invalid(
        f"text, a number, true or false, or a list for {name}",
        got=type(value).__name__,
        do=f"Check the spelling of {name}: it was taken for a hyperparameter.",
    )

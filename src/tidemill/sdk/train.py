"""Train in a line: upload what is to be learned from, and start a job."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from tidemill import registry
from tidemill.sdk import channels
from tidemill.sdk.connection import Connection, current
from tidemill.sdk.naming import fresh_name
from tidemill.sdk.submit import as_text, model_channel, submit
from tidemill.sdk.training_job import TrainingJob

_TOLD = ("feature_dim", "mini_batch_size")


def train(
    algorithm: str,
    data: Any = None,
    *,
    validation: Any = None,
    test: Any = None,
    label: str | None = None,
    model: TrainingJob | str | None = None,
    name: str | None = None,
    instances: int = 1,
    max_seconds: int = 86_400,
    content_type: str | None = None,
    connection: Connection | None = None,
    **hyperparameters: Any,
) -> TrainingJob:
    """Start a training job and return it at once.

    algorithm: a built-in (``tidemill algorithms`` lists them) · data: array (rows, columns),
    (features, labels), DataFrame with ``label``, file, folder or S3 URI; validation and test alike
    model: an earlier job, whose hyperparameters hold unless others are given, or the S3 URI of an
    artifact, to go on from; ``data`` is then what is new, and may be left out
    instances: worker processes that share the rows · max_seconds: run-time limit
    hyperparameters: the algorithm's documented names; wrong ones raise InvalidHyperparameter here.

    >>> job = train("kmeans", X, k=10)            # doctest: +SKIP
    >>> job.wait().metrics["train:msd"]           # doctest: +SKIP
    """
    connection = connection or current()
    built_in = registry.declaration(algorithm)
    name = name or fresh_name(built_in.name)
    given = as_text(hyperparameters)
    if isinstance(model, TrainingJob):
        given = {**model.describe()["HyperParameters"], **given}
    sources = {"train": data, "validation": validation, "test": test}
    wanted = {
        channel: source
        for channel, source in sources.items()
        if source is not None or (channel == "train" and model is None)
    }
    registry.check(built_in.name, {**_placeholders(built_in.hyperparameters), **given})
    folder = f"s3://{connection.bucket()}/{name}/input"
    inputs = {
        channel: channels.upload(
            connection,
            source,
            prefix=f"{folder}/{channel}",
            label=label,
            supervised=built_in.label_size > 0,
            content_type=content_type,
        )
        for channel, source in wanted.items()
    }
    known = _told_by_the_data(built_in.hyperparameters, inputs.get("train"))
    wire = [channels.wire(c, source) for c, source in inputs.items()]
    if model is not None:
        wire.append(model_channel(model if isinstance(model, str) else model.artifact))
    submit(
        connection,
        name,
        f"tidemill/{built_in.name}:1",
        {**known, **given},
        wire,
        instances=instances,
        max_seconds=max_seconds,
    )
    return TrainingJob(name, connection)


def _placeholders(hyperparameters: type[Any]) -> dict[str, str]:
    """Values for what the data will tell, so that the rest can be checked before it goes out."""
    return {n: "10000" for n in _TOLD if n in hyperparameters.__dataclass_fields__}


def _told_by_the_data(hyperparameters: type[Any], train: channels.Source | None) -> dict[str, str]:
    """Hyperparameters that need not be given where the training data are at hand."""
    known = hyperparameters.__dataclass_fields__
    told = {"feature_dim": train.columns, "mini_batch_size": train.rows} if train else {}
    needed = {n for n in _TOLD if n in known and known[n].default is MISSING} | {"feature_dim"}
    return {n: str(value) for n, value in told.items() if value and n in known and n in needed}

"""Deploy in a line: a trained model behind an endpoint, and predictions from it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from botocore.exceptions import ClientError
from numpy.typing import NDArray

from tidemill.data import content_type as types
from tidemill.data.formats import recordio
from tidemill.errors import Invalid, NotFound
from tidemill.sdk.channels import CONTENT_TYPES, batch_of
from tidemill.sdk.connection import Connection, current
from tidemill.sdk.naming import fresh_name
from tidemill.sdk.progress import Progress
from tidemill.sdk.signed import send
from tidemill.sdk.training_job import TrainingJob
from tidemill.spec.learning import LEARN

ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
LARGEST_REQUEST = 5 << 20
LARGEST_FEEDBACK = 512 << 10
TEXTS_A_REQUEST = 1000
POLL_SECONDS = 0.05
VARIANT = "AllTraffic"
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
Predictions = dict[str, NDArray[Any]]


class DeploymentFailed(Exception):
    """The endpoint did not come into service; the message is its FailureReason."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint on the platform, by name."""

    name: str
    connection: Connection

    def describe(self) -> dict[str, Any]:
        """The DescribeEndpoint answer."""
        try:
            answer: dict[str, Any] = self._client.describe_endpoint(EndpointName=self.name)
        except ClientError as error:
            if "Could not find" in str(error):
                raise NotFound(
                    "the name of an endpoint", got=self.name, do="List them: tidemill endpoints."
                ) from None
            raise
        return answer

    @property
    def status(self) -> str:
        """Creating, InService, Updating, RollingBack, UpdateRollbackFailed, Deleting or Failed."""
        return str(self.describe()["EndpointStatus"])

    def wait(self, *, timeout: float = 300.0, quiet: bool = False) -> Endpoint:
        """Wait until it is in service; DeploymentFailed with the reason when it fails."""
        deadline = time.monotonic() + timeout
        with Progress(self.name, quiet=quiet) as progress:
            while True:
                answer = self.describe()
                status = answer["EndpointStatus"]
                progress.stage(status, 100.0 if status == "InService" else 0.0)
                if status == "InService":
                    return self
                if status == "Failed":
                    raise DeploymentFailed(answer.get("FailureReason", f"{self.name} failed"))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} is still {status}")
                time.sleep(POLL_SECONDS)

    def predict(
        self, data: Any, *, content_type: str | None = None, model: str | None = None
    ) -> Predictions:
        """Answers by name, each an array with a row for every row of ``data``.

        data: array, DataFrame, Arrow table, list of texts, or the path of a file without labels.
        Large inputs go out as several requests, in order.
        model: the key of the one that is to answer, of a multi-model endpoint
        """
        target = {} if model is None else {"TargetModel": model}
        answers = [self._ask(body, kind, target) for body, kind in _requests(data, content_type)]
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}

    def feedback(
        self, data: Any = None, *, label: str | None = None, by_id: Mapping[str, Any] | None = None
    ) -> int:
        """Tell an endpoint that learns what was right; the number of rows that it accepted.

        data: (features, labels), a DataFrame with ``label``, or rows alone where these are learned
        from · by_id: in place of data, the label, or the list of them, of requests that were
        answered, by their InferenceId
        """
        if by_id is not None:
            said = [{"InferenceId": id, "Label": label} for id, label in by_id.items()]
            return self._tell(orjson.dumps({"Feedback": said}, option=_NUMPY), types.JSON)
        batch = batch_of(data, label)
        parts = batch.split(max(1, LARGEST_FEEDBACK // (4 * batch.columns + 64)))
        bodies = (recordio.encode(part.features, part.labels) for part in parts)
        return sum(self._tell(body, types.RECORDIO) for body in bodies)

    def learning(self) -> dict[str, Any]:
        """How learning goes: the version, the rows behind it, and progressive validation."""
        return send(self.connection, "DescribeLearning", "GET", "endpoints", self.name, "feedback")

    def delete(self) -> None:
        """Delete the endpoint with its configuration and models, those that are still there."""
        config = self.describe()["EndpointConfigName"]
        with _gone_is_fine():
            self._client.delete_endpoint(EndpointName=self.name)
        with _gone_is_fine():
            variants = self._client.describe_endpoint_config(EndpointConfigName=config)
            self._client.delete_endpoint_config(EndpointConfigName=config)
            for name in {variant["ModelName"] for variant in variants["ProductionVariants"]}:
                with _gone_is_fine():
                    self._client.delete_model(ModelName=name)

    def _tell(self, body: bytes, content_type: str) -> int:
        headers = {"Content-Type": content_type}
        path = ("endpoints", self.name, "feedback")
        answer = send(self.connection, "Feedback", "POST", *path, body=body, headers=headers)
        return int(answer["Accepted"])

    def _ask(self, body: bytes, content_type: str, target: Mapping[str, str]) -> Predictions:
        answer = self.connection.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.name,
            Body=body,
            ContentType=content_type,
            Accept="application/json",
            **target,
        )
        said = orjson.loads(answer["Body"].read())
        (rows,) = said.values() if isinstance(said, dict) else (said,)
        return {name: np.asarray([row[name] for row in rows]) for name in rows[0]} if rows else {}

    @property
    def _client(self) -> Any:
        return self.connection.client("sagemaker")


def deploy(
    job: TrainingJob | str | Sequence[TrainingJob | str],
    *,
    name: str | None = None,
    instances: int = 1,
    wait: bool = True,
    learn: bool = False,
    connection: Connection | None = None,
) -> Endpoint:
    """Put a job's model behind an endpoint and return it, in service.

    job: a completed training job or its name, or several: a pipeline, where each reads what the
    one before it answers · instances: replica processes · wait: False returns
    while the endpoint is still being created · learn: whether it takes feedback, and learns from it
    """
    jobs = [job] if isinstance(job, TrainingJob | str) else list(job)
    trained = [TrainingJob(j, connection or current()) if isinstance(j, str) else j for j in jobs]
    if not trained:
        raise Invalid("a training job to deploy", got="none", do="Pass one, or several.")
    answers = [_finished(one) for one in trained]
    connection = trained[-1].connection
    name = name or fresh_name(trained[-1].name.split("-20")[0])
    _create(connection, name, answers, instances, learn=learn)
    endpoint = Endpoint(name, connection)
    return endpoint.wait() if wait else endpoint


def endpoints(connection: Connection | None = None) -> list[dict[str, Any]]:
    """Summaries of all endpoints, newest first."""
    pages = (connection or current()).client("sagemaker").get_paginator("list_endpoints").paginate()
    return [summary for page in pages for summary in page["Endpoints"]]


def _finished(job: TrainingJob) -> dict[str, Any]:
    """The job's description; raises Invalid while it has no model."""
    answer = job.describe()
    if "ModelArtifacts" not in answer or not answer["ModelArtifacts"].get("S3ModelArtifacts"):
        raise Invalid(
            f"a finished training job to deploy ({job.name})",
            got=answer["TrainingJobStatus"],
            do="Wait for it: job.wait().",
        )
    return answer


def _containers(jobs: Sequence[Mapping[str, Any]], *, learn: bool) -> dict[str, Any]:
    """A model's one container, or those that answer one after another."""
    made: list[dict[str, Any]] = []
    for place, job in enumerate(jobs, 1):
        environment = {LEARN: "true"} if learn else {}
        if place < len(jobs):  # the quickest form that the next one reads
            environment[ACCEPT] = types.CSV
        step = {
            "Image": job["AlgorithmSpecification"]["TrainingImage"],
            "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
            "Environment": environment,
        }
        made.append({name: value for name, value in step.items() if value})
    return {"PrimaryContainer": made[0]} if len(made) == 1 else {"Containers": made}


def _create(
    connection: Connection,
    name: str,
    jobs: Sequence[Mapping[str, Any]],
    instances: int,
    *,
    learn: bool,
) -> None:
    """Model, configuration and endpoint, or none of them."""
    client = connection.client("sagemaker")
    variant = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InitialInstanceCount": instances,
        "InstanceType": "ml.m5.large",
        "InitialVariantWeight": 1.0,
    }
    with ExitStack() as undo:
        client.create_model(
            ModelName=name,
            ExecutionRoleArn=connection.role(),
            **_containers(jobs, learn=learn),
        )
        undo.callback(client.delete_model, ModelName=name)
        client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        undo.callback(client.delete_endpoint_config, EndpointConfigName=name)
        client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        undo.pop_all()


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if "Could not find" not in str(error):
            raise


def _requests(data: Any, content_type: str | None) -> Iterator[tuple[bytes, str]]:
    if isinstance(data, str | Path):
        path = Path(data)
        kind = content_type or CONTENT_TYPES.get(path.suffix)
        if kind is None:
            raise Invalid(
                "a file whose ending tells its content type",
                got=path.name,
                do=f"Use one of {', '.join(CONTENT_TYPES)}, or pass content_type.",
            )
        if not path.is_file():
            raise Invalid("a file that is there", got=str(path), do="Check the path.")
        yield from _file_requests(path.read_bytes(), kind)
        return
    if isinstance(data, list) and data and all(isinstance(text, str) for text in data):
        for at in range(0, len(data), TEXTS_A_REQUEST):
            yield orjson.dumps({"instances": data[at : at + TEXTS_A_REQUEST]}), types.JSON
        return
    batch = batch_of(data)
    if not len(batch) or not batch.columns:
        raise Invalid("a row to ask about", got="none", do="Pass at least one.")
    for rows in batch.split(max(1, LARGEST_REQUEST // (4 * batch.columns + 64))):
        yield recordio.encode(rows.features), types.RECORDIO


def _file_requests(body: bytes, kind: str) -> Iterator[tuple[bytes, str]]:
    """A file as it is; one of lines is cut at line ends to fit the largest request."""
    by_lines = kind.startswith((types.CSV, types.JSON_LINES))
    at = 0
    while by_lines and len(body) - at > LARGEST_REQUEST:
        end = body.rfind(b"\n", at, at + LARGEST_REQUEST) + 1
        if end <= at:
            break
        yield body[at:end], kind
        at = end
    if at < len(body) or not body:
        yield body[at:], kind

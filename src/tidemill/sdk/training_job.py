"""A training job: watch it, read what it measured, make other models of what it learned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tidemill import registry
from tidemill.errors import NotFound, NotReady
from tidemill.sdk.connection import Connection, current
from tidemill.sdk.naming import fresh_name
from tidemill.sdk.progress import Progress
from tidemill.sdk.submit import as_text, model_channel, submit

FINAL = frozenset({"Completed", "Failed", "Stopped"})
POLL_SECONDS = 0.1
SLOWEST_POLL_SECONDS = 1.0
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class JobFailed(Exception):
    """The job ended without a model; the message is its FailureReason."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job on the platform, by name. Everything about it is asked for when wanted."""

    name: str
    connection: Connection

    def describe(self) -> dict[str, Any]:
        """The DescribeTrainingJob answer."""
        with self._known():
            answer: dict[str, Any] = self._client.describe_training_job(TrainingJobName=self.name)
        return answer

    @property
    def status(self) -> str:
        """InProgress, Stopping, Completed, Failed or Stopped."""
        return str(self.describe()["TrainingJobStatus"])

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of every metric, by its documented name (``test:msd``)."""
        return _metrics(self.describe())

    @property
    def artifact(self) -> str:
        """S3 URI of model.tar.gz; NotReady while there is none."""
        answer = self.describe()
        if "ModelArtifacts" not in answer:
            raise NotReady(
                f"a job with a model ({self.name})",
                got=answer["TrainingJobStatus"],
                do="Wait for it: job.wait().",
            )
        return str(answer["ModelArtifacts"]["S3ModelArtifacts"])

    @property
    def state(self) -> TrainedState:
        """What it learned, beyond its one model."""
        return TrainedState(self)

    def wait(self, *, timeout: float | None = None, quiet: bool = False) -> TrainingJob:
        """Wait for the end with a live progress line on stderr, and return the job.

        timeout: seconds, then TimeoutError (the job goes on). Raises JobFailed with the
        FailureReason when the job fails.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = POLL_SECONDS
        with Progress(self.name, quiet=quiet) as progress:
            while True:
                answer = self.describe()
                progress.show(answer, _metrics(answer))
                if answer["TrainingJobStatus"] in FINAL:
                    break
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} is still {answer['SecondaryStatus']}")
                time.sleep(pause)
                pause = min(pause * 1.2, SLOWEST_POLL_SECONDS)
        if answer["TrainingJobStatus"] == "Failed":
            raise JobFailed(answer.get("FailureReason", f"{self.name} failed without a reason"))
        return self

    def stop(self) -> None:
        """Ask it to stop; what it has learned so far is kept as its model."""
        with self._known():
            self._client.stop_training_job(TrainingJobName=self.name)

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Log lines so far, worker by worker; with ``follow``, until the job ends."""
        tokens: dict[str, str] = {}
        while True:
            ended = self.status in FINAL
            yield from self._new_lines(tokens)
            if ended or not follow:
                return
            time.sleep(POLL_SECONDS * 2)

    def _new_lines(self, tokens: dict[str, str]) -> Iterator[str]:
        logs = self.connection.client("logs")
        try:
            streams = logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.name}/"
            )["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return
        for stream in (s["logStreamName"] for s in streams):
            yield from self._read(logs, stream, tokens)

    @staticmethod
    def _read(logs: Any, stream: str, tokens: dict[str, str]) -> Iterator[str]:
        while True:
            after = {"nextToken": tokens[stream]} if stream in tokens else {}
            page = logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **after
            )
            tokens[stream] = page["nextForwardToken"]
            if not page["events"]:
                return
            yield from (event["message"] for event in page["events"])

    @contextmanager
    def _known(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if "not found" not in str(error):
                raise
            raise NotFound(
                "the name of a training job", got=self.name, do="List them: tidemill jobs."
            ) from None

    @property
    def _client(self) -> Any:
        return self.connection.client("sagemaker")


@dataclass(frozen=True, slots=True)
class TrainedState:
    """What a training ended with: other models can be made of it without its data."""

    job: TrainingJob

    def finalize(self, *, name: str | None = None, **hyperparameters: Any) -> TrainingJob:
        """A job that made another model of this state: fewer clusters, other thresholds, …

        hyperparameters: those to change. Takes no data and about as long as starting a process.
        Raises InvalidHyperparameter, or JobFailed where the state cannot tell.

        >>> job.state.finalize(k=20).artifact           # doctest: +SKIP
        """
        answer, connection = self.job.describe(), self.job.connection
        image = answer["AlgorithmSpecification"]["TrainingImage"]
        algorithm = registry.name_of(image)
        given = {**answer["HyperParameters"], **as_text(hyperparameters)}
        registry.check(algorithm, given)
        name = name or fresh_name(algorithm)
        submit(connection, name, image, given, [model_channel(self.job.artifact)])
        return TrainingJob(name, connection).wait(quiet=True)


def jobs(connection: Connection | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
    """Summaries of the newest training jobs, newest first."""
    client = (connection or current()).client("sagemaker")
    pages = client.get_paginator("list_training_jobs").paginate(
        SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"MaxItems": limit}
    )
    return [summary for page in pages for summary in page["TrainingJobSummaries"]]


def _metrics(answer: Mapping[str, Any]) -> dict[str, float]:
    return {m["MetricName"]: m["Value"] for m in answer.get("FinalMetricDataList", [])}

"""``tidemill train | jobs | logs | stop``: training jobs from the shell."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tidemill.cli import show
from tidemill.cli.show import HomeOption, JsonOption
from tidemill.errors import Invalid
from tidemill.sdk.connection import connect
from tidemill.sdk.train import train as start
from tidemill.sdk.training_job import TrainingJob
from tidemill.sdk.training_job import jobs as list_jobs

JobArgument = Annotated[str, typer.Argument(help="The training job's name.")]


def train(
    algorithm: Annotated[str, typer.Argument(help="A built-in; see: tidemill algorithms.")],
    data: Annotated[str, typer.Argument(help="Training rows: file, folder or S3 URI.")],
    hyperparameters: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE pairs.", metavar="[NAME=VALUE]...")
    ] = None,
    validation: Annotated[str | None, typer.Option(help="Rows to select models by.")] = None,
    test: Annotated[str | None, typer.Option(help="Rows to score the model on.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Go on from this job's model, or from this artifact's URI.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The job's name.")] = None,
    content_type: Annotated[
        str | None, typer.Option(help="Of the files, if not told by name.")
    ] = None,
    instances: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    max_seconds: Annotated[int, typer.Option(help="Run-time limit.", min=1)] = 86_400,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = True,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Train a built-in algorithm on a file, a folder or an S3 prefix.

    CSV rows carry no header; the label comes first for algorithms that learn from labels.

    Examples:

        tidemill train kmeans points.csv k=10

        tidemill train linear-learner rows.csv predictor_type=binary_classifier --test held.csv

        tidemill train kmeans new-points.csv --model kmeans-2026-01-31-12-00-00-ab12
    """
    connection = connect(home)
    is_job = model is not None and not model.startswith("s3://")
    job = start(
        algorithm,
        data,
        validation=validation,
        test=test,
        model=TrainingJob(str(model), connection) if is_job else model,
        name=name,
        instances=instances,
        max_seconds=max_seconds,
        content_type=content_type,
        connection=connection,
        **dict(_pair(text) for text in hyperparameters or []),
    )
    if wait:
        _wait(job)
    _show(job, json)


def finalize(
    job: JobArgument,
    hyperparameters: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE pairs.", metavar="[NAME=VALUE]...")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The new job's name.")] = None,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make another model of what a job learned, without its data.

    Example: tidemill finalize kmeans-2026-01-31-12-00-00-ab12 k=20
    """
    state = TrainingJob(job, connect(home)).state
    changes = dict(_pair(text) for text in hyperparameters or [])
    _show(state.finalize(name=name, **changes), json)


def _show(job: TrainingJob, json: bool) -> None:
    answer = job.describe()
    if json:
        show.as_json(answer)
        return
    facts = {"job": job.name, "status": answer["TrainingJobStatus"], **job.metrics}
    if answer.get("ModelArtifacts"):
        facts["model"] = answer["ModelArtifacts"]["S3ModelArtifacts"]
    show.pairs(facts)


def jobs(
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 20,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List training jobs, newest first."""
    found = list_jobs(connect(home), limit=limit)
    if json:
        show.as_json(found)
        return
    columns = ["job", "status", "created", "ended"]
    keys = ["TrainingJobName", "TrainingJobStatus", "CreationTime", "TrainingEndTime"]
    show.table("Training jobs", columns, ([job.get(k) for k in keys] for job in found))


def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    home: HomeOption = None,
) -> None:
    """Print a job's log.

    Example: tidemill logs -f kmeans-2026-01-31-12-00-00-ab12
    """
    for line in TrainingJob(job, connect(home)).logs(follow=follow):
        sys.stdout.write(line.rstrip("\n") + "\n")
        sys.stdout.flush()


def stop(job: JobArgument, home: HomeOption = None) -> None:
    """Stop a training job; what it has learned so far is kept."""
    TrainingJob(job, connect(home)).stop()


def _wait(job: TrainingJob) -> None:
    try:
        job.wait()
    except KeyboardInterrupt:
        show.note(f"{job.name} goes on. Watch it: tidemill logs -f {job.name}")
        show.note(f"End it: tidemill stop {job.name}")
        raise


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid("a hyperparameter as NAME=VALUE", got=text, do="Write it like k=10.")
    return name, value

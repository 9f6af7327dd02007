"""``tidemill deploy | endpoints | predict | delete-endpoint``: hosting from the shell."""

from __future__ import annotations

from typing import Annotated

import typer

from tidemill.cli import show
from tidemill.cli.show import HomeOption, JsonOption
from tidemill.sdk.connection import connect
from tidemill.sdk.endpoint import Endpoint
from tidemill.sdk.endpoint import deploy as put_behind_endpoint
from tidemill.sdk.endpoint import endpoints as list_endpoints

EndpointArgument = Annotated[str, typer.Argument(help="The endpoint's name.")]


def deploy(
    job: Annotated[str, typer.Argument(help="A completed training job.")],
    name: Annotated[str | None, typer.Option(help="The endpoint's name.")] = None,
    instances: Annotated[int, typer.Option(help="Replica processes.", min=1)] = 1,
    wait: Annotated[bool, typer.Option(help="Wait until it is in service.")] = True,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Put a training job's model behind an endpoint.

    Example: tidemill deploy my-job --name clusters --instances 2
    """
    endpoint = put_behind_endpoint(
        job, name=name, instances=instances, wait=wait, connection=connect(home)
    )
    if json:
        show.as_json(endpoint.describe())
        return
    show.pairs({"endpoint": endpoint.name, "status": endpoint.status})


def endpoints(json: JsonOption = False, home: HomeOption = None) -> None:
    """List endpoints, newest first."""
    found = list_endpoints(connect(home))
    if json:
        show.as_json(found)
        return
    keys = ["EndpointName", "EndpointStatus", "CreationTime", "LastModifiedTime"]
    columns = ["endpoint", "status", "created", "changed"]
    show.table("Endpoints", columns, ([e.get(k) for k in keys] for e in found))


def predict(
    endpoint: EndpointArgument,
    file: Annotated[str, typer.Argument(help="Rows without labels: .csv, .jsonl, .npy, .pbr …")],
    content_type: Annotated[str | None, typer.Option(help="If the ending does not tell.")] = None,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Predict every row of a file.

    Example: tidemill predict clusters rows.csv
    """
    answers = Endpoint(endpoint, connect(home)).predict(file, content_type=content_type)
    rows = zip(*(column.tolist() for column in answers.values()), strict=True)
    if json:
        show.as_json([dict(zip(answers, row, strict=True)) for row in rows])
        return
    show.table("Predictions", list(answers), rows)


def delete_endpoint(endpoint: EndpointArgument, home: HomeOption = None) -> None:
    """Delete an endpoint with its configuration and models."""
    Endpoint(endpoint, connect(home)).delete()

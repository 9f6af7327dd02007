"""The ``tidemill`` command: every subcommand by name, every deliberate error in one line."""

from __future__ import annotations

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError

from tidemill import __version__
from tidemill.cli import algorithms, hosting, platform, show, training
from tidemill.errors import TidemillError
from tidemill.sdk.endpoint import DeploymentFailed
from tidemill.sdk.training_job import JobFailed

app = typer.Typer(
    name="tidemill",
    help="Train, deploy and watch machine-learning models through SageMaker's API, anywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    platform.up,
    platform.down,
    platform.status,
    platform.env,
    training.train,
    training.jobs,
    training.logs,
    training.stop,
    hosting.deploy,
    hosting.endpoints,
    hosting.predict,
    hosting.delete_endpoint,
    algorithms.algorithms,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def front(
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> None:
    """Train, deploy and watch machine-learning models through SageMaker's API, anywhere."""
    if version:
        print(f"tidemill {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: exit 0, 1 for a failure told in one line, 2 for wrong usage."""
    try:
        app()
    except (TidemillError, ClientError, BotoCoreError, JobFailed, DeploymentFailed) as error:
        show.errors.print(f"[bold red]error:[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except (TimeoutError, FileNotFoundError) as error:
        show.errors.print(f"[bold red]error:[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _escaped(error: BaseException) -> str:
    """The message, safe to print where brackets mean style."""
    return str(error).replace("[", r"\[")


if __name__ == "__main__":
    main()

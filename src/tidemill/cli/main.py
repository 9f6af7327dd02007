"""The ``tidemill`` command: every subcommand by name, every deliberate error in one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core
import typer.main

from tidemill import __version__
from tidemill.errors import TidemillError

# A command's module is imported when the command is wanted: `tidemill up` needs no boto3.
COMMANDS = {
    "up": "tidemill.cli.platform",
    "down": "tidemill.cli.platform",
    "status": "tidemill.cli.platform",
    "env": "tidemill.cli.platform",
    "train": "tidemill.cli.training",
    "jobs": "tidemill.cli.training",
    "logs": "tidemill.cli.training",
    "stop": "tidemill.cli.training",
    "finalize": "tidemill.cli.training",
    "deploy": "tidemill.cli.hosting",
    "endpoints": "tidemill.cli.hosting",
    "predict": "tidemill.cli.hosting",
    "delete-endpoint": "tidemill.cli.hosting",
    "algorithms": "tidemill.cli.algorithms",
}
TOLD = {"ClientError", "BotoCoreError", "Boto3Error", "JobFailed", "DeploymentFailed"}


class Commands(typer.core.TyperGroup):
    """The commands by name, each found in its module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        alone = typer.Typer(add_completion=False, context_settings=HELP)
        alone.command(cmd_name)(getattr(module, cmd_name.replace("-", "_")))
        return typer.main.get_command(alone)


HELP = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="tidemill",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings=HELP,
)


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
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if not _is_told(type(error).__mro__):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _is_told(kinds: Sequence[type]) -> bool:
    """Whether an error speaks for itself; boto3's are known by name, for it may not be loaded."""
    if {TidemillError, OSError} & set(kinds):  # of files and time-outs, the system's own words
        return True
    return bool(TOLD & {kind.__name__ for kind in kinds})


if __name__ == "__main__":
    main()

"""What to run for an entry point: a Python program, a shell script, a package, or torchrun."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tidemill.errors import Invalid


class Kind(Enum):
    """What an entry point is."""

    PROGRAM = "a Python program"
    PACKAGE = "a Python package"
    COMMAND = "a shell command"


@dataclass(frozen=True, slots=True)
class Torchrun:
    """processes: on this host · rank: this host's, of so many hosts · address, port: the first's"""

    processes: int
    hosts: int
    rank: int
    address: str
    port: int


def kind_of(code: Path, entry: str) -> Kind:
    """By the name, and by whether the source is a package (it has a setup.py); raises Invalid."""
    if not (code / entry).is_file():
        raise Invalid(
            "the entry point (sagemaker_program) must be a file of the source",
            got=f"{entry!r} among {_some(code)}",
            do="Name a file by its path below source_dir.",
        )
    if entry.endswith(".sh"):
        return Kind.COMMAND
    if (code / "setup.py").exists():
        return Kind.PACKAGE
    return Kind.PROGRAM if entry.endswith(".py") else Kind.COMMAND


def command(
    kind: Kind, python: str, entry: str, arguments: Sequence[str], torchrun: Torchrun | None = None
) -> list[str]:
    """The words to execute in the directory of the code; raises Invalid.

    >>> command(Kind.COMMAND, "python", "train.sh", ["--name", "a b"])
    ['/bin/sh', '-c', "./train.sh --name 'a b'"]
    >>> command(Kind.PACKAGE, "python", "train.py", ["--k", "1"])
    ['python', '-m', 'train', '--k', '1']
    """
    if torchrun is not None:
        if kind is not Kind.PROGRAM:
            raise Invalid(
                "the entry point of a torch_distributed job must be a Python program",
                got=kind.value,
                do="Name a .py file, in a source without a setup.py.",
            )
        return [python, "-m", "torch.distributed.run", *_flags(torchrun), entry, *arguments]
    if kind is Kind.PROGRAM:
        return [python, entry, *arguments]
    if kind is Kind.PACKAGE:
        return [python, "-m", entry.removesuffix(".py").replace("/", "."), *arguments]
    return ["/bin/sh", "-c", shlex.join([f"./{entry}", *arguments])]


def _flags(torchrun: Torchrun) -> list[str]:
    # Several jobs share this machine: each has a port of its own even when it has one host.
    flags = {
        "--nnodes": torchrun.hosts,
        "--nproc_per_node": torchrun.processes,
        "--master_addr": torchrun.address,
        "--master_port": torchrun.port,
        "--node_rank": torchrun.rank,
    }
    return [word for flag, value in flags.items() for word in (flag, str(value))]


def _some(code: Path) -> list[str]:
    return sorted(path.name for path in code.iterdir())[:20]

"""A worker's home as /opt/ml: how to run a user's command so that it finds one.

Where the kernel allows namespaces the command sees the home as /opt/ml, and its processes end with
it, whatever they do. Elsewhere (containers often forbid it) it sees the home where it lies; its
programs are told by their environment.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.workers import launcher

VARIABLE = "TIDEMILL_NAMESPACES"
"""Set to 0, it makes workers do without."""
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class OptMl:
    """A home and how commands see it. is_real: whether as /opt/ml"""

    home: Path
    is_real: bool

    @property
    def base(self) -> Path:
        """Where a command finds the home."""
        return Path(launcher.OPT_ML) if self.is_real else self.home

    def seen(self, path: Path) -> Path:
        """A path below the home, as a command has to be told it."""
        return self.base / path.relative_to(self.home)

    def meant(self, path: str) -> Path | None:
        """Where it lies what a user calls /opt/ml/…; None for a path elsewhere.

        >>> OptMl(Path("/jobs/a"), is_real=True).meant("/opt/ml/checkpoints")
        PosixPath('/jobs/a/checkpoints')
        """
        plain = Path(os.path.normpath(path))
        if not plain.is_relative_to(launcher.OPT_ML):
            return None
        return self.home / plain.relative_to(launcher.OPT_ML)

    def command(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        shields: Sequence[Path] = (),
        hosts: Sequence[str] = (),
        whole_group: bool = False,
    ) -> list[str]:
        """What to run instead of ``argv``, in a session of its own, from this thread.

        The result ends with the command, handing on its exit status (128 + signal when it was
        killed) and SIGTERM; it dies with this process, and with it all that the command started.

        cwd: below the home, which it is otherwise · shields: directories below the home whose files
        the command must not change (they are links to objects); it may write there where the
        kernel has overlays · hosts: names by which commands reach this machine
        whole_group: SIGTERM for all of the command's processes, and not for its first alone
        Without a real /opt/ml shields and hosts mean nothing.
        """
        options = {
            "root": str(self.home) if self.is_real else None,
            "shields": [str(path.relative_to(self.home)) for path in shields],
            "hosts": list(hosts),
            "cwd": str(self.seen(cwd or self.home)),
            "group": whole_group,
            "parent": os.getpid(),
        }
        return [*_launcher(), json.dumps(options), *argv]


def of(home: Path) -> OptMl:
    """The home, as commands here can see it."""
    return OptMl(home, is_real=is_allowed())


@functools.cache
def is_allowed() -> bool:
    """Whether this kernel lets us make namespaces; tried once a process."""
    if os.environ.get(VARIABLE) == "0":
        return False
    with tempfile.TemporaryDirectory() as directory:
        argv = OptMl(Path(directory), is_real=True).command(["true"])
        try:
            done = subprocess.run(argv, capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


def clear(home: Path) -> None:
    """Remove what commands have written over shielded files."""
    layers = home / launcher.LAYERS
    for work in layers.glob("*/work/work"):  # overlays leave it without any right
        work.chmod(0o700)
    shutil.rmtree(layers, ignore_errors=True)


def _launcher() -> list[str]:
    # -I and -S: nothing of the user's environment or of installed packages takes part.
    return [sys.executable, "-I", "-S", launcher.__file__]

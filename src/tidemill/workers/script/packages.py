"""The Python of one job: an environment of its own above Tidemill's, with what it requires.

What a program installs stays in its job. What a requirements.txt asks for is installed once and
shared by the jobs that ask for the same, unless it names files of the job.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shlex
import shutil
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from tidemill.errors import Missing
from tidemill.spec.framework import Framework

REQUIREMENTS = "requirements.txt"
_COMPLETE = "complete"
_PIP = ("-m", "pip", "install", "--no-input", "-r", REQUIREMENTS)
# Files of the job, other lists, and options, which may point anywhere.
_LOCAL = (".", "/", "-", "file:")

Install = Callable[[Sequence[str]], None]
"""Runs a command in the directory of the code, to its end; raises when it fails."""


@dataclass(frozen=True, slots=True)
class Python:
    """A virtual environment. above: those whose packages it sees too, its own first"""

    root: Path
    above: tuple[Path, ...] = ()

    @property
    def executable(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def packages(self) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.root / "lib" / version / "site-packages"

    @property
    def places(self) -> list[str]:
        """Where packages are looked for, in order."""
        return [str(self.packages), *(str(path) for path in self.above)]

    @property
    def programs(self) -> list[str]:
        """For PATH, in order."""
        roots = [self.root, *(p.parents[2] for p in self.above if "lib" in p.parts)]
        places = [*(root / "bin" for root in roots), Path(sys.executable).parent]
        return list(dict.fromkeys(str(place) for place in places))


def prepare(code: Path, python: Python, shelf: Path, install: Install) -> Python:
    """A job's environment with what its source in ``code`` requires.

    python: its own, empty · shelf: where environments of several jobs are kept
    """
    requirements = code / REQUIREMENTS
    if not requirements.exists():
        return python
    if _is_local(requirements.read_text(errors="replace")):
        install([str(python.executable), *_PIP])
        return python
    shared = _shared(requirements, shelf, install)
    return make(python.root, (shared.packages, *shared.above))


def make(root: Path, above: Sequence[Path]) -> Python:
    """A new environment in place of what is there; it sees the packages of those above."""
    shutil.rmtree(root, ignore_errors=True)
    python = Python(root, tuple(above))
    has_pip = importlib.util.find_spec("pip") is not None
    venv.EnvBuilder(symlinks=True, with_pip=not has_pip).create(root)
    lines = [f"import site; site.addsitedir({str(path)!r})\n" for path in above]
    (python.packages / "_above.pth").write_text("".join(lines))
    if has_pip:  # that above, told to install here
        for name in ("pip", "pip3"):
            program = root / "bin" / name
            program.write_text(
                f'#!/bin/sh\nexec {shlex.quote(str(python.executable))} -m pip "$@"\n'
            )
            program.chmod(0o755)
    return python


def check(framework: Framework, python: Python, code: Path) -> None:
    """Raise Missing unless the packages that a framework's programs import are there."""
    for package, called in framework.packages.items():
        places = [str(code), *python.places]
        if not (PathFinder.find_spec(package, places) or importlib.util.find_spec(package)):
            raise Missing(
                f"the package {package!r}, which {framework.name} programs import",
                got="none in Tidemill's environment",
                do=f"Run `{sys.executable} -m pip install {called}`, or name {called} in the "
                f"job's {REQUIREMENTS}.",
            )


def _shared(requirements: Path, shelf: Path, install: Install) -> Python:
    above = ours()
    words = [requirements.read_text(errors="replace"), sys.version, *map(str, above)]
    name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]
    root = shelf / name
    with _locked(shelf / f"{name}.lock"):
        if (root / _COMPLETE).exists():
            return Python(root, above)
        python = make(root, above)
        install([str(python.executable), *_PIP])
        (root / _COMPLETE).touch()
    return python


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for pip; what the job says of its own holds."""
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    return {**quiet, **environment}


def ours() -> tuple[Path, ...]:
    """Where the packages of the interpreter that runs this are."""
    ends = ("site-packages", "dist-packages")
    return tuple(Path(p) for p in dict.fromkeys(sys.path) if p.endswith(ends))


def _is_local(text: str) -> bool:
    """Whether other files than this one decide what is installed."""
    lines = [line.strip() for line in text.splitlines()]
    return any(line.startswith(_LOCAL) or "file:" in line for line in lines)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""How the processes of one container's user code are started: its files, its Python, its variables.

Everything lies below one directory, which those processes see as /opt/ml where the kernel allows.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidemill.artifact import archive
from tidemill.artifact.inflate import Limits
from tidemill.errors import Invalid
from tidemill.spec.framework import PROGRAM_VARIABLE
from tidemill.spec.home import Home
from tidemill.spec.hosting import DEFAULT_PROGRAM, SUBMITTED_VARIABLE, Hosting
from tidemill.spec.model import Container
from tidemill.storage import keys, uri
from tidemill.storage.bucket import Buckets
from tidemill.workers import opt_ml
from tidemill.workers.opt_ml import OptMl
from tidemill.workers.script import packages, source, surroundings
from tidemill.workers.script.program import error_of, run

LIMITS = Limits(bytes=64 << 30, files=100_000)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_CHILD = "tidemill.workers.serve.user.child"


@dataclass(frozen=True, slots=True)
class Launch:
    """program: a file below ``code``, or empty · framework: whose handlers stand in"""

    opt_ml: OptMl
    python: Path
    code: Path
    program: str
    framework: str
    variables: Mapping[str, str]

    def command(self, file: int) -> list[str]:
        """What to run, from this thread. file: its end of the socket"""
        model = str(self.opt_ml.base / "model")
        about = [model, str(self.opt_ml.seen(self.code)), self.program, self.framework]
        argv = [str(self.python), "-P", "-m", _CHILD, str(file), *about]
        return self.opt_ml.command(argv, cwd=self.code)


def prepare(
    container: Container,
    hosting: Hosting,
    base: Path,
    buckets: Buckets,
    platform: Home,
    region: str,
) -> Launch:
    """Bring model and code below ``base``, and install what the code requires.

    Raises Invalid, NotFound or Missing for what can not be brought, or is not there.
    """
    seen = opt_ml.of(base)
    model = base / "model"
    _fetch_model(buckets, container.model_uri, model)
    code = _fetch_code(container.environment.get(SUBMITTED_VARIABLE, ""), buckets, seen)
    program = _program(container, hosting, code)
    python = packages.Python(base / "python", packages.ours())
    variables = _variables(container, seen, code, python, platform, region)
    interpreter = Path(sys.executable)
    if (code / packages.REQUIREMENTS).exists():
        python = packages.make(python.root, packages.ours())

        def install(argv: Sequence[str]) -> None:
            _install(argv, seen, code, variables)

        python = packages.prepare(code, python, platform.environments, install)
        interpreter = python.executable
        variables = _variables(container, seen, code, python, platform, region)
    packages.check(hosting.framework, python, code)
    return Launch(seen, interpreter, code, program, hosting.defaults, variables)


def _fetch_model(buckets: Buckets, model_uri: str | None, directory: Path) -> None:
    """model_uri: of a model.tar.gz, or the prefix (with its slash) of the unpacked files"""
    shutil.rmtree(directory, ignore_errors=True)  # of an earlier attempt
    directory.mkdir(parents=True)
    if not model_uri:
        return
    bucket, key = uri.parse(model_uri)
    if not key.endswith("/"):
        archive.unpack(buckets.path(bucket, key), directory, LIMITS)
        return
    for found in buckets.list(bucket, key):
        parts = keys.plain(found.key.removeprefix(key))
        if parts is not None and not found.key.endswith("/"):
            target = directory.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(buckets.path(bucket, found.key), target)


def _fetch_code(submitted: str, buckets: Buckets, seen: OptMl) -> Path:
    """The directory of the code: as the model has it, or brought from S3."""
    code = seen.home / "code"
    if "://" in submitted:
        source.fetch(submitted, buckets, seen, code)
        return code
    place = seen.meant(submitted) if submitted else seen.home / "model" / "code"
    if place is not None and place.is_dir() and place.resolve().is_relative_to(seen.home):
        return place
    if submitted:
        raise Invalid(
            f"{SUBMITTED_VARIABLE}, a tar.gz in S3 or a directory of the model",
            got=submitted,
            do="Put the code below code/ in model.tar.gz and name /opt/ml/model/code.",
        )
    shutil.rmtree(code, ignore_errors=True)
    code.mkdir(parents=True)
    return code


def _program(container: Container, hosting: Hosting, code: Path) -> str:
    """Of the code; raises Invalid where there is none and one is needed."""
    named = container.environment.get(PROGRAM_VARIABLE, "")
    program = named or DEFAULT_PROGRAM
    path = code / program
    if path.is_file() and path.resolve().is_relative_to(code.resolve()):
        return program
    if named or hosting.needs_program:
        found = sorted(p.name for p in code.iterdir())[:20]
        raise Invalid(
            f"{PROGRAM_VARIABLE}, the file of the code that has model_fn",
            got=f"{program!r} among {found}",
            do="Give the model an entry_point, or put code/inference.py into its model.tar.gz.",
        )
    return ""


def _install(argv: Sequence[str], seen: OptMl, code: Path, variables: Mapping[str, str]) -> None:
    print(f"Installing requirements: {' '.join(argv)}", flush=True)
    outcome = run(seen.command(argv, cwd=code), packages.pip_settings(variables))
    if outcome.code:
        raise Invalid(
            f"{packages.REQUIREMENTS} of the code, which pip can install",
            got=error_of(outcome.tail),
            do="The endpoint's log has all that pip said.",
        )


def _variables(
    container: Container,
    seen: OptMl,
    code: Path,
    python: packages.Python,
    platform: Home,
    region: str,
) -> dict[str, str]:
    """The environment of the processes. Its own threads are the program's affair, as in AWS."""
    inherited = {name: value for name, value in os.environ.items() if name not in _THREADS}
    paths = [str(seen.seen(code)), os.environ.get("PYTHONPATH", "")]
    regions = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region} if region else {}
    base = {"SAGEMAKER_BASE_DIR": str(seen.base), "SM_MODEL_DIR": str(seen.base / "model")}
    return {
        **inherited,
        **surroundings.platform(platform),
        **regions,
        "SAGEMAKER_BIND_TO_PORT": "8080",
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join([*python.programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        **container.environment,
        **base,
    }

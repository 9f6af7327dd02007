"""What to run for a job's entry point, and all variables that it finds."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from tidemill.workers.launcher import OPT_ML
from tidemill.workers.opt_ml import OptMl
from tidemill.workers.process.host import Host
from tidemill.workers.script.packages import Python, pip_settings
from tidemill.workers.script.surroundings import platform

# However an image calls its Python, and wherever it has it.
_PYTHON = re.compile(r"(?:/(?:[^/]+/)*bin/)?python(?:[0-9]+(?:\.[0-9]+)?)?")
_BELOW = re.compile(rf"(?<![\w./-]){OPT_ML}(?=/|$)")


def resolved(words: Sequence[str], python: str, opt_ml: OptMl) -> list[str]:
    """The words to execute: ``python`` for the image's own, paths as the command has to know them.

    >>> from pathlib import Path
    >>> at = OptMl(Path("/home"), is_real=False)
    >>> resolved(["python3.8", "/opt/ml/processing/a.py", "--to=/opt/ml/b"], "/venv/python", at)
    ['/venv/python', '/home/processing/a.py', '--to=/home/b']
    """
    first, *rest = words
    argv = [python if _PYTHON.fullmatch(first) else first, *rest]
    if opt_ml.is_real:
        return argv
    return [_BELOW.sub(lambda _: str(opt_ml.home), word) for word in argv]


def variables(host: Host, python: Python) -> dict[str, str]:
    """The whole environment of the command; what the job says holds."""
    job = host.job
    ours = {
        **os.environ,
        **platform(host.platform),
        "AWS_REGION": job.region,
        "AWS_DEFAULT_REGION": job.region,
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.arn,
        "SAGEMAKER_BASE_DIR": str(host.opt_ml.base),
        "VIRTUAL_ENV": str(python.root),
        "PATH": os.pathsep.join([*python.programs, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "TRUE",
    }
    return pip_settings({**ours, **job.environment})

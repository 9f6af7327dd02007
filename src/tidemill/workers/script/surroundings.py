"""All variables that a user's program finds, on top of the SM_* ones."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tidemill.auth.credentials import load
from tidemill.errors import Invalid
from tidemill.spec import framework
from tidemill.spec.home import Home
from tidemill.workers.script import environment, hyperparameters
from tidemill.workers.script.environment import Situation
from tidemill.workers.script.host import Host
from tidemill.workers.script.packages import Python, pip_settings

SUBMITTED = "sagemaker_submit_directory"


def reserved(host: Host, values: Mapping[str, Any], name: str) -> Any:
    """What the platform was told by a hyperparameter or, in capitals, by a variable; or None."""
    return values.get(name, host.job.environment.get(name.upper()))


def situation(host: Host, values: Mapping[str, Any]) -> Situation:
    """What there is to say of this host. values: the decoded hyperparameters"""
    found = framework.of_training(host.job.image)
    groups = values.get("sagemaker_distribution_instance_groups")
    level = values.get("sagemaker_container_log_level")
    return Situation(
        base=host.opt_ml.base,
        job=host.job.name,
        program=str(reserved(host, values, framework.PROGRAM) or ""),
        submitted=str(reserved(host, values, SUBMITTED) or ""),
        framework_module=found.module if found else "",
        channels=[c.name for c in host.job.channels],
        parameters=hyperparameters.of_program(values),
        framework_parameters=hyperparameters.of_framework(values),
        resources=_config(host, "resourceconfig"),
        inputs=_config(host, "inputdataconfig"),
        cpus=len(os.sched_getaffinity(0)),
        gpus=gpus(),
        log_level=level if isinstance(level, int) else 20,
        distribution_groups=groups if isinstance(groups, list) else (),
    )


def variables(
    host: Host, about: Situation, python: Python, address: str, port: int
) -> dict[str, str]:
    """The whole environment of the program. address, port: where the first host can be met"""
    given = host.job.environment
    code = str(host.opt_ml.seen(host.code))
    paths = [code, os.environ.get("PYTHONPATH", "")]
    programs = [*python.programs, os.environ.get("PATH", os.defpath)]
    ours = {
        **os.environ,
        **platform(host.platform),
        "AWS_REGION": host.job.region,
        "AWS_DEFAULT_REGION": host.job.region,
        "SAGEMAKER_REGION": host.job.region,
        "SAGEMAKER_BASE_DIR": str(host.opt_ml.base),
        "TRAINING_JOB_NAME": host.job.name,
        "TRAINING_JOB_ARN": host.job.arn,
        "VIRTUAL_ENV": str(python.root),
        "PATH": os.pathsep.join(programs),
        "PYTHONPATH": os.pathsep.join(p for p in paths if p),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "NCCL_SOCKET_IFNAME": about.resources["network_interface_name"],
        "GLOO_SOCKET_IFNAME": about.resources["network_interface_name"],
    }
    return pip_settings({**ours, **given, **environment.variables(about)})


def gpus() -> int:
    """How many of NVIDIA's there are for this process."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([name for name in chosen.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def platform(home: Home) -> dict[str, str]:
    """What a program needs to call this platform, as one in SageMaker can call AWS.

    The keys are in a file: programs like to print their environment.
    """
    with suppress(OSError, ValueError, KeyError, Invalid):
        keys = load(home.credentials)
        url = json.loads(home.server.read_text())["url"]
        text = (
            f"[default]\naws_access_key_id = {keys.access_key_id}\n"
            f"aws_secret_access_key = {keys.secret_access_key}\n"
        )
        return {"AWS_ENDPOINT_URL": url, "AWS_SHARED_CREDENTIALS_FILE": _kept(home, text)}
    return {}


def _kept(home: Home, text: str) -> str:
    """Path of a file of this text that only its owner can read."""
    path = home.run / "aws-credentials"
    if not path.exists() or path.read_text() != text:
        handle, draft = tempfile.mkstemp(prefix=".aws-", dir=home.run)  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(draft, path)
    return str(path)


def _config(host: Host, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((host.home.config / f"{name}.json").read_text())
    return found

"""The SM_* variables, as SageMaker's training toolkit sets them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidemill.workers.script.hyperparameters import arguments


@dataclass(frozen=True, slots=True)
class Situation:
    """What a program may want to know of the host that it runs on.

    base: /opt/ml, or where it is · channels: names · parameters: the program's hyperparameters
    framework_parameters: those of its framework · program: the entry point's file name
    submitted: URI of the source · resources, inputs: what resourceconfig.json and
    inputdataconfig.json hold
    """

    base: Path
    job: str
    program: str
    submitted: str
    framework_module: str
    channels: Sequence[str]
    parameters: Mapping[str, Any]
    framework_parameters: Mapping[str, Any]
    resources: Mapping[str, Any]
    inputs: Mapping[str, Any]
    cpus: int
    gpus: int
    log_level: int = 20
    distribution_groups: Sequence[str] = field(default_factory=tuple)

    @property
    def hosts(self) -> list[str]:
        return list(self.resources["hosts"])

    @property
    def host(self) -> str:
        return str(self.resources["current_host"])

    @property
    def is_master(self) -> bool:
        return self.host == self.hosts[0]


def variables(situation: Situation) -> dict[str, str]:
    """All SM_* variables: text as it is, nothing as nothing, everything else as JSON."""
    s = situation
    facts = {
        **_shared(s),
        "channels": sorted(s.channels),
        "framework_params": s.framework_parameters,
        "hps": s.parameters,
        "module_dir": s.submitted,
        "training_env": training_env(s),
        "user_args": arguments(s.parameters),
    }
    for name in s.channels:
        facts[f"channel_{name}"] = str(s.base / "input" / "data" / name)
    for name, value in s.parameters.items():
        facts[f"hp_{name}"] = value
    return {f"SM_{name.upper()}": _text(value) for name, value in facts.items()}


def training_env(situation: Situation) -> dict[str, Any]:
    """All that is known in one document, SM_TRAINING_ENV."""
    s = situation
    channels = {name: str(s.base / "input" / "data" / name) for name in s.channels}
    return {
        **_shared(s),
        "additional_framework_parameters": s.framework_parameters,
        "channel_input_dirs": channels,
        "distribution_hosts": s.hosts if s.distribution_groups else [],
        "hyperparameters": s.parameters,
        "is_master": s.is_master,
        "is_modelparallel_enabled": None,
        "job_name": s.job,
        "master_hostname": s.hosts[0],
        "module_dir": s.submitted,
    }


def _shared(s: Situation) -> dict[str, Any]:
    groups = {g["instance_group_name"]: g for g in s.resources["instance_groups"]}
    group = s.resources["current_group_name"]
    return {
        "current_host": s.host,
        "current_instance_group": group,
        "current_instance_group_hosts": groups[group]["hosts"],
        "current_instance_type": s.resources["current_instance_type"],
        "distribution_instance_groups": list(s.distribution_groups),
        "framework_module": s.framework_module,
        "hosts": s.hosts,
        "input_config_dir": str(s.base / "input" / "config"),
        "input_data_config": s.inputs,
        "input_dir": str(s.base / "input"),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "log_level": s.log_level,
        "model_dir": str(s.base / "model"),
        "module_name": s.program.removesuffix(".py"),
        "network_interface_name": s.resources["network_interface_name"],
        "num_cpus": s.cpus,
        "num_gpus": s.gpus,
        "num_neurons": 0,
        "output_data_dir": str(s.base / "output" / "data"),
        "output_dir": str(s.base / "output"),
        "output_intermediate_dir": str(s.base / "output" / "intermediate"),
        "resource_config": s.resources,
        "user_entry_point": s.program,
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

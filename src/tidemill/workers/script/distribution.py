"""Whether a program is started many times at once, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.errors import Invalid
from tidemill.workers.script.command import Torchrun
from tidemill.workers.script.environment import Situation

TORCHRUN = ("sagemaker_torch_distributed_enabled", "sagemaker_pytorch_ddp_enabled")
OTHERS = (
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_mpi_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
)


def of(values: Mapping[str, Any], about: Situation, address: str, port: int) -> Torchrun | None:
    """How torchrun is to start the program, or None: once a host. Raises Invalid.

    address, port: where the processes meet. One process a GPU, or one.
    """
    for name in OTHERS:
        if values.get(name):
            raise Invalid(
                "a distribution by torchrun, or programs that find each other by SM_HOSTS",
                got=f"{name}: {values[name]}",
                do='Set distribution={"torch_distributed": {"enabled": True}}.',
            )
    if not any(values.get(name) for name in TORCHRUN):
        return None
    hosts = about.hosts
    return Torchrun(max(1, about.gpus), len(hosts), hosts.index(about.host), address, port)

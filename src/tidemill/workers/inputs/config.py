"""The files in input/config, by which a container learns what its job is."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.spec.channel import Channel
from tidemill.spec.home import WorkerHome
from tidemill.spec.training_job import TrainingJob
from tidemill.workers.home import write_json


def write_config(job: TrainingJob, home: WorkerHome, host: str, hosts: Sequence[str]) -> None:
    """hyperparameters.json, inputdataconfig.json and resourceconfig.json, as in /opt/ml."""
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": job.instance_type,
        "hosts": sorted(hosts),
    }
    write_json(home.config / "hyperparameters.json", job.hyperparameters)
    write_json(
        home.config / "inputdataconfig.json", {c.name: _as_container(c) for c in job.channels}
    )
    write_json(
        home.config / "resourceconfig.json",
        {
            "current_host": host,
            "current_instance_type": job.instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": sorted(hosts),
            "instance_groups": [group],
            "network_interface_name": "lo",
        },
    )


def _as_container(channel: Channel) -> dict[str, str]:
    content_type = {"ContentType": channel.content_type} if channel.content_type else {}
    return {
        **content_type,
        "TrainingInputMode": channel.input_mode,
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": channel.record_wrapper,
    }

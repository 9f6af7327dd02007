"""The files in /opt/ml/config, by which a container learns what its job is."""

from __future__ import annotations

from tidemill.workers.home import write_json
from tidemill.workers.process.host import Host

_GROUP = "homogeneousCluster"


def write_config(host: Host) -> None:
    """processingjobconfig.json and resourceconfig.json."""
    job, names = host.job, sorted(host.names)
    group = {
        "instance_group_name": _GROUP,
        "instance_type": job.instance_type,
        "hosts": names,
    }
    resources = {
        "current_host": host.name,
        "current_instance_type": job.instance_type,
        "current_group_name": _GROUP,
        "hosts": names,
        "instance_groups": [group],
        "network_interface_name": "lo",
    }
    place = host.home.root / "config"
    write_json(place / "processingjobconfig.json", job.config)
    write_json(place / "resourceconfig.json", resources)

"""All of a platform's own processes are killed at one moment: the next one takes over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tidemill.app import server, workers
from tidemill.sdk.connection import connect
from tidemill.sdk.endpoint import deploy
from tidemill.sdk.train import train
from tidemill.spec.home import Home


@pytest.mark.serial
@pytest.mark.slow
def test_replicas_are_adopted_by_the_next_platform(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = server.start_detached(home, "127.0.0.1", 0, "123456789012")
    try:
        features = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
        job = train("kmeans", features, k=3, connection=connect(home.root))
        endpoint = deploy(job.wait(quiet=True)).wait(quiet=True)
        replicas = workers.find(home)["serve"]
        for process in first.parts.values():
            os.kill(process.pid, signal.SIGKILL)
        second = server.start_detached(home, "127.0.0.1", first.port, first.account)
        assert second.url == first.url
        assert len(endpoint.predict(features[:2])["closest_cluster"]) == 2
        assert workers.find(home)["serve"] == replicas
    finally:
        server.stop(home)
    assert workers.find(home) == {}

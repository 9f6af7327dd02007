"""Replicas are forks of a warm process, which they need no more; it leaves nothing behind."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.end_to_end import processes
from tests.end_to_end.conftest import start, tidemill
from tidemill.sdk.endpoint import deploy
from tidemill.sdk.train import train
from tidemill.testing.engine import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.serial]


def warm_process(home: Path) -> psutil.Process | None:
    """The control plane's, once it has all that it needs: it then goes by a short name."""
    for part in processes.of("control plane", home):
        for child in part.children():
            with contextlib.suppress(psutil.Error):
                words = [word for word in child.cmdline() if word]
                if words[-1:] == ["tidemill.engine.warm"]:
                    return child
    return None


def test_replicas_are_forks_that_need_the_warm_process_no_more(tmp_path: Path) -> None:
    home = tmp_path / "home"
    platform = start(home)
    try:
        warm = wait_for(partial(warm_process, home))
        assert warm.num_threads() == 1
        rows = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
        job = train("kmeans", rows, k=2, connection=platform.connection).wait(quiet=True)
        endpoint = deploy(job, connection=platform.connection)
        before = endpoint.predict(rows)["closest_cluster"].tolist()
        [replica] = processes.of("replica", home)
        assert replica.ppid() == warm.pid

        assert processes.kill("control plane", home)
        warm.wait(20)  # it ends by itself
        assert replica.is_running()
        assert endpoint.predict(rows)["closest_cluster"].tolist() == before

        replica.kill()
        assert endpoint.predict(rows)["closest_cluster"].tolist() == before
        [replica] = processes.of("replica", home)
        warm = wait_for(partial(warm_process, home))
    finally:
        tidemill("down", "--home", str(home))
    assert processes.of("replica", home) == []
    assert not warm.is_running()

"""A router and a gateway, as processes, with one endpoint of each kind behind them."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.attack.wire import Asking, once
from tests.router import stand_in

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Town:
    """port: the router's, in front of everything"""

    port: int
    platform: stand_in.Platform
    gateway: subprocess.Popen[bytes]

    def memory(self) -> int:
        """The most bytes that either process has had so far."""
        assert self.platform.router is not None
        found = 0
        for process in (self.gateway, self.platform.router):
            status = Path(f"/proc/{process.pid}/status").read_text()
            found += int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) * 1024
        return found

    def lives(self) -> None:
        """Router, gateway and a replica answer, each as it should."""
        for asked, wanted in (
            (Asking("GET", "/ping"), b""),
            (Asking(headers={"x-amz-target": "SageMaker.ListModels"}, body=b"{}"), b'"Models"'),
            (Asking("GET", service="s3"), b"ListAllMyBucketsResult"),
            (Asking(path="/endpoints/e/invocations", body=b"1"), b"1"),
        ):
            answer = once(self.port, asked.signed())
            assert answer.status == 200, asked
            assert wanted in answer.body, asked
        assert self.gateway.poll() is None


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    root = tmp_path_factory.mktemp("t")
    with stand_in.platform(root) as platform, (root / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.gateway", str(root)], cwd=ROOT, stderr=log
        )
        try:
            replica = platform.replica("e")
            platform.routes(stand_in.route("e", replica))
            try:
                stand_in.wait_until(lambda: _is_up(gateway, platform.home.socket("gateway")), 30)
                yield Town(platform.port, platform, gateway)
            finally:
                replica.kill()
        finally:
            gateway.terminate()
            gateway.wait(10)
    text = (root / "gateway.log").read_text()
    assert text == "", text[:5000]


def _is_up(process: subprocess.Popen[bytes], path: Path) -> bool:
    assert process.poll() is None, "the gateway has ended"
    with suppress(OSError), socket.socket(socket.AF_UNIX) as one:
        one.connect(str(path))
        return True
    return False

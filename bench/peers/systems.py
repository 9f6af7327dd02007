"""A server to measure: started, asked, looked at and ended alike, ours, a peer's or the floor."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
import psutil

from bench.peers.install import install, programs
from bench.peers.table import Peer, Rows
from bench.serving import ECHO, signed
from tidemill import __version__
from tidemill.app import server
from tidemill.spec.home import Home

HERE = Path(__file__).parent
GRACE_SECONDS = 3.0
MARK = "TIDEMILL_BENCH_FOLDER"
JSON = {"Content-Type": "application/json"}
# One thread a process in BLAS, and nobody told: what each server's guide says for small models.
CALM = {
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "RAY_USAGE_STATS_ENABLED": "0",
    "BENTOML_DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class System(Protocol):
    """name: in tables · version: of it · setups: ways to run it, one of which is to be chosen ·
    is_floor: answers without a model"""

    name: str
    version: str
    setups: tuple[str, ...]
    is_floor: bool

    def prepare(self) -> None:
        """All that comes before any start; raises RuntimeError when it cannot be had."""

    def start(self, setup: str) -> str:
        """Begin to start it; the URL that will answer."""

    def stop(self) -> None:
        """End it with all its processes."""

    def body(self, rows: Rows) -> bytes:
        """A request's body that asks for these rows."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """What the request needs beside its body."""

    def scores(self, answer: bytes) -> list[float]:
        """The probabilities that were answered."""

    def processes(self) -> list[psutil.Process]:
        """All that it is made of now."""


class Tidemill:
    """The whole platform; its endpoint was deployed before, and answers again at each start."""

    name, version, is_floor = "tidemill", __version__, False
    setups: tuple[str, ...] = ("router and replica",)

    def __init__(self, home: Home, endpoint: str) -> None:
        self._home = home
        self._path = f"/endpoints/{endpoint}/invocations"

    def prepare(self) -> None:
        pass

    def start(self, setup: str) -> str:
        return server.start_detached(self._home, "127.0.0.1", 0, "123456789012").url + self._path

    def stop(self) -> None:
        server.stop(self._home)

    def body(self, rows: Rows) -> bytes:
        return orjson.dumps({"instances": [{"features": row} for row in rows]})

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return signed(self._home, url, body, JSON["Content-Type"])

    def scores(self, answer: bytes) -> list[float]:
        return [one["score"] for one in orjson.loads(answer)["predictions"]]

    def processes(self) -> list[psutil.Process]:
        return _family(lambda p: any(str(self._home.root) in part for part in p.cmdline()))


@dataclass
class Program:
    """A server of one command, in a folder of its own by which its processes are found."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def begin(self, command: list[str], variables: Mapping[str, str]) -> None:
        environment = {**os.environ, **CALM, **variables, MARK: str(self.folder)}
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        return _family(lambda p: p.environ().get(MARK) == str(self.folder))

    def stop(self) -> None:
        left = self.processes()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            _, left = psutil.wait_procs(left, GRACE_SECONDS)
        if self.process is not None:
            self.process.wait()


class Echo(Program):
    """The floor: parses HTTP on uvloop, and answers the same to everything."""

    name, version, is_floor = "uvloop echo", "", True
    setups: tuple[str, ...] = ("no model",)

    def prepare(self) -> None:
        self.folder.mkdir()

    def start(self, setup: str) -> str:
        (self.folder / "log").unlink(missing_ok=True)
        self.begin([sys.executable, "-c", ECHO], {})
        while not (said := (self.folder / "log").read_text()).endswith("\n"):
            time.sleep(0.001)
        return f"http://127.0.0.1:{said.strip()}/"

    def body(self, rows: Rows) -> bytes:
        return orjson.dumps({"rows": rows})

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return JSON

    def scores(self, answer: bytes) -> list[float]:
        return []


class PeerServer(Program):
    """A peer in its virtual environment, with the model and its files in the folder."""

    is_floor = False

    def __init__(self, peer: Peer, folder: Path, model: Mapping[str, Any]) -> None:
        super().__init__(folder)
        self.name = peer.name
        self.version = ""
        self.setups = tuple(setup.name for setup in peer.setups)
        self._peer = peer
        self._model = model
        self._programs = programs(peer)

    def prepare(self) -> None:
        install(self._peer)
        self.folder.mkdir()
        (self.folder / "model.json").write_text(json.dumps(self._model))
        package = self._peer.package
        for file in (HERE / "model" / "logistic.py", *(HERE / package).glob("*.py")):
            shutil.copy(file, self.folder)
        tell = f"import importlib.metadata as m; print(m.version('{package}'))"
        self.version = self._python("-c", tell)
        if (self.folder / "prepare.py").exists():
            self._python("prepare.py")

    def start(self, setup: str) -> str:
        chosen = next(each for each in self._peer.setups if each.name == setup)
        port = _free_port()
        command = chosen.command.format(port=port).split()
        path = {"PATH": f"{self._programs}:{os.environ['PATH']}"}
        variables = {n: v.format(port=port) for n, v in chosen.variables.items()}
        self.begin([str(self._programs / command[0]), *command[1:]], {**path, **variables})
        return f"http://127.0.0.1:{port}{self._peer.path}"

    def body(self, rows: Rows) -> bytes:
        return orjson.dumps(self._peer.write(rows))

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return JSON

    def scores(self, answer: bytes) -> list[float]:
        return self._peer.read(orjson.loads(answer))

    def _python(self, *arguments: str) -> str:
        command = [str(self._programs / "python"), *arguments]
        calm = {**os.environ, **CALM}
        done = subprocess.run(command, cwd=self.folder, env=calm, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return done.stdout.strip()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _family(is_root: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """The processes of which it holds, with all that they started."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if is_root(process):
                found |= {p.pid: p for p in (process, *process.children(recursive=True))}
    return [p for p in found.values() if p.pid != os.getpid()]

"""One-row predictions over HTTP: the whole platform against a bare uvloop echo server, in turn.

Every request is signed and verified; a replica decodes it, predicts and encodes the answer.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench import load
from bench.measure import Row, write
from tidemill.app import server, workers
from tidemill.app.server_file import Server
from tidemill.auth.credentials import load as load_keys
from tidemill.sdk.connection import connect
from tidemill.sdk.endpoint import deploy
from tidemill.sdk.train import train
from tidemill.sdk.training_job import TrainingJob
from tidemill.spec.home import Home

CONNECTIONS = (1, 32, 256)
SECONDS = 3.0
COLUMNS = 30
ECHO = """
import asyncio, httptools, sys, uvloop
BODY = b'{"predictions":[{"score":0.5,"predicted_label":1}]}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
ANSWER = ANSWER % len(BODY) + BODY
class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)
    def data_received(self, data):
        self.parser.feed_data(data)
    def on_message_complete(self):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
uvloop.run(main())
"""


def main() -> None:
    """Measure and write the table."""
    with tempfile.TemporaryDirectory() as folder, echoing() as echo:
        home = Home(Path(folder) / "home")
        platform = server.start_detached(home, "127.0.0.1", 0, "123456789012")
        try:
            rows = _compare(home, platform, echo)
        finally:
            server.stop(home)
    write("serving", rows)


def _compare(home: Home, platform: Server, echo: str) -> list[Row]:
    path = f"/endpoints/{endpoint(home)}/invocations"
    url = platform.url + path
    row = np.random.default_rng(1).normal(size=COLUMNS).round(4).tolist()
    json_body = json.dumps({"instances": [{"features": row}]}).encode()
    csv_body = ",".join(map(str, row)).encode()
    rows = []
    for name, body in (("application/json", json_body), ("text/csv", csv_body)):
        headers = signed(home, url, body, name)
        load.run(url, headers, body, connections=8, seconds=1)  # warm up
        for connections in CONNECTIONS:
            rows += [
                measured("uvloop echo", echo, headers, body, connections, []),
                measured("tidemill", url, headers, body, connections, parts(home)),
            ]
    return rows


def measured(
    system: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    connections: int,
    processes: list[psutil.Process],
    seconds: float = SECONDS,
    label: tuple[str, str] | None = None,
) -> Row:
    """A row of the table: what was answered, and what each request cost router and replica.

    label: task and case of the row
    """
    before = [sum(part.cpu_times()[:2]) for part in processes]
    start = time.perf_counter()
    result = load.run(url, headers, body, connections=connections, seconds=seconds)
    took = time.perf_counter() - start
    figures: dict[str, object] = {
        "connections": connections,
        "requests/s": round(result.requests_s),
        "p50 ms": result.p50_ms,
        "p99 ms": result.p99_ms,
        "errors": result.errors,
    }
    for name, part, used in zip(("router", "replica"), processes, before, strict=False):
        cpu = sum(part.cpu_times()[:2]) - used
        figures[f"{name} µs"] = 1e6 * cpu / max(1.0, result.requests_s * took)
    task, case = label or ("serving", f"one row, {headers['Content-Type']}")
    return Row(task, case, system, figures=figures)


def parts(home: Home) -> list[psutil.Process]:
    """The router and the replica."""
    found = server.status(home).server
    assert found is not None
    pids = [found.parts["router"].pid, workers.find(home)["serve"][0].pid]
    return [psutil.Process(pid) for pid in pids]


def endpoint(home: Home) -> str:
    """A trained linear learner, served."""
    endpoint = deploy(trained(home))
    endpoint.wait(quiet=True)
    return endpoint.name


def trained(home: Home) -> TrainingJob:
    """A linear learner of the platform's, trained."""
    connection = connect(home.root)
    random = np.random.default_rng(0)
    features = random.normal(size=(2000, COLUMNS)).astype(np.float32)
    labels = (features[:, 0] + features[:, 1] > 0).astype(np.float32)
    job = train(
        "linear-learner",
        (features, labels),
        predictor_type="binary_classifier",
        epochs=2,
        connection=connection,
    )
    return job.wait(quiet=True)


def signed(
    home: Home, url: str, body: bytes, content_type: str, accept: str = "*/*"
) -> dict[str, str]:
    """The headers of this request, good for a quarter of an hour."""
    keys = load_keys(home.credentials)
    request = AWSRequest("POST", url, {"Content-Type": content_type, "Accept": accept}, body)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key)
    SigV4Auth(credentials, "sagemaker", "us-east-1").add_auth(request)
    return {**dict(request.headers.items()), "Host": url.split("/")[2]}


@contextmanager
def echoing() -> Iterator[str]:
    """A bare echo server's URL."""
    command = [sys.executable, "-c", ECHO]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        finally:
            process.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()

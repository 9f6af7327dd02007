"""Which platform the SDK talks to, and the boto3 clients that do the talking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import boto3
import botocore.session
from botocore.config import Config

from tidemill.auth.credentials import load
from tidemill.errors import NotReady
from tidemill.spec.home import Home, home_directory

REGION = "us-east-1"
ROLE = "arn:aws:iam::{account}:role/tidemill"
START_SECONDS = 15.0
POLL_SECONDS = 0.05
HERE = frozenset({"127.0.0.1", "::1", "localhost"})
# Keys and region are given: a profile that is named for another account must not be looked for.
_NO_PROFILE = {"profile": (None, None, None, None)}


@dataclass(frozen=True)
class Connection:
    """A platform's address and keys. Compares by value; clients are made once each."""

    url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = REGION
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def client(self, service: str) -> Any:
        """The boto3 client of a service (``sagemaker``, ``sagemaker-runtime``, ``s3``, …)."""
        if service not in self._clients:
            is_here = urlsplit(self.url).hostname in HERE  # and no proxy in between
            config = Config(max_pool_connections=50, proxies={} if is_here else None)
            self._clients[service] = _session().client(
                service,  # type: ignore[call-overload]  # the stubs know services by literal only
                endpoint_url=self.url,
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                region_name=self.region,
                config=config,
            )
        return self._clients[service]

    def account(self) -> str:
        """The account that this platform runs as."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def role(self) -> str:
        """The role that jobs are created with; Tidemill grants nothing by it."""
        return ROLE.format(account=self.account())

    def bucket(self) -> str:
        """The default bucket, made when it is not there yet."""
        name = f"sagemaker-{self.region}-{self.account()}"
        s3 = self.client("s3")
        if name not in {b["Name"] for b in s3.list_buckets()["Buckets"]}:
            location = {"LocationConstraint": self.region}
            s3.create_bucket(
                Bucket=name,
                **({} if self.region == REGION else {"CreateBucketConfiguration": location}),
            )
        return name


@lru_cache(maxsize=1)
def _session() -> boto3.Session:
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=_NO_PROFILE))


_current: list[Connection] = []


def connect(home: str | Path | None = None, *, region: str | None = None) -> Connection:
    """Connect to a platform, and start one on this machine when none runs.

    Without ``home`` the environment decides: ``AWS_ENDPOINT_URL`` with keys (as ``tidemill env``
    prints them) names a running platform; otherwise the one at ``$TIDEMILL_HOME``
    (``~/.tidemill``) is used, started first if need be. Later calls of ``train``, ``deploy`` and
    the others use the connection made last.
    """
    connection = _from_environment(region) if home is None else None
    if connection is None:
        connection = _at_home(Home(home_directory(home, os.environ)), region)
    _current[:] = [connection]
    return connection


def current() -> Connection:
    """The connection made last, or a new one by the environment."""
    return _current[0] if _current else connect()


def running(home: Home) -> dict[str, Any] | None:
    """What ``server.json`` says, if a platform answers there."""
    try:
        server: dict[str, Any] = json.loads(home.server.read_text())
        with build_opener(ProxyHandler({})).open(f"{server['url']}/ping", timeout=5):
            return server
    except (OSError, URLError, ValueError, KeyError):
        return None


def _from_environment(region: str | None) -> Connection | None:
    url = os.environ.get("AWS_ENDPOINT_URL")
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not (url and key and secret):
        return None
    return Connection(url, key, secret, region or os.environ.get("AWS_DEFAULT_REGION", REGION))


def _at_home(home: Home, region: str | None) -> Connection:
    server = running(home) or _start(home)
    pair = load(home.credentials)
    chosen = region or os.environ.get("AWS_DEFAULT_REGION", REGION)
    return Connection(server["url"], pair.access_key_id, pair.secret_access_key, chosen)


def _start(home: Home) -> dict[str, Any]:
    """Start the platform as its own process group: it outlives this program."""
    print(f"starting Tidemill at {home.root} (stop it with: tidemill down)", file=sys.stderr)
    command = [sys.executable, "-P", "-m", "tidemill.cli.main", "up", "--detach", "--any-port"]
    done = subprocess.run(
        [*command, "--home", str(home.root)], capture_output=True, text=True, check=False
    )
    server = running(home) if done.returncode == 0 else _started_by_another(home)
    if server is None:
        raise NotReady(
            f"a running platform at {home.root}",
            got=(done.stderr or done.stdout).strip()[-500:],
            do=f"Read the logs in {home.logs}, or start it by hand: tidemill up.",
        )
    return server


def _started_by_another(home: Home) -> dict[str, Any] | None:
    """Of two programs that start it at once only one does; the other waits for it."""
    give_up = time.monotonic() + START_SECONDS
    while home.server.exists() and time.monotonic() < give_up:
        if server := running(home):
            return server
        time.sleep(POLL_SECONDS)
    return None

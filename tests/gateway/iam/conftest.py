"""A gateway of its own for each test: users and roles are of the whole account."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from tests.gateway.conftest import ACCOUNT, KEYS
from tidemill.control.verbs import Verbs
from tidemill.gateway.app import build
from tidemill.spec.home import Home
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics
from tidemill.store.sql import SqlStore

Client = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def aws(home: Home) -> Iterator[Client]:
    """Makes clients: of the administrator, or of ``keys`` (an AccessKey or Credentials)."""
    store = SqlStore(f"sqlite:///{home.database}")
    metrics, runs = MetricStore(home.metrics), RunMetrics(home.run_metrics)
    features = FeatureRecords(home.features)
    app = build(
        home=home,
        verbs=Verbs(store, account=ACCOUNT, clock=time.time, wake=lambda: None),
        metrics=metrics,
        runs=runs,
        features=features,
        credentials=KEYS,
        account=ACCOUNT,
    )
    made: list[Any] = []

    def client(service: str, keys: dict[str, Any] | None = None) -> Any:
        keys = keys or {
            "AccessKeyId": KEYS.access_key_id,
            "SecretAccessKey": KEYS.secret_access_key,
        }
        one = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )
        made.append(one)
        return one

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield client
        for one in made:
            one.close()
        server.should_exit = True
        thread.join()
    for one in (store, metrics, runs, features):
        one.close()


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: str | list[str] = "*") -> dict[str, Any]:
    return {**allow(*actions, on=on), "Effect": "Deny"}


def user(aws: Client, name: str, *statements: dict[str, Any]) -> dict[str, Any]:
    """A new user's access key."""
    iam = aws("iam")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
    key: dict[str, Any] = iam.create_access_key(UserName=name)["AccessKey"]
    return key

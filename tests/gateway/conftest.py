"""A gateway that listens on a port, with nothing behind it that would start jobs."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from tidemill.auth.credentials import Credentials
from tidemill.control.verbs import Verbs
from tidemill.gateway.app import build
from tidemill.spec.home import Home
from tidemill.store.features import FeatureRecords
from tidemill.store.metrics import MetricStore
from tidemill.store.run_metrics import RunMetrics
from tidemill.store.sql import SqlStore

ACCOUNT = "123456789012"
KEYS = Credentials("AKIDGATEWAY", "gateway-secret")
_REGIONS = itertools.count(1)


@dataclass(frozen=True)
class Gateway:
    url: str
    home: Home
    verbs: Verbs
    metrics: MetricStore
    runs: RunMetrics
    features: FeatureRecords

    def client(self, service: str, region: str, **settings: Any) -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=settings.pop("key", KEYS.access_key_id),
            aws_secret_access_key=settings.pop("secret", KEYS.secret_access_key),
            config=Config(retries={"total_max_attempts": 1}, **settings),
        )


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = Home(tmp_path_factory.mktemp("home"))
    store = SqlStore(f"sqlite:///{home.database}")
    verbs = Verbs(store, account=ACCOUNT, clock=time.time, wake=lambda: None)
    metrics, runs = MetricStore(home.metrics), RunMetrics(home.run_metrics)
    features = FeatureRecords(home.features)
    app = build(
        home=home,
        verbs=verbs,
        metrics=metrics,
        runs=runs,
        features=features,
        credentials=KEYS,
        account=ACCOUNT,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_keep_alive=600))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Gateway(url, home, verbs, metrics, runs, features)
        server.should_exit = True
        thread.join()
    store.close()
    metrics.close()
    runs.close()
    features.close()


@pytest.fixture
def region() -> str:
    """A region that no other test uses: as good as a server of its own."""
    return f"test-region-{next(_REGIONS)}"


@pytest.fixture
def client(gateway: Gateway, region: str) -> Iterator[Callable[..., Any]]:
    """Makes boto3 clients of this test's region."""
    made: list[Any] = []

    def make(service: str, **settings: Any) -> Any:
        made.append(gateway.client(service, settings.pop("region", region), **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sagemaker(client: Callable[..., Any]) -> Any:
    return client("sagemaker")

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.gateway.s3.server import KEY, SECRET, serving


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="session")
def url(root: Path) -> Iterator[str]:
    with serving(root) as url:
        yield url


def client_of(url: str, **settings: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(**{"retries": {"total_max_attempts": 1}, **settings}),
    )


@pytest.fixture(scope="session")
def s3(url: str) -> Iterator[Any]:
    client = client_of(url)
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"mill-{abs(hash(request.node.name)) % 10**12}"
    s3.create_bucket(Bucket=name)
    return name

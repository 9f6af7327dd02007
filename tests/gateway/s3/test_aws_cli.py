"""The aws command line, unmodified."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.s3.server import KEY, SECRET

AWS = Path(sys.executable).parent / "aws"
Run = Callable[..., str]

pytestmark = pytest.mark.slow


@pytest.fixture
def aws(url: str, tmp_path: Path) -> Run:
    if not AWS.exists():
        pytest.skip("the aws command is not installed")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words: str) -> str:
        command = [str(AWS), "s3", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_copy_list_sync_and_remove(aws: Run, tmp_path: Path, root: Path) -> None:
    there = tmp_path / "there"
    (there / "sub dir").mkdir(parents=True)
    big = random.Random(1).randbytes(9 << 20)
    (there / "big").write_bytes(big)
    (there / "sub dir" / "ü+1.csv").write_text("1,2\n")
    aws("mb", "s3://mill-cli")
    aws("sync", str(there), "s3://mill-cli/data")
    assert (root / "mill-cli" / "data" / "sub dir" / "ü+1.csv").read_text() == "1,2\n"
    assert "PRE sub dir/" in aws("ls", "s3://mill-cli/data/")
    assert aws("ls", "--recursive", "s3://mill-cli").count("data/") == 2
    assert aws("sync", str(there), "s3://mill-cli/data") == ""
    aws("cp", "s3://mill-cli/data/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == big
    aws("cp", "s3://mill-cli/data/big", "s3://mill-cli/copy/of big")
    aws("rm", "--recursive", "s3://mill-cli/data")
    assert aws("ls", "--recursive", "s3://mill-cli").split()[-3:] == [
        str(len(big)),
        "copy/of",
        "big",
    ]
    aws("rb", "--force", "s3://mill-cli")
    assert not (root / "mill-cli").exists()

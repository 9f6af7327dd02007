"""A writer killed at any moment: the object is the old one or the new one, whole."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidemill.storage.bucket import Buckets
from tidemill.storage.metadata import Metadata

WRITER = """
import sys
from pathlib import Path
from tidemill.storage.bucket import Buckets
from tidemill.storage.metadata import Metadata
buckets = Buckets(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    key = ("k", "k/under", "odd//k")[number % 3]
    body = b"%09d" % number * 20_000
    buckets.put_bytes("mill", key, body, Metadata(user={"n": str(number)}))
    print(number, flush=True)
"""


@pytest.mark.serial
@pytest.mark.slow
def test_a_killed_writer_leaves_whole_objects(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path)
    buckets.create("mill")
    moments = random.Random(3)
    for _ in range(10):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(moments.random() / 20)
        writer.kill()
        acknowledged = [int(line) for line in (first + writer.stdout.read()).split("\n")[:-1]]
        writer.wait()
        writer.stdout.close()
        numbers = []
        for info in list(buckets.list("mill")):
            body = buckets.get_bytes("mill", info.key)
            assert hashlib.md5(body).hexdigest() == info.etag
            assert body == body[:9] * 20_000
            assert info.metadata.user == {"n": str(int(body[:9]))}
            numbers.append(int(body[:9]))
        assert max(numbers) >= acknowledged[-1]
    buckets.put_bytes("mill", "k", b"the lock is free", Metadata())

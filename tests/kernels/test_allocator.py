"""The allocator's setting: it takes, and a process that has it still works."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tidemill.kernels import allocator

PROGRAM = """
import resource
from tidemill.kernels.allocator import keep_memory
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
assert keep_memory()
body = bytes(1_000_000)
for _ in range(3):
    b"".join([body, body])
before = faults()
for _ in range(50):
    b"".join([body, body])
print(faults() - before)
"""


def test_large_copies_reuse_their_memory() -> None:
    if not allocator.keep_memory():
        pytest.skip("this C library has no such setting")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500  # of 24,000 pages


def test_a_library_without_the_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not allocator.keep_memory()

"""The compiled kernels: there is one library for each source, and none reads where it must not."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.errors import Missing
from tidemill.kernels import load

ROOT = Path(__file__).parents[2]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
# Runs the kernels' own tests and the laws of the algorithms that use them, over other libraries.
PROGRAM = """
import sys
from pathlib import Path
import pytest
from tidemill.kernels import load
load.HERE = Path(sys.argv[1])
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-x", *sys.argv[2:]]))
"""


def test_every_kernel_is_compiled() -> None:
    sources = {path.stem for path in load.HERE.glob("*.c")}
    assert {path.stem.removeprefix("lib") for path in load.HERE.glob("lib*.so")} >= sources
    for name in sources:
        load.library(name)


def test_a_kernel_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(Missing, match="C compiler"):
        load.library("no_such_kernel")


@pytest.mark.slow
@pytest.mark.long
def test_no_kernel_reads_or_writes_out_of_bounds(tmp_path: Path) -> None:
    recipe = runpy.run_path(str(ROOT / "build_kernels.py"))
    runtime = subprocess.run(
        [*recipe["compiler"](), "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("this compiler has no address sanitizer to load")
    recipe["build"](into=tmp_path, flags=[*SANITIZED, "-DKERNEL_PLAIN"])
    tests = [str(p) for p in (ROOT / "tests" / "kernels").glob("test_*.py")]
    tests.remove(__file__)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), *tests],
        env={
            **os.environ,
            "LD_PRELOAD": runtime,
            "ASAN_OPTIONS": "detect_leaks=0",
            "OPENBLAS_NUM_THREADS": "1",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

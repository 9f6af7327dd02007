"""The Python of the tutorial and the how-to pages runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Platform

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    "tutorial/first-model.md",
    "how-to/access.md",
    "how-to/asynchronous-endpoints.md",
    "how-to/batch-transform.md",
    "how-to/capture-data.md",
    "how-to/estimators.md",
    "how-to/feature-store.md",
    "how-to/experiments.md",
    "how-to/input-modes.md",
    "how-to/learning-endpoints.md",
    "how-to/multi-model-endpoints.md",
    "how-to/process-data.md",
    "how-to/register-models.md",
    "how-to/request-formats.md",
    "how-to/scale-endpoints.md",
    "how-to/several-models.md",
    "how-to/serve-your-code.md",
    "how-to/serverless-endpoints.md",
    "how-to/shadow-test.md",
    "how-to/stream-answers.md",
    "how-to/train-your-script.md",
    "how-to/update-a-model.md",
    "how-to/update-an-endpoint.md",
    "how-to/watch-endpoints.md",
]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, platform: Platform) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        capture_output=True,
        text=True,
        check=False,
        env=platform.environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr

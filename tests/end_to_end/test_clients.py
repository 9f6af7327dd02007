"""Unmodified published clients drive the platform: the scripts that the documentation shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Platform

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def without_telemetry(folder: Path) -> Path:
    path = folder / "sagemaker.yaml"
    modules = "{PythonSDK: {Modules: {TelemetryOptOut: true}}}"
    path.write_text(f'SchemaVersion: "1.0"\nSageMaker: {modules}\n')
    return path


def run(script: str, platform: Platform) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            **platform.environment,
            # The SDK would report its use to AWS after every call, and wait where none answers.
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(without_telemetry(platform.home)),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_script_with_nothing_but_boto3_trains_hosts_asks_and_cleans_up(
    platform: Platform,
) -> None:
    assert "clusters" in run("boto3_end_to_end.py", platform)


def test_the_published_sagemaker_sdk_trains_deploys_and_predicts(platform: Platform) -> None:
    assert "3 clusters" in run("sagemaker_sdk.py", platform)


def test_it_registers_versions_and_deploys_what_is_approved(platform: Platform) -> None:
    assert "2 versions, 4 clusters, card version 3" in run("sagemaker_registry.py", platform)


def test_it_tracks_runs_and_finds_them_again(platform: Platform) -> None:
    assert "2 runs, 3 components, the best grain-second" in run(
        "sagemaker_experiments.py", platform
    )


def test_its_classes_of_the_built_in_algorithms_train_and_answer(platform: Platform) -> None:
    assert run("sagemaker_algorithms.py", platform)

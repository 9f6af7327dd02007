"""Hyperparameters as a program gets them: decoded, without those meant for the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PREFIX = "sagemaker_"
_RESERVED = ("default_user_module_name", "_tuning_objective_metric")
# Those of the toolkit itself; whatever else begins so is a parameter of the framework.
_TOOLKIT = (
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_s3_output",
    "sagemaker_enable_cloudwatch_metrics",
    *_RESERVED,
)


def decoded(sent: Mapping[str, str]) -> dict[str, Any]:
    """Each value as JSON, or as the text that it is.

    >>> decoded({"epochs": "3", "name": '"a b"', "kernel": "rbf"})
    {'epochs': 3, 'name': 'a b', 'kernel': 'rbf'}
    """
    return {name: _decode(value) for name, value in sent.items()}


def of_program(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are the user's."""
    return {n: v for n, v in values.items() if n not in _RESERVED and not n.startswith(PREFIX)}


def of_framework(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that configure a framework (``sagemaker_…``)."""
    return {n: v for n, v in values.items() if n.startswith(PREFIX) and n not in _TOOLKIT}


def arguments(values: Mapping[str, Any]) -> list[str]:
    """The program's command line, in the order of names.

    >>> arguments({"n": 5, "alpha": 0.1, "sizes": {"b": 2, "a": 1}, "none": None, "on": True})
    ['--alpha', '0.1', '-n', '5', '--none', '', '--on', 'True', '--sizes', 'a=1,b=2']
    """
    words = []
    for name, value in sorted(values.items()):
        words += [f"--{name}" if len(name) > 1 else f"-{name}", _word(value)]
    return words


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={each}" for name, each in sorted(value.items()))
    return "" if value is None else str(value)


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

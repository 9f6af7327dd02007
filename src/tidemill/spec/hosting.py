"""Which images serve a user's own handlers, and what such handlers find there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.spec.framework import PROGRAM_VARIABLE, TRAINING, Framework, repository

SUBMITTED_VARIABLE = "SAGEMAKER_SUBMIT_DIRECTORY"
DEFAULT_PROGRAM = "inference.py"


@dataclass(frozen=True, slots=True)
class Hosting:
    """An image that serves handlers.

    defaults: whose handlers stand in for those that the program does not have · needs_program:
    whether nothing can be served without one
    """

    framework: Framework
    defaults: str
    needs_program: bool = False


HOSTING: Mapping[str, Hosting] = {
    "huggingface-pytorch-inference": Hosting(
        TRAINING["huggingface-pytorch-training"], "huggingface"
    ),
    "pytorch-inference": Hosting(TRAINING["pytorch-training"], "pytorch"),
    "sagemaker-scikit-learn": Hosting(
        TRAINING["sagemaker-scikit-learn"], "sklearn", needs_program=True
    ),
    "sagemaker-xgboost": Hosting(TRAINING["sagemaker-xgboost"], "xgboost", needs_program=True),
}
"""Repositories of images for serving → what they hold."""


def of_serving(image: str, environment: Mapping[str, str]) -> Hosting | None:
    """What a container's image serves handlers with; None when it is none of these.

    An image that is an algorithm too serves handlers where its environment names a program.

    >>> uri = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    >>> of_serving(uri, {"SAGEMAKER_PROGRAM": "inference.py"}).defaults
    'xgboost'
    >>> of_serving(uri, {}) is None
    True
    """
    found = HOSTING.get(repository(image))
    if found is None or (found.framework.has_built_in and not environment.get(PROGRAM_VARIABLE)):
        return None
    return found

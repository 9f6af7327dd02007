"""Which images run a user's own program, and what such a program finds there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PROGRAM, PROGRAM_VARIABLE = "sagemaker_program", "SAGEMAKER_PROGRAM"
"""The hyperparameter, or variable, that names the program."""
# Accounts and regions differ and tags are versions of AWS's containers: the repository decides.
_REPOSITORY = re.compile(r"(?:[^/]+/)*(?P<name>[^/:@]+)(?::[^/@]+)?(?:@.+)?")


@dataclass(frozen=True, slots=True)
class Framework:
    """name: for people · packages: imported name → what pip calls it · module: SM_FRAMEWORK_MODULE
    has_built_in: whether the image is an algorithm too, when no program is named
    """

    name: str
    packages: Mapping[str, str]
    module: str
    has_built_in: bool = False


_TORCH = {"torch": "torch"}
_TENSORFLOW = {"tensorflow": "tensorflow"}
_TRANSFORMERS = {"transformers": "transformers"}
TRAINING: Mapping[str, Framework] = {
    "autogluon-training": Framework(
        "AutoGluon", {"autogluon": "autogluon"}, "sagemaker_mxnet_container.training:main"
    ),
    "huggingface-pytorch-training": Framework(
        "Hugging Face", {**_TORCH, **_TRANSFORMERS}, "sagemaker_pytorch_container.training:main"
    ),
    "huggingface-tensorflow-training": Framework(
        "Hugging Face",
        {**_TENSORFLOW, **_TRANSFORMERS},
        "sagemaker_tensorflow_container.training:main",
    ),
    "mxnet-training": Framework(
        "MXNet", {"mxnet": "mxnet"}, "sagemaker_mxnet_container.training:main"
    ),
    "pytorch-training": Framework("PyTorch", _TORCH, "sagemaker_pytorch_container.training:main"),
    "sagemaker-scikit-learn": Framework(
        "scikit-learn", {"sklearn": "scikit-learn"}, "sagemaker_sklearn_container.training:main"
    ),
    "sagemaker-xgboost": Framework(
        "XGBoost",
        {"xgboost": "xgboost"},
        "sagemaker_xgboost_container.training:main",
        has_built_in=True,
    ),
    "tensorflow-training": Framework(
        "TensorFlow", _TENSORFLOW, "sagemaker_tensorflow_container.training:main"
    ),
}
"""Repositories of images for training → what they hold."""


def of_training(image: str) -> Framework | None:
    """The framework of a training image, or None.

    >>> uri = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3.0-cpu-py311"
    >>> of_training(uri).name
    'PyTorch'
    """
    return TRAINING.get(repository(image))


def repository(image: str) -> str:
    """The repository of an image, in small letters; empty for what is no image's name.

    >>> repository("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1")
    'sagemaker-xgboost'
    """
    match = _REPOSITORY.fullmatch(image)
    return match["name"].lower() if match else ""


def has_program(hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Whether a program is named, in one way or the other."""
    return bool(hyperparameters.get(PROGRAM) or environment.get(PROGRAM_VARIABLE))

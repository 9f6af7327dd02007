"""Tidemill: train, deploy and watch machine-learning models anywhere, through SageMaker's API."""

__version__ = "0.1.0"

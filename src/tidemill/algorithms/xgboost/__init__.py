"""Gradient boosting, SageMaker's xgboost: what the platform needs to know of it."""

from tidemill.algorithms.xgboost.declaration import DECLARATION as DECLARATION

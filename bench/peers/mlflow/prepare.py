"""The model as MLflow keeps scikit-learn's, answering with probabilities."""

from __future__ import annotations

import mlflow.sklearn
from logistic import classifier

mlflow.sklearn.save_model(
    classifier(), "model", pyfunc_predict_fn="predict_proba", serialization_format="pickle"
)

"""The model and its settings as MLServer's runtime for scikit-learn wants them."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
from logistic import classifier

joblib.dump(classifier(), "model.joblib")
settings = {
    "name": "logistic",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib", "extra": {"predict_fn": "predict_proba"}},
}
Path("model-settings.json").write_text(json.dumps(settings))

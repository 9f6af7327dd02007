"""Handlers of the Hugging Face container: a pipeline of transformers, asked with JSON."""

from __future__ import annotations

import importlib
import json
import os
from typing import Any

from tidemill.workers.serve.user import bodies
from tidemill.workers.serve.user.defaults import Defaults

TASK = "HF_TASK"


class Handlers(Defaults):
    """JSON stays as it is written: ``{"inputs": …, "parameters": {…}}``."""

    def model_fn(self, model_dir: str) -> Any:
        """The pipeline for HF_TASK."""
        task = os.environ.get(TASK)
        if not task:
            raise ValueError(f"Name the pipeline's task by {TASK}, or provide a model_fn.")
        return importlib.import_module("transformers").pipeline(task=task, model=model_dir)

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        if bodies.media(content_type) == bodies.JSON:
            return json.loads(input_data)
        return bodies.decode(input_data, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        if not isinstance(data, dict):
            return model(data)
        rest = dict(data)
        inputs = rest.pop("inputs", rest)
        return model(inputs, **(rest.pop("parameters", None) or {}))

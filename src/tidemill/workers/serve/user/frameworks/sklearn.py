"""Handlers of the scikit-learn container: it has no model_fn, for pickles are a program's own."""

from __future__ import annotations

from typing import Any

from tidemill.workers.serve.user import bodies
from tidemill.workers.serve.user.defaults import Defaults


class Handlers(Defaults):
    """Text is read as float32."""

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        array = bodies.decode(input_data, content_type)
        return array.astype("float32") if bodies.is_text(content_type) else array

    def predict_fn(self, data: Any, model: Any) -> Any:
        return model.predict(data)

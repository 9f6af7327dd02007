"""The handlers of the inference toolkit, for what a program does not have of its own."""

from __future__ import annotations

from typing import Any

from tidemill.workers.serve.user import bodies

_SEE = "See https://sagemaker.readthedocs.io/en/stable/ for what it is given and gives."


class Defaults:
    """What all frameworks' containers share (``frameworks`` has what is theirs).

    accept: where a request accepts anything
    """

    def __init__(self, accept: str = bodies.JSON) -> None:
        self._accept = accept

    def model_fn(self, model_dir: str) -> Any:
        """Not there: programs save models in ways of their own."""
        raise NotImplementedError(f"Please provide a model_fn implementation. {_SEE}")

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        """An array."""
        return bodies.decode(input_data, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Not there, either."""
        raise NotImplementedError(f"Please provide a predict_fn implementation. {_SEE}")

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """The body in the first type that is accepted and can be written, and that type."""
        return bodies.first_written(prediction, accept, self._accept)

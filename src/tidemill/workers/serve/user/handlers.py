"""A user's handlers, and how a request goes through them: as SageMaker's inference toolkit does."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from types import ModuleType
from typing import Any

from tidemill.spec.frame import Frame
from tidemill.workers.serve.user import bodies
from tidemill.workers.serve.user.context import ATTRIBUTES, Context
from tidemill.workers.serve.user.defaults import Defaults

Handler = Callable[..., Any]
_ERROR = "BaseInferenceToolkitError"
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered with. Fields are those of ``answers.Answer``."""

    status: int
    head: bytes
    body: bytes


class Handlers:
    """Of a program's module, with defaults in place of what it has not.

    accept: where a request accepts anything
    """

    def __init__(
        self, module: ModuleType | None, defaults: Defaults, accept: str = bodies.JSON
    ) -> None:
        """Raises ValueError for a transform_fn beside any of those that it replaces."""
        self._accept = accept
        self._pre_model_fn: Handler | None = getattr(module, "pre_model_fn", None)
        self._warmup_fn: Handler | None = getattr(module, "model_warmup_fn", None)
        self._model_fn: Handler = getattr(module, "model_fn", None) or defaults.model_fn
        own = {
            name: getattr(module, name, None) for name in ("input_fn", "predict_fn", "output_fn")
        }
        transform = getattr(module, "transform_fn", None)
        if transform and any(own.values()):
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with "
                "input_fn, predict_fn, and/or output_fn implementation"
            )
        self._transform_fn: Handler | None = transform
        self._input_fn: Handler = own["input_fn"] or defaults.input_fn
        self._predict_fn: Handler = own["predict_fn"] or defaults.predict_fn
        self._output_fn: Handler = own["output_fn"] or defaults.output_fn
        self._model: Any = None
        self._model_dir = ""

    def load(self, model_dir: str) -> None:
        """Make the model; raises whatever the handlers do."""
        self._model_dir = model_dir
        context = Context(model_dir, {})
        if self._pre_model_fn is not None:
            call(self._pre_model_fn, (model_dir,), context)
        self._model = call(self._model_fn, (model_dir,), context)
        if self._warmup_fn is not None:
            call(self._warmup_fn, (model_dir, self._model), context)

    def answer(self, frame: Frame) -> Reply:
        """The answer to one request; what handlers raise is one, too."""
        headers = _headers(frame.head)
        context = Context(self._model_dir, headers, str(frame.id))
        try:
            content_type = headers.get("Content-Type") or bodies.JSON
            accept = headers.get("Accept", "")
            if accept in ("", bodies.ANY):
                accept = self._accept
            body: Any = frame.body
            if content_type in bodies.UTF8_TYPES:
                body = body.decode()
            result = self._transform(body, content_type, accept, context)
            said, kind, status = _said(result, accept)
            kind = context.get_response_content_type(0) or kind
            head = _line(kind) + b"\n" + _line(context.attributes)
            return Reply(_success(context.status or status), head, _bytes(said))
        except Exception as error:
            return failure(error)

    def _transform(self, body: Any, content_type: str, accept: str, context: Context) -> Any:
        if self._transform_fn is not None:
            return call(self._transform_fn, (self._model, body, content_type, accept), context)
        data = call(self._input_fn, (body, content_type), context)
        prediction = call(self._predict_fn, (data, self._model), context)
        return call(self._output_fn, (prediction, accept), context)


def call(handler: Handler, arguments: tuple[Any, ...], context: Context) -> Any:
    """Call a handler, with the context if it takes one more argument than there are.

    >>> call(lambda a, context: (a, context.model_name), (1,), Context("/opt/ml/model", {}))
    (1, 'model')
    """
    takes = len(signature(handler).parameters)
    if takes == len(arguments):
        return handler(*arguments)
    if takes == len(arguments) + 1:
        return handler(*arguments, context)
    name = getattr(handler, "__name__", repr(handler))
    raise TypeError(f"{name} takes {takes} arguments but {len(arguments)} were given.")


def failure(error: Exception) -> Reply:
    """The message and the traceback, which the log gets too."""
    trace = "".join(traceback.format_exception(error))
    print(trace, end="", flush=True)
    status, message = _SERVER_ERROR, str(error)
    if isinstance(error, bodies.Unsupported):
        status = error.status
    elif any(kind.__name__ == _ERROR for kind in type(error).__mro__):
        status = _error_status(getattr(error, "status_code", None))
        message = str(getattr(error, "message", message))
    return Reply(
        status, b"text/plain; charset=utf-8\n", f"{message}\n{trace}".encode(errors="replace")
    )


def _said(result: Any, accept: str) -> tuple[Any, str, int]:
    """Body, content type and status of what a handler returned."""
    if isinstance(result, tuple):
        return result[0], str(result[1]), 200
    if hasattr(result, "get_data") and hasattr(result, "status_code"):  # worker.Response
        return result.get_data(), str(result.mimetype), int(result.status_code)
    return result, accept, 200


def _headers(head: bytes) -> dict[str, str]:
    names = ("Content-Type", "Accept", ATTRIBUTES)
    lines = [line.decode("latin-1") for line in head.split(b"\n")]
    return {name: line for name, line in zip(names, lines, strict=False) if line}


def _line(text: str) -> bytes:
    return " ".join(text.split()).encode("latin-1", "replace")


def _success(status: int) -> int:
    """A replica knows one status of success; what a handler reports as an error stays one."""
    return _error_status(status) if status >= 300 else 200


def _error_status(status: object) -> int:
    return status if isinstance(status, int) and 400 <= status <= 599 else _SERVER_ERROR


def _bytes(said: Any) -> bytes:
    """As the model servers write what a handler returns."""
    if isinstance(said, str):
        return said.encode()
    if isinstance(said, bytes | bytearray | memoryview):
        return bytes(said)
    return bodies.to_json(said).encode()

"""Requests go through a program's handlers as in SageMaker's inference toolkit."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.user.context import Context
from tidemill.workers.serve.user.defaults import Defaults
from tidemill.workers.serve.user.frameworks import sklearn
from tidemill.workers.serve.user.handlers import Handlers, Reply
from tidemill.workers.serve.user.stand_ins import GenericInferenceToolkitError, Response


class Doubling:
    """A model as scikit-learn has them."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        assert rows.dtype == np.float32
        return rows.sum(axis=1) * 2


def program(**functions: Any) -> ModuleType:
    module = ModuleType("inference")
    vars(module).update({"model_fn": lambda model_dir: Doubling(), **functions})
    return module


def loaded(defaults: Defaults | None = None, accept: str = "application/json", **functions: Any):
    handlers = Handlers(program(**functions), defaults or sklearn.Handlers(accept), accept)
    handlers.load("/opt/ml/model")
    return handlers


def ask(
    handlers: Handlers, body: bytes, kind: str = "text/csv", accept: str = "", more: str = ""
) -> Reply:
    return handlers.answer(Frame(REQUEST, 7, 0, f"{kind}\n{accept}\n{more}".encode(), body))


def test_a_model_fn_alone_is_enough_for_scikit_learn() -> None:
    handlers = loaded()
    reply = ask(handlers, b"1,2\n3,4\n")
    assert (reply.status, reply.head, reply.body) == (200, b"application/json\n", b"[6.0, 14.0]")
    assert ask(handlers, b"[[1,2]]", "application/json", "text/csv").body == b"6.0\n"


def test_each_handler_of_the_program_takes_the_place_of_the_default() -> None:
    handlers = loaded(
        input_fn=lambda data, kind: (data, kind),
        predict_fn=lambda data, model: [*data, type(model).__name__],
        output_fn=lambda found, accept: "|".join([*found, accept]),
    )
    reply = ask(handlers, b"x", "text/csv", "text/html, text/csv")
    assert reply.body == b"x|text/csv|Doubling|text/html, text/csv"
    assert ask(handlers, b"x", "text/csv", "*/*").head == b"application/json\n"


def test_text_types_come_as_text_and_all_others_as_bytes() -> None:
    handlers = loaded(transform_fn=lambda model, data, kind, accept: type(data).__name__)
    kinds = ("text/csv", "application/json", "application/x-npy", "image/png")
    assert [ask(handlers, b"1", kind).body for kind in kinds] == [
        b"str",
        b"str",
        b"bytes",
        b"bytes",
    ]


def test_a_request_without_a_type_is_json() -> None:
    handlers = loaded(transform_fn=lambda model, data, kind, accept: kind)
    assert ask(handlers, b"[[1]]", "").body == b"application/json"


def test_a_transform_fn_stands_alone() -> None:
    with pytest.raises(ValueError, match="Cannot use transform_fn"):
        Handlers(program(transform_fn=lambda *_: "", output_fn=lambda *_: ""), sklearn.Handlers())


def test_a_pair_names_its_own_content_type() -> None:
    handlers = loaded(transform_fn=lambda model, data, kind, accept: (b"\x00", "image/png"))
    assert ask(handlers, b"1").head == b"image/png\n"


def test_a_response_of_the_older_containers_is_taken_apart() -> None:
    handlers = loaded(output_fn=lambda found, accept: Response("a,b", mimetype="text/csv"))
    reply = ask(handlers, b"1,2\n3,4\n")
    assert (reply.status, reply.head, reply.body) == (200, b"text/csv\n", b"a,b")
    refusing = loaded(output_fn=lambda found, accept: Response("no", status=422))
    assert ask(refusing, b"1,2\n3,4\n").status == 422


def test_whoever_takes_one_more_argument_gets_the_context() -> None:
    def transform(model: Any, data: str, kind: str, accept: str, context: Context) -> str:
        said = context.get_request_header(0, "x-amzn-sagemaker-custom-attributes")
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", f"got {said}")
        context.set_response_content_type(0, "text/plain")
        return str(context.system_properties["model_dir"])

    reply = ask(loaded(transform_fn=transform), b"1", more="trace=5")
    assert (reply.head, reply.body) == (b"text/plain\ngot trace=5", b"/opt/ml/model")


def test_a_handler_of_another_shape_is_told_so() -> None:
    reply = ask(loaded(predict_fn=lambda data: data), b"1,2\n3,4\n")
    assert reply.status == 500
    assert b"takes 1 arguments but 2 were given" in reply.body


def test_the_model_is_made_ready_and_warmed_up_in_order() -> None:
    done: list[Any] = []
    loaded(
        pre_model_fn=lambda model_dir: done.append(("pre", model_dir)),
        model_fn=lambda model_dir, context: done.append(context.model_name) or "model",
        model_warmup_fn=lambda model_dir, model: done.append(("warm", model)),
    )
    assert done == [("pre", "/opt/ml/model"), "model", ("warm", "model")]


def test_an_error_is_a_500_with_its_message_and_the_traceback() -> None:
    def predict(data: Any, model: Any) -> Any:
        raise KeyError("petal")

    reply = ask(loaded(predict_fn=predict), b"1,2\n3,4\n")
    assert reply.status == 500
    message, trace, *_ = reply.body.decode().split("\n")
    assert (message, trace) == ("'petal'", "Traceback (most recent call last):")
    assert reply.body.endswith(b"KeyError: 'petal'\n")


def test_an_error_of_the_toolkit_has_its_own_status() -> None:
    def refuse(data: Any, kind: str) -> Any:
        raise GenericInferenceToolkitError(413, "too many rows")

    reply = ask(loaded(input_fn=refuse), b"1")
    assert (reply.status, reply.body.splitlines()[0]) == (413, b"too many rows")


def test_types_that_defaults_do_not_know_are_415_and_406() -> None:
    assert ask(loaded(), b"1", "image/png").status == 415
    assert ask(loaded(), b"1,2\n3,4\n", accept="image/png").status == 406


def test_the_container_says_what_is_usual_where_anything_is_accepted() -> None:
    handlers = loaded(accept="text/csv")
    assert ask(handlers, b"1,2\n3,4\n", accept="*/*").head == b"text/csv\n"


def test_what_is_no_text_is_written_as_json() -> None:
    handlers = loaded(transform_fn=lambda model, data, kind, accept: {"scores": np.arange(2)})
    assert json.loads(ask(handlers, b"1").body) == {"scores": [0, 1]}
    unwritable = loaded(transform_fn=lambda model, data, kind, accept: object())
    assert ask(unwritable, b"1").status == 500


def test_heads_stay_heads_whatever_a_handler_calls_its_type() -> None:
    handlers = loaded(transform_fn=lambda model, data, kind, accept: ("", "text/csv\n\n\nBUSY"))
    assert ask(handlers, b"1").head == b"text/csv BUSY\n"


def test_without_a_model_fn_a_program_of_scikit_learn_cannot_be_loaded() -> None:
    with pytest.raises(NotImplementedError, match="Please provide a model_fn"):
        Handlers(ModuleType("inference"), sklearn.Handlers()).load("/opt/ml/model")

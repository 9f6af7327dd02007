"""Whether an endpoint can ever serve a model: said when it is asked for, as a FailureReason."""

from __future__ import annotations

from tidemill import registry
from tidemill.errors import NotFound
from tidemill.spec.hosting import of_serving
from tidemill.spec.model import DIRECT, MOST_CONTAINERS, MULTI, Container, Model


def problem(served: Model, *, is_asynchronous: bool = False) -> str:
    """Why a model can never be served here, or nothing.

    is_asynchronous: requests are queued, and have no word for one model of several
    """
    why = _problem(served, is_asynchronous)
    return f"ClientError: model {served.name!r}: {why}" if why else ""


def _problem(served: Model, is_asynchronous: bool) -> str:
    count = len(served.containers)
    if not 1 <= count <= MOST_CONTAINERS:
        return f"it must have 1 to {MOST_CONTAINERS} containers; got {count}."
    if count > 1 and any(c.mode == MULTI for c in served.containers):
        return "Mode MultiModel is served by a model of one container. Give it one of its own."
    is_addressed = served.execution == DIRECT or any(c.mode == MULTI for c in served.containers)
    if is_asynchronous and is_addressed:
        return (
            "an asynchronous endpoint serves one model, or containers that answer one after "
            "another: InvokeEndpointAsync names no model or container. Leave AsyncInferenceConfig "
            "out."
        )
    return next(filter(None, map(unknown, served.containers)), "")


def unknown(container: Container) -> str:
    """Why nothing here can answer for a container, or nothing."""
    if of_serving(container.image, container.environment) is not None:
        if container.mode == MULTI:
            return "Mode MultiModel serves algorithms, not user code. Use SingleModel."
        return ""
    try:
        registry.name_of(container.image)
    except NotFound as error:
        return str(error)
    return ""

"""Why the fleet does not answer a request, in words for its sender."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_ORIGINAL = 8192
"""So much is told of what a model answered in place of a prediction."""


def not_found(endpoint: str, account: str) -> str:
    """AWS's words, which clients look for."""
    return f"Endpoint {endpoint} of account {account} not found."


def no_variant(wanted: str, endpoint: str, known: Iterable[str]) -> str:
    names = ", ".join(known)
    return (
        f"Variant {wanted} not found for Request; endpoint {endpoint} has {names}. "
        "Name one of them, or none."
    )


def no_replica(endpoint: str, seconds: float) -> str:
    return (
        f"No replica of endpoint {endpoint} has answered for {seconds:g} s. "
        "See DescribeEndpoint and the endpoint's logs, and try again."
    )


def no_room(endpoint: str, seconds: float) -> str:
    return (
        f"All replicas of endpoint {endpoint} have been busy for {seconds:g} s. "
        "Try again later, or add replicas."
    )


def too_many_wait(endpoint: str, waiting: int, *, is_up: bool) -> str:
    what = "are busy" if is_up else "are down"
    return (
        f"All replicas of endpoint {endpoint} {what}, and {waiting} requests wait already. "
        "Try again later, or add replicas."
    )


def throttled(endpoint: str, most: int) -> str:
    return (
        f"Rate exceeded: serverless endpoint {endpoint} takes {most} requests at once, its "
        "MaxConcurrency. Try again in a moment, or raise it."
    )


def asynchronous(endpoint: str) -> str:
    return (
        f"Endpoint {endpoint} is asynchronous: its answers are put into S3. "
        "Use InvokeEndpointAsync."
    )


def not_asynchronous(endpoint: str) -> str:
    return (
        f"Endpoint {endpoint} has no AsyncInferenceConfig. Use InvokeEndpoint, or update it to an "
        "endpoint config that has one."
    )


def queue_is_full(waiting: int, most: int) -> str:
    return (
        f"{waiting} asynchronous requests wait already, of at most {most}, or their bytes pass the "
        "bound. Try again later, or add replicas."
    )


def not_queued(why: str) -> str:
    return f"The request could not be written down ({why}), so it is not queued. Send it again."


def poisonous(endpoint: str) -> str:
    return f"Replicas of {endpoint} end when they get this request, so it is sent to no other."


def unmet(what: str) -> str:
    return f"The request names {what}: this endpoint has one model. Leave the parameter out."


def untold(parameter: str, endpoint: str, known: Iterable[str] = ()) -> str:
    names = ", ".join(known)
    what = f"one of its containers: {names}" if names else "the model that is to answer"
    return f"Endpoint {endpoint} needs {parameter}, which names {what}. Give it with the request."


def no_container(wanted: str, endpoint: str, known: Iterable[str]) -> str:
    names = ", ".join(known)
    return (
        f"TargetContainerHostname must be a container of endpoint {endpoint}; got {wanted!r}. "
        f"It has: {names}."
    )


def late(seconds: float) -> str:
    return (
        "Your invocation timed out while waiting for a response from container primary: "
        f"{seconds:g} s. Send fewer rows, or add replicas."
    )


def broken(endpoint: str) -> str:
    return (
        f"The replica of endpoint {endpoint} ended before its answer did. "
        "What has come is right, but not all; send the request again."
    )


def late_part(seconds: float, in_all: float) -> str:
    return (
        "The model must send the next part of its answer within "
        f"{seconds:g} s, and all of them within {in_all:g} s. Send fewer rows, or read faster."
    )

"""What is known of an endpoint's fleets and replicas: ``Row.document["state"]``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tidemill.spec import async_inference, learning, serverless
from tidemill.spec import capture as data_capture
from tidemill.spec.async_inference import AsyncInference
from tidemill.spec.capture import Capture
from tidemill.spec.event import Event
from tidemill.spec.model import DIRECT, MULTI, SERIAL, Container, names
from tidemill.spec.route import LEAST_OUTSTANDING, TIMEOUT
from tidemill.spec.serverless import Serverless
from tidemill.traffic import rollout as moves
from tidemill.traffic.rollout import Rollout

TIMEOUT_VARIABLE, LONGEST_TIMEOUT = "SAGEMAKER_MODEL_SERVER_TIMEOUT", 3600.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """One variant as resolved from its config and model: nothing is looked up later.

    weight, count: wanted · current_weight, current_count: in effect · problem: why it can never
    run, or empty · containers: all of the model's, of which image, model_uri and environment are
    the first one's; rows of before have none · execution: Serial or Direct · shadow: it gets copies
    of requests, and its answers go nowhere · serverless: set where the count follows the requests;
    current_serverless: the one in effect
    """

    name: str
    model: str
    image: str
    model_uri: str | None
    environment: Mapping[str, str]
    weight: float
    count: int
    instance_type: str = "local"
    routing: str = LEAST_OUTSTANDING
    current_weight: float = 0.0
    current_count: int = 0
    problem: str = ""
    containers: tuple[Container, ...] = ()
    execution: str = SERIAL
    shadow: bool = False
    serverless: Serverless | None = None
    current_serverless: Serverless | None = None

    @property
    def timeout(self) -> float:
        """Seconds that a request may take, as the environment of a container says.

        Of several that say so the most: it bounds the way through all of them.
        """
        told = [_seconds(c.environment) for c in self.containers] or [_seconds(self.environment)]
        seconds = max(told) or TIMEOUT
        return min(seconds, serverless.LONGEST_TIMEOUT) if self.serverless else seconds

    @property
    def targets(self) -> tuple[str, ...]:
        """Hostnames, where each request must name one."""
        return names(self.containers) if self.execution == DIRECT else ()

    @property
    def multi_model(self) -> bool:
        """Whether each request must name a model."""
        return any(one.mode == MULTI for one in self.containers)

    @property
    def learns(self) -> bool:
        """Whether it takes feedback; its replicas tell if it can not."""
        return learning.is_wanted(self.environment) and not self.shadow

    @property
    def max_concurrency(self) -> int:
        """Requests that a serverless variant may have at once; 0 where there is no such bound."""
        bounds = self.current_serverless or self.serverless
        return bounds.max_concurrency if bounds else 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """All variants of one config. generation: counts the configs that this endpoint has had.

    capture: what of the requests is written down while this fleet takes them · asynchronous: where
    the answers of queued requests go
    """

    config: str
    generation: int
    variants: tuple[Deployed, ...]
    capture: Capture | None = None
    asynchronous: AsyncInference | None = None

    @property
    def fewest(self) -> int:
        """Instances that a variant must have: none where requests can wait in a queue."""
        return 0 if self.asynchronous is not None else 1


@dataclass(frozen=True, slots=True)
class Replica:
    """One serving process and what is known of it.

    handle: empty while none runs · address: where it last listened · read: bytes of its events
    taken in · deaths: in a row without being ready · retired: when it may be stopped, or None
    fatal: it named a cause that no restart mends
    """

    variant: str
    generation: int
    handle: str = ""
    address: str | None = None
    ready: bool = False
    read: int = 0
    attempts: int = 0
    deaths: int = 0
    started: float | None = None
    died: float | None = None
    reason: str = ""
    fatal: bool = False
    retired: float | None = None


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What has happened to an endpoint; ``Row.document["state"]``.

    config, generation, variants, capture, asynchronous: of the fleet that takes the traffic (or
    first will)
    pending: the fleet that an update starts beside it · rollout: how far that update has come
    made: replicas made so far
    """

    home: str
    config: str
    generation: int
    variants: tuple[Deployed, ...]
    pending: Fleet | None = None
    replicas: Mapping[str, Replica] = field(default_factory=dict)
    made: int = 0
    failure: str | None = None
    capture: Capture | None = None
    rollout: Rollout | None = None
    asynchronous: AsyncInference | None = None

    @property
    def live(self) -> Fleet:
        """The fleet that takes the traffic, or that first will."""
        return Fleet(self.config, self.generation, self.variants, self.capture, self.asynchronous)

    def to_document(self) -> dict[str, Any]:
        """JSON, without what has not happened yet."""
        return {k: v for k, v in asdict(self).items() if v is not None}


def from_document(document: Mapping[str, Any]) -> EndpointState:
    """Read what ``to_document`` wrote."""
    pending = document.get("pending")
    return EndpointState(
        **{
            **document,
            **_nested(document),
            "pending": pending and Fleet(**{**pending, **_nested(pending)}),
            "replicas": {k: Replica(**v) for k, v in document.get("replicas", {}).items()},
            "rollout": moves.from_document(document.get("rollout")),
        }
    )


def begin(
    home: str,
    config: str,
    variants: Sequence[Deployed],
    capture: Capture | None = None,
    asynchronous: AsyncInference | None = None,
) -> EndpointState:
    """The state of an endpoint just asked for."""
    return EndpointState(
        home, config, 1, tuple(variants), capture=capture, asynchronous=asynchronous
    )


def observe(replica: Replica, events: Iterable[Event]) -> Replica:
    """Take in what a replica has told."""
    for event in events:
        if event.kind == "ready":
            replica = replace(replica, ready=True, address=event.message, deaths=0, reason="")
    return replica


def launched(state: EndpointState, id: str, handle: str, now: float) -> EndpointState:
    """The state once a replica's process runs."""
    old = state.replicas[id]
    new = replace(old, handle=handle, attempts=old.attempts + 1, started=now)
    return replace(state, replicas={**state.replicas, id: new})


def _nested(document: Mapping[str, Any]) -> dict[str, Any]:
    """What of a fleet is more than a word or a number."""
    return {
        "variants": tuple(_deployed(d) for d in document["variants"]),
        "capture": data_capture.from_document(document.get("capture")),
        "asynchronous": async_inference.from_document(document.get("asynchronous")),
    }


def _deployed(document: Mapping[str, Any]) -> Deployed:
    containers = tuple(Container(**c) for c in document.get("containers", ()))
    bounds = {
        name: serverless.from_document(document.get(name))
        for name in ("serverless", "current_serverless")
    }
    return Deployed(**{**document, **bounds, "containers": containers})


def _seconds(environment: Mapping[str, str]) -> float:
    """How long a container may take, 0 when it does not say."""
    told = environment.get(TIMEOUT_VARIABLE, "")
    seconds = float(told) if told.isascii() and told.isdigit() else 0.0
    return seconds if seconds <= LONGEST_TIMEOUT else 0.0

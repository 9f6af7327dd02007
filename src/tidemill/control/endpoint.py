"""Endpoints: what is special to creating, updating and deleting one, and its replicas' tasks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tidemill.control import endpoint_config, learning, model, servable, serverless
from tidemill.control.plan import fleet as plan
from tidemill.control.plan import rollout
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, Invalid
from tidemill.spec.deployment import Deployment
from tidemill.spec.endpoint import MOVES, Endpoint, EndpointStatus
from tidemill.spec.endpoint_config import EndpointConfig, ProductionVariant
from tidemill.spec.home import Home
from tidemill.spec.model import Container
from tidemill.store.base import Document, Row
from tidemill.traffic import rollout as moves

KIND = "endpoint"


@dataclass(frozen=True, slots=True)
class Change:
    """What UpdateEndpointWeightsAndCapacities wants of one variant; None leaves it.

    concurrency, provisioned: of a serverless variant
    """

    variant: str
    weight: float | None = None
    count: int | None = None
    concurrency: int | None = None
    provisioned: int | None = None


def create(
    verbs: Verbs,
    home: Home,
    endpoint: Endpoint,
    request: Mapping[str, Any],
    tags: Mapping[str, str],
) -> Row:
    """Write an endpoint down as Creating.

    Raises NotFound for an unknown config or model, Conflict when the name is taken.
    """
    place = home.endpoints / endpoint.region / f"{endpoint.name}-{secrets.token_hex(4)}"
    fleet, wanted = _resolve(verbs, endpoint.region, endpoint.config)
    state = plan.begin(str(place), endpoint.config, fleet, wanted.capture, wanted.asynchronous)
    document = {"request": dict(request), "spec": asdict(endpoint), "state": state.to_document()}
    status = EndpointStatus.CREATING.value
    return verbs.create(KIND, endpoint.region, endpoint.name, document, status, tags)


def update(
    verbs: Verbs,
    region: str,
    name: str,
    config: str,
    request: Mapping[str, Any],
    *,
    keep_weights: bool = False,
    keep_counts: bool = False,
    keep_capture: bool = False,
    deployment: Deployment | None = None,
) -> Row:
    """Roll an endpoint over to another config, the old one serving until the new one is ready.

    keep_weights, keep_counts: variants of the same name keep what they have now · keep_capture:
    so does data capture · deployment: how the traffic is moved; all at once if not said. The
    request is kept as ``document["update"]``. Raises NotFound, Invalid for a deployment that does
    not fit the config or instances that would become serverless, and Conflict unless InService.
    """
    deployment = deployment or Deployment()
    variants, wanted = _resolve(verbs, region, config)

    def rolling(row: Row, state: plan.EndpointState) -> tuple[Row, plan.EndpointState]:
        old = {v.name: v for v in state.variants}
        kept = tuple(_keep(v, old.get(v.name), keep_weights, keep_counts) for v in variants)
        seen = state.capture if keep_capture else wanted.capture
        pending = plan.Fleet(config, state.generation + 1, kept, seen, wanted.asynchronous)
        pending = replace(pending, variants=tuple(_enough(v, pending) for v in kept))
        moves.check(deployment, rollout.largest(pending))
        serverless.check(state.variants, kept)
        begun = rollout.begin(deployment, state.live, pending, verbs.clock())
        row = replace(row, document=_asked(row.document, request))
        return row, replace(state, pending=pending, rollout=begun, failure=None)

    return _change(verbs, region, name, EndpointStatus.UPDATING, rolling)


def update_weights(verbs: Verbs, region: str, name: str, changes: Mapping[str, Change]) -> Row:
    """Set shares of traffic, counts of replicas and bounds of serverless variants, by variant name.

    Raises NotFound for an unknown endpoint, Invalid for an unknown variant or for what a variant
    of its kind can not have, Conflict unless InService.
    """

    def scaled(row: Row, state: plan.EndpointState) -> tuple[Row, plan.EndpointState]:
        unknown = sorted(set(changes) - {v.name for v in state.variants})
        if unknown:
            known = ", ".join(v.name for v in state.variants)
            raise Invalid(
                f"variants of endpoint config {state.config!r}",
                got=unknown,
                do=f"It has: {known}.",
            )
        variants = tuple(_set(v, changes.get(v.name)) for v in state.variants)
        short = [v for v in variants if v.name in changes and v != _enough(v, state.live)]
        if short:
            raise Invalid(
                f"variant {short[0].name!r} must have at least {state.live.fewest} instance",
                got=short[0].count,
                do="Only variants of asynchronous endpoints may have none.",
            )
        return row, replace(state, variants=variants, failure=None)

    return _change(verbs, region, name, EndpointStatus.UPDATING, scaled)


def delete(verbs: Verbs, region: str, name: str) -> Row:
    """Let an endpoint go: its row leaves once its replicas have; raises NotFound."""

    def leaving(row: Row) -> Row:
        if row.status == EndpointStatus.DELETING.value:
            return row
        return replace(row, status=EndpointStatus.DELETING.value)

    return verbs.change(KIND, region, name, leaving)


def spec(row: Row) -> Endpoint:
    """The endpoint that a row holds, as it was created."""
    return Endpoint(**row.document["spec"])


def task(row: Row, state: plan.EndpointState, id: str, home: Home) -> dict[str, Any]:
    """The task.json of one replica."""
    replica = state.replicas[id]
    fleets = [state.live, *([state.pending] if state.pending else [])]
    [variant] = [
        v
        for fleet in fleets
        for v in fleet.variants
        if (fleet.generation, v.name) == (replica.generation, replica.variant)
    ]
    return {
        "kind": "serve",
        "endpoint": row.name,
        "region": row.region,
        "variant": variant.name,
        "replica": id,
        "image": variant.image,
        "model_uri": variant.model_uri,
        "environment": dict(variant.environment),
        "timeout": variant.timeout,
        "containers": [asdict(container) for container in variant.containers],
        "execution": variant.execution,
        "learning": str(learning.place(state, variant.name, replica.generation)),
        "socket": str(socket_of(row, id, home)),
        "buckets": str(home.buckets),
        "wake": str(home.socket("control")),
        "attempt": replica.attempts + 1,
    }


def socket_of(row: Row, id: str, home: Home) -> Path:
    """Where a replica listens; serials are never used twice, so no two ever meet there."""
    return home.socket(f"replica-{row.serial}-{id}")


def last_deployment(document: Document) -> Mapping[str, Any] | None:
    """The DeploymentConfig that was sent last, if any was."""
    for place in (document, document.get("update", {}), document["request"]):
        if "DeploymentConfig" in place:
            found: Mapping[str, Any] = place["DeploymentConfig"]
            return found
    return None


def _asked(document: Document, request: Mapping[str, Any]) -> Document:
    """The row's document with a request to update; the last deployment is kept beyond it."""
    last = request.get("DeploymentConfig", last_deployment(document))
    asked = {**document, "update": dict(request)}
    return asked if last is None else {**asked, "DeploymentConfig": last}


def _resolve(
    verbs: Verbs, region: str, config: str
) -> tuple[tuple[plan.Deployed, ...], EndpointConfig]:
    wanted = endpoint_config.spec(verbs.describe(endpoint_config.KIND, region, config))
    queued = wanted.asynchronous is not None
    return tuple(_deploy(verbs, region, v, queued) for v in wanted.variants), wanted


def _deploy(verbs: Verbs, region: str, variant: ProductionVariant, queued: bool) -> plan.Deployed:
    served = model.spec(verbs.describe(model.KIND, region, variant.model))
    # What cannot run is still written down: the endpoint then fails and says why.
    container = served.containers[0] if served.containers else Container("")
    return plan.Deployed(
        name=variant.name,
        model=variant.model,
        image=container.image,
        model_uri=container.model_uri,
        environment=container.environment,
        weight=variant.weight,
        count=variant.instances,
        instance_type=variant.instance_type,
        routing=variant.routing,
        shadow=variant.shadow,
        serverless=variant.serverless,
        problem=servable.problem(served, is_asynchronous=queued),
        containers=served.containers,
        execution=served.execution,
    )


def _keep(
    new: plan.Deployed, old: plan.Deployed | None, weights: bool, counts: bool
) -> plan.Deployed:
    if old is None:
        return new
    weight = old.weight if weights else new.weight
    counts = counts and not (old.serverless or new.serverless)
    return replace(new, weight=weight, count=old.count if counts else new.count)


def _enough(variant: plan.Deployed, fleet: plan.Fleet) -> plan.Deployed:
    """With the instances that a variant of such a fleet must have; it may have had none before."""
    if variant.serverless is not None:
        return variant
    return replace(variant, count=max(fleet.fewest, variant.count))


def _set(variant: plan.Deployed, change: Change | None) -> plan.Deployed:
    if change is None:
        return variant
    weight = variant.weight if change.weight is None else change.weight
    count = variant.count if change.count is None else change.count
    if change.count is not None and variant.serverless is not None:
        raise Invalid(
            f"variant {variant.name!r} is serverless, and has no DesiredInstanceCount",
            got=change.count,
            do="Give a ServerlessUpdateConfig.",
        )
    variant = serverless.bound(variant, change.concurrency, change.provisioned)
    return replace(variant, weight=weight, count=count)


def _change(
    verbs: Verbs,
    region: str,
    name: str,
    status: EndpointStatus,
    fn: Callable[[Row, plan.EndpointState], tuple[Row, plan.EndpointState]],
) -> Row:
    def moved(row: Row) -> Row:
        changed, state = fn(row, plan.from_document(row.document["state"]))
        if status not in MOVES[EndpointStatus(row.status)]:
            raise Conflict("an endpoint that is InService", got=row.status, do="Wait for it.")
        document = {**changed.document, "state": state.to_document()}
        return replace(changed, status=status.value, document=document)

    return verbs.change(KIND, region, name, moved)

"""What every request names: a resource and its dimension, a page; and what AWS answers if wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tidemill.control import scalable_target
from tidemill.control.scalable_target import COUNTED, PROVISIONED
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.cloudwatch import paging
from tidemill.gateway.wire.errors import Fault, invalid

NAMESPACE = "sagemaker"
MOST_RESULTS = 50
_NAMES = {"PolicyName": "policy name", "ScheduledActionName": "scheduled action name"}
Item = TypeVar("Item")


def namespace(call: Call) -> None:
    """Raises ValidationException for other services than SageMaker."""
    if call.request["ServiceNamespace"] != NAMESPACE:
        raise _unsupported(call)


def resource(call: Call) -> str:
    """The id of the variant that a request is for."""
    namespace(call)
    id: str = call.request["ResourceId"]
    told = call.request["ScalableDimension"]
    if told not in COUNTED or scalable_target.names(id) is None:
        raise _unsupported(call)
    counted = scalable_target.dimension(call.verbs, call.region, id) or told
    if counted != told:
        kind = "is" if counted == PROVISIONED else "is not"
        raise invalid(f"{id} {kind} serverless: its scalable dimension is {counted}.")
    return id


def only_resource(call: Call, ids: Sequence[str]) -> None:
    """Of a list: a dimension is only told together with resources."""
    namespace(call)
    dimension = call.request.get("ScalableDimension")
    if dimension is None:
        return
    if not ids:
        raise invalid("If you specify a scalable dimension, you must also specify a resource ID.")
    if dimension not in COUNTED:
        raise _unsupported(call)


def page(
    call: Call, items: Sequence[Item], key: Callable[[Item], str], most: int = MOST_RESULTS
) -> tuple[list[Item], dict[str, str]]:
    """The items to show, and the token member if there are more."""
    limit = call.request.get("MaxResults", most)
    if not 1 <= limit <= most:
        raise invalid(f"MaxResults must be between 1 and {most}; got {limit}.")
    try:
        return paging.page(items, key, call.request.get("NextToken"), limit)
    except Fault as error:
        raise Fault("InvalidNextTokenException", error.message) from None


def missing(call: Call, what: str) -> Fault:
    """An ObjectNotFoundException. what: as in ``No scaling policy found``"""
    asked = call.request
    name = "".join(f", {words}: {asked[key]}" for key, words in _NAMES.items() if key in asked)
    return Fault(
        "ObjectNotFoundException",
        f"{what} for service namespace: {asked['ServiceNamespace']}, resource ID: "
        f"{asked['ResourceId']}, scalable dimension: {asked['ScalableDimension']}{name}",
    )


def one_at_a_time(handler: Handler) -> Handler:
    """Tells who lost a race in this service's words."""

    def guarded(call: Call) -> dict[str, Any] | None:
        try:
            return handler(call)
        except Conflict as error:
            raise Fault("ConcurrentUpdateException", str(error)) from None

    return guarded


def _unsupported(call: Call) -> Fault:
    return invalid(
        "Unsupported service namespace, resource type or scalable dimension. Tidemill scales "
        f"{NAMESPACE}, endpoint/<endpoint>/variant/<variant>, {' and '.join(COUNTED)}."
    )

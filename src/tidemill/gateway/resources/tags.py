"""AddTags, ListTags, DeleteTags: by ARN, on whatever exists."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tidemill.errors import NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import (
    action,
    artifact,
    code_repository,
    context,
    endpoint,
    endpoint_config,
    experiment,
    feature_group,
    inference_experiment,
    lifecycle_config,
    model,
    model_card,
    model_package,
    model_package_group,
    noun,
    processing_job,
    training_job,
    transform_job,
    trial,
    trial_component,
)
from tidemill.gateway.wire.errors import Fault, invalid

PAGE = 50
_ARN = re.compile(r"arn:aws:sagemaker:([a-z0-9-]+):([0-9]{12}):([a-z-]+)/(\S+)")
_NOUNS = {
    n.kind: n
    for n in (
        processing_job.NOUN,
        training_job.NOUN,
        transform_job.NOUN,
        model.NOUN,
        model_card.NOUN,
        model_package.NOUN,
        model_package_group.NOUN,
        endpoint_config.NOUN,
        endpoint.NOUN,
        inference_experiment.NOUN,
        experiment.NOUN,
        feature_group.NOUN,
        trial.NOUN,
        trial_component.NOUN,
        artifact.NOUN,
        action.NOUN,
        context.NOUN,
        code_repository.NOUN,
        lifecycle_config.NOTEBOOK,
        lifecycle_config.STUDIO,
    )
}


def add(call: Call) -> dict[str, Any]:
    arn = _checked(call)
    try:
        tags = call.verbs.add_tags(arn, noun.tags(call.request["Tags"]))
    except NotFound:
        raise _missing(call, arn) from None
    return {"Tags": _wire(tags)}


def delete(call: Call) -> dict[str, Any]:
    arn = _checked(call)
    try:
        call.verbs.delete_tags(arn, call.request["TagKeys"])
    except NotFound:
        raise _missing(call, arn) from None
    return {}


def list_(call: Call) -> dict[str, Any]:
    """A token stands for the last key of its page, so only what was issued is taken back."""
    arn = _checked(call)
    try:
        tags = call.verbs.tags(arn)
    except NotFound:
        raise _missing(call, arn) from None
    keys = list(tags)
    start = _start(arn, keys, call.request.get("NextToken"))
    end = start + call.request.get("MaxResults", PAGE)
    answer: dict[str, Any] = {"Tags": _wire({k: tags[k] for k in keys[start:end]})}
    return answer if end >= len(keys) else {**answer, "NextToken": _token(arn, keys[end - 1])}


def _start(arn: str, keys: list[str], token: str | None) -> int:
    if token is None:
        return 0
    for index, key in enumerate(keys):
        if _token(arn, key) == token:
            return index + 1
    raise invalid(f"Invalid NextToken '{token:.64}'. Start again without it.")


def _token(arn: str, key: str) -> str:
    return hashlib.sha256(f"{arn}\0{key}".encode()).hexdigest()


def _wire(tags: Any) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _checked(call: Call) -> str:
    """The ARN, which must be of the caller's region and of this account."""
    arn: str = call.request["ResourceArn"]
    match = _ARN.fullmatch(arn)
    if match is None:
        raise invalid(
            f"Invalid ARN: '{arn:.256}'. Write arn:aws:sagemaker:REGION:ACCOUNT:KIND/NAME."
        )
    if (match[1], match[2]) != (call.region, call.platform.account):
        raise invalid(
            f"The ARN '{arn}' is not of region {call.region} and account "
            f"{call.platform.account}, where this request was made."
        )
    return arn


def _missing(call: Call, arn: str) -> Fault:
    kind, _, name = arn.split(":", 5)[5].partition("/")
    known = _NOUNS.get(kind.replace("-", "_"))
    if known is None:
        return Fault("ResourceNotFound", f'Could not find resource "{arn}".')
    return known.missing(call, name)


OPERATIONS: dict[str, Handler] = {"AddTags": add, "ListTags": list_, "DeleteTags": delete}

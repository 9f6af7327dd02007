"""ModelPackage on the wire: versions of models, with what serves them and whether they may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.control import model_package
from tidemill.control.model_package import (
    GROUP_LABEL,
    TYPE_LABEL,
    UNVERSIONED,
    VERSIONED,
)
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources import model_package_request, model_package_update, noun
from tidemill.gateway.resources.arn import name_in
from tidemill.gateway.resources.listing import Listing
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import NOBODY
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.gateway.wire.model import Shape
from tidemill.spec import model_card
from tidemill.store.base import Query, Row

NOUN = Noun(
    model_package.KIND,
    "ModelPackage",
    # Clients look for the one half or the other.
    unknown="Could not find model package: ModelPackage {arn} does not exist.",
    taken="ModelPackage already exists: {arn}",
)


def create(call: Call) -> dict[str, Any]:
    asked = call.request
    group = model_package_request.group_of(call)
    kept = model_package_request.kept(call, _source(call))
    token = asked.get("ClientToken", "")
    tags = noun.tags(asked.get("Tags", ()))
    try:
        if group is None:
            name = model_package.create_unversioned(
                call.verbs, call.region, asked[NOUN.key].lower(), kept, tags, token
            )
        else:
            name = model_package.create_version(call.verbs, call.region, group, kept, token)
    except NotFound:
        raise invalid("Model Package Group does not exist.") from None
    except Conflict as error:
        if group is not None:
            raise
        arn = call.arn(NOUN.kind, asked[NOUN.key].lower())
        raise invalid(NOUN.taken.format(arn=arn)) from error
    except Invalid as error:
        raise Fault("ConflictException", str(error)) from None
    return {NOUN.arn_key: call.arn(NOUN.kind, name)}


def _source(call: Call) -> dict[str, Any] | None:
    """The InferenceSpecification to which a SourceUri leads that is a model's or a package's."""
    uri: str = call.request.get("SourceUri", "")
    kind = uri.split(":", 5)[-1].partition("/")[0] if uri.startswith("arn:") else ""
    if kind not in ("model", "model-package"):
        return None
    if "InferenceSpecification" in call.request:
        raise invalid(
            f"InferenceSpecification is taken from SourceUri '{uri}', so both cannot be given."
        )
    if kind == "model":
        return model_package_request.of_model(call, uri)
    specification: dict[str, Any] | None = (
        find(call, uri).document["request"].get("InferenceSpecification")
    )
    return specification


def find(call: Call, said: str) -> Row:
    """The package of that ARN, or name, or ``GROUP/VERSION``."""
    name = name_in(call, NOUN.kind, said)
    # Names are told in lower case in ARNs, and are one package's in whichever they are asked for.
    return NOUN.find(call, name if "/" in name else name.lower())


def describe(call: Call) -> dict[str, Any]:
    answer = told(call, find(call, call.request[NOUN.key]), call.operation.output)
    card = answer.get("ModelCard", {})
    if call.request.get("IncludedData") == "MetadataOnly" and "ModelCardContent" in card:
        content = model_card.metadata_only(card["ModelCardContent"])
        answer["ModelCard"] = {**card, "ModelCardContent": content}
    return answer


def update(call: Call) -> dict[str, Any]:
    row = find(call, call.request[NOUN.arn_key])
    if "group" not in row.document["state"]:
        raise invalid(
            f"Only versioned model packages can be updated; {call.arn(row.kind, row.name)} "
            "belongs to no group. Create another one, or a version in a group."
        )
    sent = call.request

    def changed(row: Row) -> Row:
        return model_package_update.changed(row, sent)

    try:
        call.verbs.change(row.kind, row.region, row.name, changed)
    except NotFound:
        raise NOUN.missing(call, row.name) from None
    return {NOUN.arn_key: call.arn(row.kind, row.name)}


def delete(call: Call) -> None:
    row = find(call, call.request[NOUN.key])
    try:
        call.verbs.delete(row.kind, row.region, row.name)
    except NotFound:
        raise NOUN.missing(call, row.name) from None


def batch_describe(call: Call) -> dict[str, Any]:
    """Each by itself: for one that cannot be told its error is."""
    output = call.operation.output
    shape = output.members["ModelPackageSummaries"].value if output else None
    found: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for arn in call.request["ModelPackageArnList"]:
        try:
            found[arn] = told(call, find(call, arn), shape)
        except Fault as fault:
            errors[arn] = {"ErrorCode": fault.code, "ErrorResponse": fault.message}
    answer = {"ModelPackageSummaries": found}
    return {**answer, "BatchDescribeModelPackageErrorMap": errors} if errors else answer


def told(call: Call, row: Row, shape: Shape | None) -> dict[str, Any]:
    """All that is known of one and that an answer of this shape has room for."""
    state = row.document["state"]
    of_group: Mapping[str, Any] = {}
    if "group" in state:
        of_group = {
            "ModelPackageGroupName": state["group"],
            "ModelPackageVersion": state["version"],
        }
    request = {n: v for n, v in row.document["request"].items() if n != "ModelPackageGroupName"}
    known: dict[str, Any] = {
        "CertifyForMarketplace": False,
        "CreatedBy": NOBODY,
        "LastModifiedBy": NOBODY,
        **request,
        **of_group,
        NOUN.arn_key: call.arn(row.kind, row.name),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": _details(request),
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
    }
    room = shape.members if shape is not None else {}
    return {name: value for name, value in known.items() if name in room}


def _details(request: Mapping[str, Any]) -> dict[str, Any]:
    """No transform job of a validation profile is run, and no image scanned."""
    profiles = request.get("ValidationSpecification", {}).get("ValidationProfiles", ())
    validations = [{"Name": one["ProfileName"], "Status": "NotStarted"} for one in profiles]
    return {"ValidationStatuses": validations, "ImageScanStatuses": []}


def _narrow(call: Call, query: Query) -> Query:
    asked = call.request
    query = replace(query, status=asked.get("ModelApprovalStatus"))
    if "ModelPackageGroupName" in asked:
        group = name_in(call, model_package.GROUP, asked["ModelPackageGroupName"])
        return replace(query, labels=((GROUP_LABEL, group),))
    wanted = asked.get("ModelPackageType", UNVERSIONED)
    if wanted == UNVERSIONED and query.name_contains is not None:
        query = replace(query, name_contains=query.name_contains.lower())
    known = wanted in (VERSIONED, UNVERSIONED)
    return replace(query, labels=((TYPE_LABEL, wanted),)) if known else query


OPERATIONS: dict[str, Handler] = {
    "BatchDescribeModelPackage": batch_describe,
    "CreateModelPackage": create,
    "DeleteModelPackage": delete,
    "DescribeModelPackage": describe,
    "ListModelPackages": Listing(
        NOUN,
        "ModelPackageSummaryList",
        lambda row: {},
        descending=False,
        item=told,
        narrow=_narrow,
    ),
    "UpdateModelPackage": update,
}

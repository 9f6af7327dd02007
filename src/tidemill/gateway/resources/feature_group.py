"""FeatureGroup on the wire: which features records have, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tidemill.control import feature_group
from tidemill.errors import Conflict
from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.listing import Listing, by_labels
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.wire.errors import Fault, invalid
from tidemill.spec.feature_group import MOST_FEATURES, RESERVED
from tidemill.storage import uri
from tidemill.store.base import Query, Row

NOUN = Noun(
    "feature_group",
    "FeatureGroup",
    unknown="Resource Not Found: Amazon SageMaker can't find a FeatureGroup with name {name}",
    taken="Resource Already Exists: FeatureGroup with name {name} already exists. Choose a "
    "different name.",
    unknown_code="ResourceNotFound",
    taken_code="ResourceInUse",
)
MOST_PARAMETERS = 25
_CONFIGS: tuple[str, ...] = ("OnlineStoreConfig", "ThroughputConfig")


def named(call: Call) -> str:
    """The name that the request gives, itself or as an ARN of the caller's region."""
    return name_of(call, call.request[NOUN.key])


def name_of(call: Call, given: str) -> str:
    """A group's name of its name or ARN; an ARN of elsewhere is left as it is, and not found."""
    _, _, name = given.rpartition("/")
    return name if given in (name, call.arn(NOUN.kind, name)) else given


def create(call: Call) -> dict[str, Any]:
    _check(call.request)
    kept = {name: value for name, value in call.request.items() if name != "Tags"}
    name = call.request[NOUN.key]
    return NOUN.create(
        call, lambda tags: feature_group.create(call.verbs, call.region, name, kept, tags)
    )


def describe(call: Call) -> dict[str, Any]:
    row = NOUN.find(call, named(call))
    if "NextToken" in call.request:  # all features fit into one answer
        raise invalid("Invalid NextToken: it was not issued by DescribeFeatureGroup.")
    return call.echo(told(call, row))


def told(call: Call, row: Row) -> dict[str, Any]:
    """All that is known of a group."""
    state, request = row.document["state"], row.document["request"]
    updated = {"LastUpdateStatus": {"Status": "Successful"}} if state.get("updated") else {}
    failure = {"FailureReason": state["failure"]} if state.get("failure") else {}
    return {
        **request,
        **_offline(row, call.platform.account),
        NOUN.arn_key: call.arn(row.kind, row.name),
        "CreationTime": row.created,
        "LastModifiedTime": row.modified,
        **_standing(row),
        **updated,
        **failure,
    }


def update(call: Call) -> dict[str, Any]:
    """Adds features, or changes how the online store keeps records."""
    asked = call.request
    name = named(call)
    row = NOUN.find(call, name)
    if "FeatureAdditions" in asked and "OnlineStoreConfig" in asked:
        raise invalid(
            "FeatureAdditions and OnlineStoreConfig cannot be updated in one request; send two."
        )
    configs = {key: asked[key] for key in _CONFIGS if key in asked}
    _check_online(asked.get("OnlineStoreConfig", {}))
    try:
        if "FeatureAdditions" in asked:
            _add(call, row)
        if configs:
            feature_group.configure(call.verbs, call.region, name, configs)
    except Conflict as error:
        raise invalid(f"FeatureGroup {name} cannot be updated: {error}") from None
    return {NOUN.arn_key: call.arn(row.kind, name)}


def delete(call: Call) -> None:
    row = NOUN.find(call)
    call.platform.offline.delete(row)


def describe_metadata(call: Call) -> dict[str, Any]:
    row = NOUN.find(call, named(call))
    name = call.request["FeatureName"]
    defined = _definition(row, name)
    state = row.document["state"]
    told = state.get("metadata", {}).get(name, {})
    created = state.get("added", {}).get(name, row.created)
    about = {"Description": told["Description"]} if "Description" in told else {}
    parameters = told.get("Parameters", {})
    return {
        NOUN.arn_key: call.arn(row.kind, row.name),
        NOUN.key: row.name,
        "FeatureName": name,
        "FeatureType": defined["FeatureType"],
        "CreationTime": created,
        "LastModifiedTime": told.get("modified", created),
        **about,
        "Parameters": [{"Key": key, "Value": value} for key, value in parameters.items()],
    }


def update_metadata(call: Call) -> None:
    asked = call.request
    row = NOUN.find(call, named(call))
    _definition(row, asked["FeatureName"])
    about = {"Description": asked["Description"]} if "Description" in asked else {}
    gone = set(asked.get("ParameterRemovals", ()))
    added = {one["Key"]: one["Value"] for one in asked.get("ParameterAdditions", ())}

    def changed(told: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = {k: v for k, v in told.get("Parameters", {}).items() if k not in gone}
        parameters = {**kept, **added}
        if len(parameters) > MOST_PARAMETERS:
            raise invalid(
                f"A feature can have at most {MOST_PARAMETERS} parameters; got {len(parameters)}."
            )
        return {**told, **about, "Parameters": parameters}

    feature_group.annotate(call.verbs, call.region, row.name, asked["FeatureName"], changed)


def _check(request: Mapping[str, Any]) -> None:
    """What the service model does not say of a new group."""
    online: Mapping[str, Any] = request.get("OnlineStoreConfig", {})
    offline = request.get("OfflineStoreConfig")
    if not online.get("EnableOnlineStore") and offline is None:
        raise invalid(
            "At least one of OnlineStoreConfig, with EnableOnlineStore, and OfflineStoreConfig "
            "must be given."
        )
    definitions = {one["FeatureName"]: one for one in request["FeatureDefinitions"]}
    _check_definitions(request["FeatureDefinitions"])
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        _check_special(member, request[member], definitions)
    moment = definitions[request["EventTimeFeatureName"]]
    if moment["FeatureType"] == "Integral":
        raise invalid(
            "The feature that EventTimeFeatureName names must be of type String or Fractional; "
            f"{moment['FeatureName']} is Integral."
        )
    if request["RecordIdentifierFeatureName"] == request["EventTimeFeatureName"]:
        raise invalid("RecordIdentifierFeatureName and EventTimeFeatureName must differ.")
    _check_online(online)
    if offline is not None:
        _check_offline(offline)


def _check_definitions(definitions: Iterable[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for one in definitions:
        name = one["FeatureName"]
        if name.lower() in RESERVED:
            raise invalid(
                f"Feature name {name} is reserved. Feature names cannot be any of "
                f"{', '.join(sorted(RESERVED))}."
            )
        if name.lower() in seen:  # tables and their catalogs do not tell cases apart
            raise invalid(f"Feature names must be unique, whatever their case; {name} is not.")
        seen.add(name.lower())
        is_vector = one.get("CollectionType") == "Vector"
        if is_vector != ("CollectionConfig" in one):
            raise invalid(f"CollectionConfig goes with CollectionType Vector; see {name}.")
        if is_vector and one["FeatureType"] != "Fractional":
            raise invalid(f"Vectors must be of type Fractional; {name} is {one['FeatureType']}.")


def _check_special(member: str, name: str, definitions: Mapping[str, Mapping[str, Any]]) -> None:
    if name not in definitions:
        raise invalid(f"{member} must be one of the FeatureDefinitions; {name} is not.")
    if "CollectionType" in definitions[name]:
        raise invalid(f"The feature that {member} names must not be a collection; {name} is.")


def _check_online(config: Mapping[str, Any]) -> None:
    duration = config.get("TtlDuration", {})
    if len(duration) == 1:
        raise invalid("TtlDuration must have a Unit and a Value.")


def _check_offline(config: Mapping[str, Any]) -> None:
    if config.get("TableFormat") == "Iceberg":
        raise invalid(
            "TableFormat Iceberg is not supported by Tidemill; leave it out, or write Glue."
        )
    where = config["S3StorageConfig"]["S3Uri"]
    try:
        uri.parse(where)
    except ValueError as error:
        raise invalid(f"S3StorageConfig.S3Uri: {error}") from None


def _add(call: Call, row: Row) -> None:
    additions = call.request["FeatureAdditions"]
    _check_definitions([*row.document["request"]["FeatureDefinitions"], *additions])
    if len(row.document["request"]["FeatureDefinitions"]) + len(additions) > MOST_FEATURES:
        raise Fault(
            "ResourceLimitExceeded", f"A feature group can have at most {MOST_FEATURES} features."
        )
    feature_group.add(call.verbs, call.region, row.name, additions)


def _definition(row: Row, name: str) -> Mapping[str, Any]:
    for one in row.document["request"]["FeatureDefinitions"]:
        if one["FeatureName"] == name:
            found: Mapping[str, Any] = one
            return found
    raise Fault(
        "ResourceNotFound",
        f"Resource Not Found: Amazon SageMaker can't find a feature with name {name} in "
        f"FeatureGroup {row.name}",
    )


def _offline(row: Row, account: str) -> dict[str, Any]:
    """What was said of the offline store, and what follows from it."""
    said = row.document["request"].get("OfflineStoreConfig")
    if said is None:
        return {}
    place = {**said["S3StorageConfig"], "ResolvedOutputS3Uri": _resolved(row, account)}
    catalog = {
        "TableName": feature_group.table_name(row),
        "Catalog": "AwsDataCatalog",
        "Database": "sagemaker_featurestore",
    }
    has_table = not said.get("DisableGlueTableCreation")
    table = {"DataCatalogConfig": catalog} if has_table else {}
    return {"OfflineStoreConfig": {**table, **said, "S3StorageConfig": place}}


def _resolved(row: Row, account: str) -> str:
    return feature_group.resolved_uri(row, account)


def _standing(row: Row) -> dict[str, Any]:
    return {
        "FeatureGroupStatus": row.status,
        "OfflineStoreStatus": row.document["state"]["offline"],
    }


def _narrow(call: Call, query: Query) -> Query:
    status = call.request.get("FeatureGroupStatusEquals")
    return by_labels(OfflineStoreStatusEquals=feature_group.OFFLINE)(
        call, replace(query, status=status)
    )


OPERATIONS: dict[str, Handler] = {
    "CreateFeatureGroup": create,
    "DescribeFeatureGroup": describe,
    "UpdateFeatureGroup": update,
    "DeleteFeatureGroup": delete,
    "ListFeatureGroups": Listing(NOUN, "FeatureGroupSummaries", _standing, narrow=_narrow),
    "DescribeFeatureMetadata": describe_metadata,
    "UpdateFeatureMetadata": update_metadata,
}

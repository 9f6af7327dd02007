"""The published SageMaker SDK (version 2) on Tidemill's feature store: define, ingest, read.

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_feature_store.py
"""

import time

import pandas as pd
import sagemaker
from sagemaker.feature_store.feature_group import FeatureGroup
from sagemaker.feature_store.feature_store import FeatureStore
from sagemaker.feature_store.inputs import FeatureParameter, FeatureValue, Identifier, TtlDuration

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
session = sagemaker.Session(default_bucket="sagemaker-examples")
visits = pd.DataFrame(
    {
        "customer": pd.Series(["ada", "bob", "ada", "ada"], dtype="string"),
        "at": [1_706_702_400.0, 1_706_702_401.0, 1_706_702_403.0, 1_706_702_402.0],
        "visits": [1, 1, 3, 2],
        "spent": [9.5, 0.0, 12.25, 10.0],
    }
)


def create() -> FeatureGroup:
    """A group with the features of the frame, online and offline."""
    group = FeatureGroup(f"visits-{int(time.time())}", sagemaker_session=session)
    group.load_feature_definitions(visits)
    group.create(
        s3_uri=f"s3://{session.default_bucket()}/features",
        record_identifier_name="customer",
        event_time_feature_name="at",
        role_arn=ROLE,
        enable_online_store=True,
        description="how often customers come",
    )
    while group.describe()["FeatureGroupStatus"] == "Creating":
        time.sleep(1)
    return group


def read(group: FeatureGroup) -> dict[str, str]:
    """The newest record of a customer, one by one and in a batch."""
    record = group.get_record("ada")
    store = FeatureStore(sagemaker_session=session)
    batch = session.boto_session.client("sagemaker-featurestore-runtime").batch_get_record(
        Identifiers=[Identifier(group.name, ["ada", "bob"]).to_dict()]
    )
    assert [one["Record"] for one in batch["Records"]][0] == record
    assert group.name in str(store.list_feature_groups(name_contains="visits-"))
    return {one["FeatureName"]: one["ValueAsString"] for one in record}


def change(group: FeatureGroup) -> None:
    """Features have descriptions; groups get features; records expire, and are deleted."""
    group.update_feature_metadata(
        "visits", description="so far", parameter_additions=[FeatureParameter("team", "web")]
    )
    assert group.describe_feature_metadata("visits")["Description"] == "so far"
    day = TtlDuration(unit="Days", value=1)
    assert group.list_tags() == []
    group.put_record(
        [
            FeatureValue("customer", value_as_string="cy"),
            FeatureValue("at", value_as_string=str(time.time())),
        ],
        ttl_duration=day,
    )
    assert group.get_record("cy")
    group.delete_record("cy", event_time=str(time.time() + 1))
    assert group.get_record("cy") is None


if __name__ == "__main__":
    customers = create()
    customers.ingest(data_frame=visits, max_workers=2, wait=True)
    found = read(customers)
    assert found == {"customer": "ada", "at": "1706702403.0", "visits": "3", "spent": "12.25"}
    change(customers)
    customers.delete()
    print(f"{found['customer']} visited {found['visits']} times, spent {found['spent']}")

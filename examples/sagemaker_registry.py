"""The published SageMaker SDK (version 2) with Tidemill's model registry: register, deploy, tell.

tidemill up --detach
eval "$(tidemill env)"
python examples/sagemaker_registry.py
"""

import numpy as np
import sagemaker
from sagemaker import image_uris
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import ModelPackage
from sagemaker.model_card import IntendedUses, ModelCard, ModelOverview, RiskRatingEnum
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer

ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"
GROUP = "seasons"
session = sagemaker.Session(default_bucket="sagemaker-examples")
client = session.sagemaker_client


def trained() -> Estimator:
    """K-means on four blobs."""
    draw = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    points = centres[draw.integers(0, 4, 1_000)] + draw.normal(size=(1_000, 2))
    uri = sagemaker.s3.S3Uploader.upload_string_as_file_body(
        "\n".join(f"{x:.5f},{y:.5f}" for x, y in points),
        f"s3://{session.default_bucket()}/seasons/points.csv",
        sagemaker_session=session,
    )
    estimator = Estimator(
        image_uris.retrieve("kmeans", session.boto_region_name),
        ROLE,
        1,
        "ml.m5.large",
        sagemaker_session=session,
        hyperparameters={"k": 4, "feature_dim": 2},
    )
    estimator.fit({"train": TrainingInput(uri, content_type="text/csv")}, wait=False)
    client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=estimator.latest_training_job.name, WaiterConfig={"Delay": 1}
    )
    return estimator


def register(estimator: Estimator) -> ModelPackage:
    """The next version of the group, which is made for the first."""
    return estimator.register(
        ["text/csv"],
        ["application/json"],
        ["ml.m5.large"],
        ["ml.m5.large"],
        model_package_group_name=GROUP,
        description="Four seasons",
        customer_metadata_properties={"team": "mill"},
    )


def serve(package: ModelPackage) -> int:
    """How many clusters a deployed version tells of the four corners."""
    package.predictor_cls = Predictor
    predictor = package.deploy(1, "ml.m5.large", endpoint_name="seasons", wait=False)
    client.get_waiter("endpoint_in_service").wait(  # the SDK would look every 30 s
        EndpointName="seasons", WaiterConfig={"Delay": 1}
    )
    predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
    answers = predictor.predict([[0, 0], [10, 0], [0, 10], [10, 10]])["predictions"]
    predictor.delete_model()
    predictor.delete_endpoint()
    return len({answer["closest_cluster"] for answer in answers})


def describe(package: ModelPackage) -> int:
    """Write a card, change it, and tell its newest version."""
    card = ModelCard(
        name=GROUP,
        status="Draft",
        model_overview=ModelOverview(model_name=GROUP, model_id=package.model_package_arn),
        intended_uses=IntendedUses(purpose_of_model="Sorting", risk_rating=RiskRatingEnum.LOW),
        sagemaker_session=session,
    )
    card.create()
    card.intended_uses.factors_affecting_model_efficiency = "Rain"
    card.update(status="Approved")
    return ModelCard.load(GROUP, sagemaker_session=session).version


if __name__ == "__main__":
    estimator = trained()
    packages = [register(estimator), register(estimator)]
    versions = [package.model_package_arn.rpartition("/")[2] for package in packages]
    assert versions == ["1", "2"], versions
    assert session.get_most_recently_created_approved_model_package(GROUP) is None
    clusters = serve(packages[1])  # the SDK approves what it deploys
    newest = session.get_most_recently_created_approved_model_package(GROUP)
    assert newest.model_package_arn == packages[1].model_package_arn
    newest.update_approval_status("Rejected", approval_description="Another summer")
    told = client.describe_model_package(ModelPackageName=newest.model_package_arn)
    assert told["ModelApprovalStatus"] == "Rejected"
    assert told["CustomerMetadataProperties"] == {"team": "mill"}
    assert "training_arn" in told["ModelCard"]["ModelCardContent"]  # found by the SDK
    card = describe(packages[1])
    for package in packages:
        client.delete_model_package(ModelPackageName=package.model_package_arn)
    client.delete_model_package_group(ModelPackageGroupName=GROUP)
    print(f"2 versions, {clusters} clusters, card version {card}")

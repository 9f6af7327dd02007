"""Train, host and ask a k-means model with nothing but boto3 and AWS_ENDPOINT_URL.

Run it against a platform on this machine:

    tidemill up --detach
    eval "$(tidemill env)"
    python examples/boto3_end_to_end.py
"""

import json
import random
import time

import boto3

BUCKET = f"clusters-{time.time_ns()}"
NAME = f"clusters-{time.time_ns()}"
CENTRES = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)]
REGION = boto3.session.Session().region_name or "us-east-1"
IMAGE = f"382416733822.dkr.ecr.{REGION}.amazonaws.com/kmeans:1"
ROLE = "arn:aws:iam::123456789012:role/service-role/Anything"

s3 = boto3.client("s3")
sagemaker = boto3.client("sagemaker")
runtime = boto3.client("sagemaker-runtime")


def rows(count: int) -> str:
    """Points around the three centres, as CSV."""
    source = random.Random(0)
    points = (CENTRES[i % 3] for i in range(count))
    return "".join(f"{source.gauss(x, 1):.4f},{source.gauss(y, 1):.4f}\n" for x, y in points)


def train() -> str:
    """A training job, waited for with boto3's own waiter; its model's URI."""
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="points/points.csv", Body=rows(3_000).encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/points/"}
    sagemaker.create_training_job(
        TrainingJobName=NAME,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters={"k": "3", "feature_dim": "2", "mini_batch_size": "500"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": source},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/models/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    job = sagemaker.describe_training_job(TrainingJobName=NAME)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def host(model_uri: str) -> None:
    """A model, a configuration and an endpoint in service."""
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_uri},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=NAME,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": NAME,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def ask() -> list[int]:
    """The clusters of the three centres."""
    answer = runtime.invoke_endpoint(
        EndpointName=NAME,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps({"instances": [{"features": centre} for centre in CENTRES]}),
    )
    return [int(p["closest_cluster"]) for p in json.load(answer["Body"])["predictions"]]


def clean_up() -> None:
    """Delete all that was made."""
    sagemaker.delete_endpoint(EndpointName=NAME)
    waiter = sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
    sagemaker.delete_model(ModelName=NAME)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        keys = [{"Key": item["Key"]} for item in page["Contents"]]
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
    s3.delete_bucket(Bucket=BUCKET)


if __name__ == "__main__":
    host(train())
    clusters = ask()
    assert sorted(clusters) == [0, 1, 2], clusters
    clean_up()
    print("the three centres fell into clusters", clusters)

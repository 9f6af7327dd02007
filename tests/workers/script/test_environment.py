"""The variables are those of SageMaker's training toolkit, to the letter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tidemill.workers.script.environment import Situation, training_env, variables

GROUP = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large"}
RESOURCES = {
    "current_host": "algo-1",
    "current_instance_type": "ml.m5.large",
    "current_group_name": "homogeneousCluster",
    "hosts": ["algo-1", "algo-2"],
    "instance_groups": [{**GROUP, "hosts": ["algo-1", "algo-2"]}],
    "network_interface_name": "eth0",
}
INPUTS = {"train": {"TrainingInputMode": "File"}}
SITUATION = Situation(
    base=Path("/opt/ml"),
    job="sgd-1",
    program="train.py",
    submitted="s3://b/sgd-1/source/sourcedir.tar.gz",
    framework_module="sagemaker_sklearn_container.training:main",
    channels=["validation", "train"],
    parameters={"batch-size": 32, "alpha": 0.5, "name": "a b", "none": None, "layers": [64, 2]},
    framework_parameters={"sagemaker_instance_type": "ml.m5.large"},
    resources=RESOURCES,
    inputs=INPUTS,
    cpus=4,
    gpus=0,
)


def test_every_variable_is_there_as_text_or_compact_json() -> None:
    found = variables(SITUATION)
    groups = {"homogeneousCluster": RESOURCES["instance_groups"][0]}  # type: ignore[index]

    def compact(value: object) -> str:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    assert found.pop("SM_TRAINING_ENV") == compact(training_env(SITUATION))
    assert found == {
        "SM_CHANNELS": '["train","validation"]',
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CHANNEL_VALIDATION": "/opt/ml/input/data/validation",
        "SM_CURRENT_HOST": "algo-1",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1","algo-2"]',
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_instance_type":"ml.m5.large"}',
        "SM_HOSTS": '["algo-1","algo-2"]',
        "SM_HPS": '{"alpha":0.5,"batch-size":32,"layers":[64,2],"name":"a b","none":null}',
        "SM_HP_ALPHA": "0.5",
        "SM_HP_BATCH-SIZE": "32",
        "SM_HP_LAYERS": "[64,2]",
        "SM_HP_NAME": "a b",
        "SM_HP_NONE": "",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_INPUT_DATA_CONFIG": '{"train":{"TrainingInputMode":"File"}}',
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INSTANCE_GROUPS": '["homogeneousCluster"]',
        "SM_INSTANCE_GROUPS_DICT": compact(groups),
        "SM_IS_HETERO": "false",
        "SM_LOG_LEVEL": "20",
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_MODULE_DIR": "s3://b/sgd-1/source/sourcedir.tar.gz",
        "SM_MODULE_NAME": "train",
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_NUM_CPUS": "4",
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
        "SM_RESOURCE_CONFIG": compact(RESOURCES),
        "SM_USER_ARGS": compact(
            ["--alpha", "0.5", "--batch-size", "32", "--layers", "[64, 2]"]
            + ["--name", "a b", "--none", ""]
        ),
        "SM_USER_ENTRY_POINT": "train.py",
    }


def test_the_first_host_is_the_master() -> None:
    second = replace(SITUATION, resources={**RESOURCES, "current_host": "algo-2"})
    assert training_env(SITUATION)["is_master"]
    found = training_env(second)
    assert (found["is_master"], found["master_hostname"]) == (False, "algo-1")
    assert found["channel_input_dirs"]["train"] == "/opt/ml/input/data/train"
    assert (found["job_name"], found["hyperparameters"]["alpha"]) == ("sgd-1", 0.5)

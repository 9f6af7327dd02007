"""Lifecycle configs on the wire: what notebooks and studio apps run when they start."""

from __future__ import annotations

from tidemill.gateway.call import Handler
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record

NOTEBOOK = Noun(
    "notebook_instance_lifecycle_config",
    "NotebookInstanceLifecycleConfig",
    unknown="Unable to describe Notebook Instance Lifecycle Config '{arn}'. (Details: Notebook "
    "Instance Lifecycle Config does not exist.)",
    taken="Unable to create Notebook Instance Lifecycle Config {arn}. (Details: Notebook Instance "
    "Lifecycle Config already exists.)",
)
STUDIO = Noun(
    "studio_lifecycle_config",
    "StudioLifecycleConfig",
    unknown='StudioLifecycleConfig "{arn}" does not exist.',
    taken='StudioLifecycleConfig "{arn}" already exists.',
    unknown_code="ResourceNotFound",
    taken_code="ResourceInUse",
)
OPERATIONS: dict[str, Handler] = {
    **Record(
        NOTEBOOK,
        "NotebookInstanceLifecycleConfigs",
        "NotebookInstanceLifecycleConfigs",
        changes=("OnCreate", "OnStart"),
    ).operations(),
    **Record(STUDIO, "StudioLifecycleConfigs", "StudioLifecycleConfigs").operations(),
}

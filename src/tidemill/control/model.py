"""Models: a record of what could be served; nothing runs for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tidemill.control.verbs import Verbs
from tidemill.spec.model import Container, Model
from tidemill.store.base import Row

KIND = "model"


def create(verbs: Verbs, model: Model, request: Mapping[str, Any], tags: Mapping[str, str]) -> Row:
    """Write a model down; raises Conflict when the name is taken."""
    document = {"request": dict(request), "spec": asdict(model), "state": {}}
    return verbs.create(KIND, model.region, model.name, document, "", tags)


def delete(verbs: Verbs, region: str, name: str) -> None:
    """Forget a model; endpoints that serve it go on. Raises NotFound."""
    verbs.delete(KIND, region, name)


def spec(row: Row) -> Model:
    """The model that a row holds."""
    fields = row.document["spec"]
    return Model(**{**fields, "containers": tuple(Container(**c) for c in fields["containers"])})

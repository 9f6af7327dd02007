"""Context on the wire: what other lineage entities belong to, as an endpoint."""

from __future__ import annotations

from tidemill.control import lineage
from tidemill.gateway.resources.lineage_entity import LineageEntity, noun

NOUN = noun(lineage.CONTEXT, "Context")
OPERATIONS = LineageEntity(NOUN, "Contexts", ("Description",)).operations()

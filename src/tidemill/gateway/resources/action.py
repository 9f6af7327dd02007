"""Action on the wire: something that was done, as a deployment."""

from __future__ import annotations

from tidemill.control import lineage
from tidemill.gateway.resources.lineage_entity import LineageEntity, noun

NOUN = noun(lineage.ACTION, "Action")
OPERATIONS = LineageEntity(NOUN, "Actions", ("Description", "Status")).operations()

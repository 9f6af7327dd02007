"""CodeRepository on the wire: where notebooks find their code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.resources.noun import Noun
from tidemill.gateway.resources.record import Record
from tidemill.store.base import Row

NOUN = Noun(
    "code_repository",
    "CodeRepository",
    unknown='Cannot find CodeRepository: "{arn}"',
    taken='Cannot create already existing CodeRepository: "{arn}"',
)
RECORD = Record(
    NOUN, "CodeRepositories", "CodeRepositorySummaryList", sort="Name", descending=False
)


def update(call: Call) -> dict[str, Any]:
    """Only the secret that opens the repository can be changed."""
    NOUN.find(call)
    given: Mapping[str, Any] = call.request.get("GitConfig", {})

    def changed(row: Row) -> Row:
        request = row.document["request"]
        config = {**request["GitConfig"], **given}
        return replace(row, document={**row.document, "request": {**request, "GitConfig": config}})

    call.verbs.change(NOUN.kind, call.region, call.request[NOUN.key], changed)
    return {NOUN.arn_key: call.arn(NOUN.kind, call.request[NOUN.key])}


OPERATIONS: dict[str, Handler] = {**RECORD.operations(), "UpdateCodeRepository": update}

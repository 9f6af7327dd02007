"""What an earlier training left, for this one to go on from: the ``model`` channel."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tidemill.algorithms.base import Algorithm, Declaration
from tidemill.artifact import archive
from tidemill.errors import Invalid, InvalidData
from tidemill.workers import artifact

CHANNEL = "model"


def earlier_state(
    declaration: Declaration, algorithm: Algorithm[Any], files: Sequence[Path], scratch: Path
) -> Any:
    """The state of the artifact in the ``model`` channel.

    files: the channel's: a model.tar.gz, or its members · scratch: a directory to unpack into
    Raises InvalidData when they are damaged or of another algorithm.
    """
    place = f"channel {CHANNEL!r}"
    kind = type(algorithm.start())
    members = {path.name: path for path in files}
    if archive.MANIFEST in members:
        return artifact.read_state(declaration, kind, members[archive.MANIFEST].parent, place)
    if len(files) != 1:
        raise Invalid(
            f"{place}: the model.tar.gz of one earlier training job",
            got=sorted(members),
            do="Name the S3ModelArtifacts of that job as the channel's S3Uri.",
        )
    shutil.rmtree(scratch, ignore_errors=True)  # of an earlier attempt
    try:
        archive.unpack(files[0], scratch)
    except InvalidData as error:
        raise InvalidData(f"{place}: {error.wanted}", got=error.got, do=error.do) from error
    return artifact.read_state(declaration, kind, scratch, place)

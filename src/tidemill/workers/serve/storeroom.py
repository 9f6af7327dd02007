"""The models under one prefix of S3: named by their keys below it, fetched, unpacked, opened."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from tidemill import registry
from tidemill.artifact import archive
from tidemill.errors import Invalid, InvalidData, NotFound, TidemillError
from tidemill.spec.frame import Frame
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.workers import artifact
from tidemill.workers.serve.answers import Answer, Answers
from tidemill.workers.serve.refused import INVALID, Refused, failure, refusal
from tidemill.workers.serve.strikes import Strikes
from tidemill.workers.serve.weight import weigh

INSUFFICIENT_STORAGE, SERVER_ERROR = 507, 500


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A model's files. bytes: on disk · expected: in memory, as far as files can tell"""

    directory: Path
    bytes: int
    expected: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A model in memory. answers: as ``Answers`` does · weigh: bytes that it takes now"""

    answers: Callable[[Sequence[Frame]], Sequence[Answer]]
    weigh: Callable[[], int]


class Storeroom:
    """prefix: S3 URI that the keys are relative to · image: of the algorithm of all the models
    directory: where they are unpacked, each to a directory of its own; what is in it is removed
    complain, accept: see ``Answers`` · strikes: knows models that end processes
    """

    def __init__(
        self,
        buckets: Buckets,
        prefix: str,
        image: str,
        directory: Path,
        complain: Callable[[str], None],
        accept: str = "",
        strikes: Strikes | None = None,
    ) -> None:
        """Raises InvalidUri, or NotFound for an image that is none of ours."""
        self._buckets, self._complain, self._accept = buckets, complain, accept
        self._opening = strikes.opening if strikes is not None else nullcontext
        self._declaration = registry.declaration(image)
        self._bucket, key = uri.parse(prefix)
        self._prefix = key if not key or key.endswith("/") else f"{key}/"
        self._directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)

    @property
    def title(self) -> str:
        """What the models are, in words."""
        return f"{self._declaration.title} models below s3://{self._bucket}/{self._prefix}"

    def unpack(self, name: str) -> Unpacked:
        """Bring a model onto this disk. Raises Refused."""
        key = self._prefix + name
        directory = self._directory / hashlib.sha256(name.encode()).hexdigest()
        shutil.rmtree(directory, ignore_errors=True)  # of an attempt that failed
        try:
            archive.unpack(self._buckets.path(self._bucket, key), directory)
            files = {path: path.stat().st_size for path in directory.rglob("*") if path.is_file()}
        except NotFound:
            raise Refused(refusal(INVALID, _not_there(self._bucket, key))) from None
        except InvalidData as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise Refused(refusal(INVALID, _not_opened(self._bucket, key, error))) from None
        total = sum(files.values())
        return Unpacked(directory, total, files.get(directory / archive.MODEL, total))

    def open(self, name: str, files: Unpacked) -> Opened:
        """Read a model into memory. Raises Refused."""
        try:
            with self._opening(name):
                model = artifact.read_model(self._declaration, files.directory, name)
        except (TidemillError, OSError) as error:
            raise Refused(failure(SERVER_ERROR, f"Model {name} does not load: {error}")) from None
        except MemoryError:
            raise Refused(failure(INSUFFICIENT_STORAGE, too_large(name, "the machine"))) from None
        answers = Answers(model, self._declaration, self._complain, self._accept)
        return Opened(answers, lambda: weigh(model))

    def discard(self, files: Unpacked) -> None:
        """Remove a model's files."""
        shutil.rmtree(files.directory, ignore_errors=True)


def canonical(target: str) -> str:
    """The one name of a model, whichever way its key is written; raises Invalid.

    SageMaker's SDK lists keys with a slash in front where the prefix ends without one.

    >>> canonical("/nl/ams.tar.gz")
    'nl/ams.tar.gz'
    """
    name = target.removeprefix("/")
    if not name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Invalid(
            "TargetModel must be the key of a model.tar.gz below ModelDataUrl",
            got=target,
            do="Leave out empty parts, '.' and '..'.",
        )
    return name


def too_large(name: str, what: str) -> str:
    """Of a model that no unloading makes room for. what: it does not fit into"""
    return f"Model {name} does not fit into the memory of {what}. Raise it, or shrink the model."


def _not_there(bucket: str, key: str) -> str:
    """AWS's words."""
    return (
        f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is "
        "an object located at the URL and that the role passed to CreateModel has permissions to "
        "download the model."
    )


def _not_opened(bucket: str, key: str, error: TidemillError) -> str:
    return (
        f"Failed to extract model data archive from URL s3://{bucket}/{key}. Please ensure that "
        f"the object located at the URL is a valid tar.gz archive. ({error})"
    )

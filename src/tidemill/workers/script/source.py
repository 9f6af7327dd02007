"""A job's source: what was submitted, as files in the directory of its code."""

from __future__ import annotations

import shutil
from pathlib import Path

from tidemill.artifact import archive
from tidemill.artifact.inflate import Limits
from tidemill.errors import Invalid, InvalidData, NotFound
from tidemill.storage import keys, uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.opt_ml import OptMl

LIMITS = Limits(bytes=4 << 30, files=50_000)
_DO = "Upload source_dir as the SDK does: a tar.gz of plain files, or a prefix in S3."


def fetch(submitted: str, buckets: Buckets, opt_ml: OptMl, code: Path) -> None:
    """Bring it into ``code``, in place of what is there.

    submitted: S3 URI of a tar.gz, or prefix of the files; or a directory or tar.gz that a command
    would find below /opt/ml (a channel's). Raises Invalid, NotFound.
    """
    shutil.rmtree(code, ignore_errors=True)  # of an earlier attempt
    if "://" in submitted:
        _from_s3(submitted, buckets, code)
    else:
        _from_home(submitted, opt_ml, code)
    for path in code.rglob("*"):
        if path.is_file():
            _mark(path)


def _from_s3(submitted: str, buckets: Buckets, code: Path) -> None:
    bucket, key = uri.parse(submitted)
    try:
        _unpack(buckets.path(bucket, key), submitted, code)
        return
    except NotFound:
        prefix = key.rstrip("/") + "/"
    found = [o.key for o in buckets.list(bucket, prefix) if not o.key.endswith("/")]
    if not found:
        raise NotFound("the source (sagemaker_submit_directory) in S3", got=submitted, do=_DO)
    for each in found:
        parts = keys.plain(each.removeprefix(prefix))
        if parts is not None:
            target = code.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(buckets.path(bucket, each), target)


def _from_home(submitted: str, opt_ml: OptMl, code: Path) -> None:
    place = opt_ml.meant(submitted)
    if place == code or place is None or not place.resolve().is_relative_to(opt_ml.home):
        place = None
    if place is not None and place.is_dir():
        shutil.copytree(place, code)
    elif place is not None and place.is_file():
        _unpack(place, submitted, code)
    else:
        raise Invalid(
            "the source (sagemaker_submit_directory) in S3, or of a channel below /opt/ml",
            got=submitted,
            do=_DO,
        )


def _unpack(path: Path, submitted: str, code: Path) -> None:
    try:
        archive.unpack(path, code, LIMITS)
    except InvalidData as error:
        what = "a readable source (sagemaker_submit_directory)"
        raise InvalidData(f"{what} at {submitted}: {error.wanted}", got=error.got, do=_DO) from None


def _mark(path: Path) -> None:
    """What begins like a script may be executed: an unpacked file has lost the right."""
    with path.open("rb") as file:
        is_script = file.read(2) == b"#!"
    if is_script or path.suffix == ".sh":
        path.chmod(0o755)

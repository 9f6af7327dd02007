"""Uploads in parts: each part is a file with a record beside it, joined when all have come."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from tidemill.storage import keys
from tidemill.storage.bucket import Buckets, Check
from tidemill.storage.checksum import CRCS, combined, composite
from tidemill.storage.draft import Draft
from tidemill.storage.errors import InvalidPart, InvalidPartOrder, NoSuchUpload, PartTooSmall
from tidemill.storage.metadata import Metadata, ObjectInfo

SMALLEST_PART = 5 << 20
MOST_PARTS = 10_000
FULL, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
_FORGOTTEN_AFTER = 7 * 86_400.0  # seconds since the last part


@dataclass(frozen=True, slots=True)
class Part:
    """etag: MD5 in hex · checksums: algorithm → digest in hex · modified: epoch seconds"""

    number: int
    size: int
    etag: str
    modified: float
    checksums: Mapping[str, str] = field(default_factory=dict)
    file: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """algorithm: of the checksum that the parts carry ("" for none) · checksum_type: whether the
    object's is taken over all bytes or over the parts' checksums · started: epoch seconds
    """

    id: str
    key: str
    started: float
    metadata: Metadata = field(default_factory=Metadata)
    algorithm: str = ""
    checksum_type: str = COMPOSITE


class Uploads:
    """The unfinished uploads of all buckets."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._layout = buckets.layout

    def create(
        self,
        bucket: str,
        key: str,
        about: Metadata,
        algorithm: str = "",
        checksum_type: str = COMPOSITE,
    ) -> Upload:
        """A new upload with a fresh id."""
        self._buckets.require(bucket)
        keys.check_key(key)
        upload = Upload(secrets.token_hex(16), key, time.time(), about, algorithm, checksum_type)
        home = self._layout.uploads(bucket) / upload.id
        home.mkdir(parents=True)
        _write(home / "upload.json", self._layout.new_draft(), asdict(upload))
        return upload

    def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NoSuchUpload."""
        self._buckets.require(bucket)
        upload = self._read(self._layout.uploads(bucket) / upload_id) if _is_id(upload_id) else None
        if upload is None or upload.key != key:
            raise NoSuchUpload(
                f"an unfinished upload to {key!r}", got=upload_id, do="Start a new upload."
            )
        return upload

    def put_part(self, bucket: str, upload: Upload, number: int, draft: Draft) -> Part:
        """Keep a part, or replace it."""
        home = self._layout.uploads(bucket) / upload.id
        checksums = {name: digest.hex() for name, digest in draft.checksums.items()}
        name = f"{number:05d}-{secrets.token_hex(8)}"
        part = Part(number, draft.size, draft.md5.hex(), time.time(), checksums, name)
        with self._layout.lock(bucket):
            self.find(bucket, upload.key, upload.id)
            before = _part(home / f"{number:05d}.json")
            draft.keep(home / name)
            _write(home / f"{number:05d}.json", self._layout.new_draft(), asdict(part))
            if before is not None:
                (home / before.file).unlink(missing_ok=True)
        return part

    def parts(self, bucket: str, upload: Upload) -> list[Part]:
        """Those that have come, by number."""
        home = self._layout.uploads(bucket) / upload.id
        found = (_part(path) for path in sorted(home.glob("[0-9]*.json")))
        return [part for part in found if part is not None]

    def complete(
        self,
        bucket: str,
        upload: Upload,
        wanted: Sequence[tuple[int, str]],
        *,
        verify: Callable[[Mapping[int, Part], Mapping[str, str]], None] | None = None,
        check: Check | None = None,
    ) -> ObjectInfo:
        """Join the parts (number, etag) into the object; takes time as the bytes are copied.

        verify: is shown the parts by number and the object's checksums, and may raise.
        """
        home = self._layout.uploads(bucket) / upload.id
        known = {part.number: part for part in self.parts(bucket, upload)}
        chosen = _chosen(known, wanted)
        sums = _checksums(upload, chosen)
        if verify:
            verify(known, sums)
        about = replace(upload.metadata, checksums=sums, parts=tuple(p.size for p in chosen))
        digest = hashlib.md5(
            b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False
        )
        with self._buckets.draft() as draft:
            try:
                for part in chosen:
                    draft.append(home / part.file)
            except FileNotFoundError:
                self.find(bucket, upload.key, upload.id)  # somebody ended it meanwhile
                raise
            etag = f"{digest.hexdigest()}-{len(chosen)}"
            info = self._buckets.commit(draft, bucket, upload.key, about, etag=etag, check=check)
        shutil.rmtree(home, ignore_errors=True)
        return info

    def abort(self, bucket: str, upload: Upload) -> None:
        """Forget the upload and its parts."""
        shutil.rmtree(self._layout.uploads(bucket) / upload.id, ignore_errors=True)

    def list(self, bucket: str, prefix: str = "") -> list[Upload]:
        """The unfinished uploads, by key and then by time."""
        self._buckets.require(bucket)
        found = (self._read(home) for home in _children(self._layout.uploads(bucket)))
        wanted = [u for u in found if u is not None and u.key.startswith(prefix)]
        return sorted(wanted, key=lambda upload: (upload.key.encode(), upload.started, upload.id))

    def sweep(self) -> None:
        """Forget uploads that nobody has touched for a week; call it at start."""
        old = time.time() - _FORGOTTEN_AFTER
        for bucket in _children(self._layout.own / "uploads"):
            for home in _children(bucket):
                with suppress(FileNotFoundError):
                    if home.stat().st_mtime < old:
                        shutil.rmtree(home, ignore_errors=True)

    def _read(self, home: Path) -> Upload | None:
        try:
            known = orjson.loads((home / "upload.json").read_bytes())
            about = {**known.pop("metadata"), "parts": ()}
            return Upload(**known, metadata=Metadata(**about))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _chosen(known: Mapping[int, Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    numbers = [number for number, _ in wanted]
    if any(a >= b for a, b in zip(numbers, numbers[1:], strict=False)):
        raise InvalidPartOrder("parts in ascending order", got=numbers[:50], do="Sort them.")
    for number, etag in wanted:
        if number not in known or known[number].etag != etag:
            got = known[number].etag if number in known else "no such part"
            raise InvalidPart(
                f"part {number} with etag {etag!r}", got=got, do="Upload the part again."
            )
    for number in numbers[:-1]:
        if known[number].size < SMALLEST_PART:
            raise PartTooSmall(
                f"part {number}, which is not the last, of at least {SMALLEST_PART} bytes",
                got=known[number].size,
                do="Upload larger parts.",
            )
    return [known[number] for number in numbers]


def _checksums(upload: Upload, chosen: Sequence[Part]) -> dict[str, str]:
    """Of the object, in base64; none if a part came without."""
    name = upload.algorithm
    if not name or any(name not in part.checksums for part in chosen):
        return {}
    digests = [bytes.fromhex(part.checksums[name]) for part in chosen]
    if upload.checksum_type == FULL and name in CRCS:
        whole = combined(name, [(d, p.size) for d, p in zip(digests, chosen, strict=True)])
        return {name: b64encode(whole).decode()}
    return {name: f"{b64encode(composite(name, digests)).decode()}-{len(chosen)}"}


def _part(path: Path) -> Part | None:
    try:
        return Part(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, draft: Path, value: object) -> None:
    draft.write_bytes(orjson.dumps(value))
    draft.replace(path)


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def _children(directory: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    for name in names:
        yield directory / name

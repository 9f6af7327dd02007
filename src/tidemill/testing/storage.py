"""The laws of object stores: what every place that keeps buckets must do, said once.

Each ``check_…`` takes an empty store with one bucket, ``BUCKET``, and raises AssertionError when
its law is broken; ``CHECKS`` lists them. ``machine`` walks at random and compares the store with
a dictionary. In a test file::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_my_store_keeps(check, tmp_path):
        check(make(tmp_path))

    TestMyStore = machine(make_in_a_temporary_directory, remove_it).TestCase
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tidemill.errors import Conflict, NotFound
from tidemill.storage.listing import Page
from tidemill.storage.metadata import Metadata, ObjectInfo

BUCKET = "laws"
# Keys of the kinds that trip file systems: the same few letters, so that they meet.
ODD_KEYS = (
    "a",
    "a/",
    "a//",
    "a/b",
    "a/b/c",
    "a.b",
    "a b",
    "/",
    "/a",
    "//",
    ".",
    "..",
    "../a",
    "a/../b",
    "./a",
    "%2e%2e/a",
    "a\\b",
    "\0",
    "é",
    "😀/é",
    "x" * 255,
    "x" * 256,
    "x" * 80,
    "x" * 80 + "/",
    "d/" * 512,
    "/" * 1024,
)
PIECES = st.sampled_from(["a", "b", "/", ".", "%", "é", " ", "x" * 80, "\0", "+", "=", ","])
KEYS = st.one_of(
    st.sampled_from(ODD_KEYS),
    st.lists(PIECES, min_size=1, max_size=8)
    .map("".join)
    .filter(lambda key: len(key.encode()) <= 1024),
)

Check = Callable[[ObjectInfo | None], None]


class Store(Protocol):
    """The part of ``storage.bucket.Buckets`` that the laws are about."""

    def put_bytes(
        self, bucket: str, key: str, data: bytes, about: Metadata = ..., check: Check | None = None
    ) -> ObjectInfo: ...

    def get_bytes(self, bucket: str, key: str) -> bytes: ...

    def head(self, bucket: str, key: str) -> ObjectInfo: ...

    def delete(self, bucket: str, key: str) -> bool: ...

    def list(self, bucket: str, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]: ...

    def page(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", floor: bytes = b"", limit: int
    ) -> Page: ...


def check_what_was_put_comes_back(store: Store) -> None:
    about = Metadata("text/csv", {"cache-control": "no-cache"}, {"miller": "anna"}, {"t": "1"})
    put = store.put_bytes(BUCKET, "a/b", b"grain", about)
    assert put.etag == hashlib.md5(b"grain").hexdigest()
    assert store.head(BUCKET, "a/b") == put
    assert (put.key, put.size, put.metadata) == ("a/b", 5, about)
    assert store.get_bytes(BUCKET, "a/b") == b"grain"


def check_every_key_has_its_own_bytes(store: Store) -> None:
    for key in ODD_KEYS:
        store.put_bytes(BUCKET, key, key.encode())
    for key in ODD_KEYS:
        assert store.get_bytes(BUCKET, key) == key.encode(), key


def check_the_order_of_putting_does_not_matter(store: Store) -> None:
    for key in reversed(ODD_KEYS):
        store.put_bytes(BUCKET, key, key.encode())
    assert [info.key for info in store.list(BUCKET)] == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        assert store.get_bytes(BUCKET, key) == key.encode(), key


def check_a_deleted_key_is_gone_and_no_other(store: Store) -> None:
    left = set(ODD_KEYS)
    for key in ODD_KEYS:
        store.put_bytes(BUCKET, key, b"")
    for key in ODD_KEYS:
        assert store.delete(BUCKET, key), key
        assert not store.delete(BUCKET, key), key
        left.discard(key)
        assert {info.key for info in store.list(BUCKET)} == left


def check_a_missing_thing_is_not_found(store: Store) -> None:
    for ask in (store.head, store.get_bytes):
        for bucket, key in ((BUCKET, "none"), ("no-such-bucket", "k")):
            try:
                ask(bucket, key)
            except NotFound:
                continue
            raise AssertionError(f"{bucket}/{key} was found")


def check_readers_see_a_put_whole_or_not_at_all(store: Store) -> None:
    """Bytes, etag and metadata are of one put, however many come at once."""
    bodies = [bytes([n]) * (300_000 + n) for n in range(4)]
    etags = {hashlib.md5(body).hexdigest(): n for n, body in enumerate(bodies)}
    done = threading.Event()

    def write(n: int) -> None:
        for _ in range(10):
            store.put_bytes(BUCKET, "k", bodies[n], Metadata(user={"n": str(n)}))

    def read() -> None:
        while not done.is_set():
            info = store.head(BUCKET, "k")
            n = etags[info.etag]
            assert (info.size, info.metadata.user["n"]) == (len(bodies[n]), str(n))
            assert store.get_bytes(BUCKET, "k") in bodies

    write(0)
    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, n) for n in range(4)]
        for writer in writers:
            writer.result()
        done.set()
        for reader in readers:
            reader.result()


def check_only_one_of_many_creates(store: Store) -> None:
    """What a check has seen still holds when the put happens."""

    def absent(now: ObjectInfo | None) -> None:
        if now is not None:
            raise Conflict("no object yet", got=now.key, do="Leave it.")

    def create(n: int) -> bool:
        try:
            store.put_bytes(BUCKET, "k", str(n).encode(), check=absent)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(32))) == 1


def check_two_puts_of_one_tick_differ(store: Store) -> None:
    """Same size, same moment: the metadata is still that of the last one."""
    for n in range(50):
        store.put_bytes(BUCKET, "k", b"%02d" % n, Metadata(user={"n": str(n)}))
        info = store.head(BUCKET, "k")
        assert info.etag == hashlib.md5(b"%02d" % n).hexdigest()
        assert info.metadata.user == {"n": str(n)}


def check_a_prefix_narrows_and_after_goes_on(store: Store) -> None:
    """For each beginning of each key, and after each key."""
    for key in ODD_KEYS:
        store.put_bytes(BUCKET, key, b"")
    for prefix in {key[:cut] for key in ODD_KEYS for cut in (*range(6), 80, 81, 255, 500)}:
        found = [info.key for info in store.list(BUCKET, prefix)]
        assert found == listed([*ODD_KEYS], prefix, "", "").keys, prefix
    for after in ODD_KEYS:
        found = [info.key for info in store.list(BUCKET, after=after)]
        assert found == listed([*ODD_KEYS], "", "", after).keys, after


CHECKS = (
    check_what_was_put_comes_back,
    check_every_key_has_its_own_bytes,
    check_the_order_of_putting_does_not_matter,
    check_a_deleted_key_is_gone_and_no_other,
    check_a_missing_thing_is_not_found,
    check_a_prefix_narrows_and_after_goes_on,
    check_readers_see_a_put_whole_or_not_at_all,
    check_only_one_of_many_creates,
    check_two_puts_of_one_tick_differ,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing should be, worked out from all keys at once."""

    keys: list[str]
    prefixes: list[str]


def listed(keys: list[str], prefix: str, delimiter: str, after: str) -> Listed:
    """S3's rule, said plainly: after, beginning with, folded at the delimiter."""
    out = Listed([], [])
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix) or key <= after:
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            out.keys.append(key)
        elif key[: end + len(delimiter)] not in out.prefixes:
            out.prefixes.append(key[: end + len(delimiter)])
    return out


def paged(store: Store, prefix: str, delimiter: str, limit: int) -> Listed:
    """All pages of the store's own listing; none may be short before the last."""
    out = Listed([], [])
    floor: bytes | None = b""
    while floor is not None:
        page = store.page(BUCKET, prefix=prefix, delimiter=delimiter, floor=floor, limit=limit)
        assert len(page) == limit or (page.next is None and len(page) < limit)
        out.keys.extend(info.key for info in page.objects)
        out.prefixes.extend(page.prefixes)
        floor = page.next
    return out


S = TypeVar("S", bound=Store)


class Machine(RuleBasedStateMachine):
    """Random puts, deletes and listings on a store, beside a dictionary that shall agree."""

    make: ClassVar[Callable[[], Any]]
    end: ClassVar[Callable[[Any], None]]

    @initialize()
    def begin(self) -> None:
        self.store: Store = type(self).make()
        self.known: dict[str, bytes] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            type(self).end(self.store)

    @rule(key=KEYS, data=st.binary(max_size=8))
    def put(self, key: str, data: bytes) -> None:
        self.store.put_bytes(BUCKET, key, data)
        self.known[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.store.delete(BUCKET, key) == (key in self.known)
        self.known.pop(key, None)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        try:
            assert self.store.get_bytes(BUCKET, key) == self.known[key]
        except NotFound:
            assert key not in self.known

    @rule(prefix=st.one_of(st.just(""), KEYS), after=st.one_of(st.just(""), KEYS))
    def list_after(self, prefix: str, after: str) -> None:
        found = [info.key for info in self.store.list(BUCKET, prefix, after=after)]
        assert found == listed(list(self.known), prefix, "", after).keys

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "x"]),
        delimiter=st.sampled_from(["", "/", "b", "x" * 80]),
        limit=st.integers(1, 3),
    )
    def list_in_pages(self, prefix: str, delimiter: str, limit: int) -> None:
        found = paged(self.store, prefix, delimiter, limit)
        assert found == listed(list(self.known), prefix, delimiter, "")

    @invariant()
    def holds_what_is_known(self) -> None:
        if hasattr(self, "known"):
            found = [info.key for info in self.store.list(BUCKET)]
            assert found == sorted(self.known, key=str.encode)


def machine(make: Callable[[], S], end: Callable[[S], None]) -> type[RuleBasedStateMachine]:
    """The random walk on one kind of store.

    make: a fresh store, its ``BUCKET`` made · end: clears it away.
    """
    return type("Machine", (Machine,), {"make": staticmethod(make), "end": staticmethod(end)})

"""The laws of stores: what everything that remembers must keep, said once.

Each ``check_…`` takes a fresh ``Shelf`` and raises AssertionError when its law is broken;
``CHECKS`` lists them. In a test file::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
    def test_my_store_keeps(check, tmp_path):
        check(Shelf(lambda: MyStore(tmp_path), "from my import MyStore; store = MyStore(…)"))
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tidemill.errors import Conflict, Invalid, TidemillError
from tidemill.store.base import Page, Query, Row, Store

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/a"


@dataclass(frozen=True, slots=True)
class Shelf:
    """open: the same store each time, empty at first · statement: Python that makes ``store`` of
    it in another process
    """

    open: Callable[[], Store]
    statement: str


def row(name: str, **fields: Any) -> Row:
    """A model of that name, made at time 1."""
    given = {"status": "", "created": 1.0, "modified": 1.0, "document": {}, **fields}
    return Row(**{"kind": "model", "region": "us-east-1", "name": name, **given})


def check_what_is_inserted_is_there(shelf: Shelf) -> None:
    document = {"request": {"a": [1, 2.5, None, "ü\n"]}, "state": {}}
    made = shelf.open().insert(row("a", document=document, created=1.25))
    assert made.document == document
    assert shelf.open().get("model", "us-east-1", "a") == made


def check_a_name_is_taken_once_per_kind_and_region(shelf: Shelf) -> None:
    store = shelf.open()
    store.insert(row("a"))
    with _refused(Conflict):
        store.insert(row("a"))
    store.insert(row("A"))
    store.insert(row("a", region="eu-west-1"))
    store.insert(row("a", kind="endpoint"))


def check_an_absent_row_is_none(shelf: Shelf) -> None:
    store = shelf.open()
    store.insert(row("a"))
    assert store.get("model", "us-east-1", "b") is None
    assert store.get("model", "eu-west-1", "a") is None


def check_an_update_needs_the_newest_revision(shelf: Shelf) -> None:
    store = shelf.open()
    made = store.insert(row("a"))
    newer = store.update(replace(made, status="x", document={"n": 1}))
    assert newer.revision > made.revision
    assert store.get("model", "us-east-1", "a") == newer
    with _refused(Conflict):
        store.update(replace(made, status="y"))
    with _refused(Conflict):
        store.delete(made)
    assert store.get("model", "us-east-1", "a") == newer


def check_rows_that_belong_together_are_written_together(shelf: Shelf) -> None:
    store = shelf.open()
    first = store.insert(row("mill"), beside=row("mill/1", kind="version"))
    assert store.get("version", "us-east-1", "mill/1") is not None
    store.insert(row("mill/2", kind="version"), beside=replace(first, status="changed"))
    with _refused(Conflict):  # whose revision is no longer that
        store.insert(row("mill/3", kind="version"), beside=replace(first, status="late"))
    with _refused(Conflict):
        store.insert(row("other"), beside=row("mill/1", kind="version"))
    mill = store.get("model", "us-east-1", "mill")
    assert mill is not None
    assert mill.status == "changed"
    assert store.get("version", "us-east-1", "mill/3") is None
    assert store.get("model", "us-east-1", "other") is None


def check_what_is_below_a_row_goes_with_it(shelf: Shelf) -> None:
    store = shelf.open()
    mill = store.insert(row("mill"))
    for name in ("mill/1", "mill/2", "mill", "mill2", "mill.", "mil/1"):
        store.insert(row(name, kind="version", document={"labels": {"of": [name[:4]]}}))
    store.insert(row("mill/1", kind="version", region="eu-west-1"))
    store.delete(mill, below="version")
    query = Query("version", "us-east-1")
    assert _names(store, query) == ["mill", "mill2", "mill.", "mil/1"]
    assert _names(store, replace(query, labels=(("of", "mill"),))) == ["mill", "mill2", "mill."]
    assert store.get("version", "eu-west-1", "mill/1") is not None


def check_a_row_made_again_is_another_row(shelf: Shelf) -> None:
    store = shelf.open()
    old = store.insert(row("a"))
    store.delete(old)
    assert store.get("model", "us-east-1", "a") is None
    new = store.insert(row("a"))
    assert new.serial > old.serial
    with _refused(Conflict):
        store.update(replace(old, status="x"))


def check_many_writers_lose_nothing(shelf: Shelf) -> None:
    """Sixteen threads count to eighty in one row."""
    store = shelf.open()
    store.insert(row("a", document={"n": 0}))
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(5):
                _add_one(store)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = store.get("model", "us-east-1", "a")
    assert found is not None
    assert found.document == {"n": 80}


def _add_one(store: Store) -> None:
    while True:
        found = store.get("model", "us-east-1", "a")
        assert found is not None
        try:
            store.update(replace(found, document={"n": found.document["n"] + 1}))
        except Conflict:
            continue
        return


def check_a_kill_loses_nothing_acknowledged(shelf: Shelf) -> None:
    """Another process writes and says what it has written, until it is killed."""
    shelf.open()
    program = (
        f"{shelf.statement}\nfrom tidemill.testing.store import row\n"
        "for i in range(100_000):\n"
        "    made = store.insert(row(f'n{i}'), arn=f'arn{i}', tags={'i': str(i)})\n"
        "    store.update(made)\n"
        "    print(i, flush=True)\n"
    )
    for seen in (3, 1, 5):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(seen)]
            writer.kill()
            said += [int(line) for line in writer.stdout.read().splitlines()]
        store = shelf.open()
        for i in said:
            found = store.get("model", "us-east-1", f"n{i}")
            assert found is not None
            assert store.tags(f"arn{i}") == {"i": str(i)}
        for found in store.unfinished("model", [""]):  # the next round begins anew
            store.delete(found)


def check_lists_keep_to_kind_and_region(shelf: Shelf) -> None:
    store = shelf.open()
    for kind in ("model", "endpoint"):
        for region in ("us-east-1", "eu-west-1"):
            store.insert(row("a", kind=kind, region=region))
    assert [(r.kind, r.region) for r in _all(store, _query())] == [("model", "us-east-1")]
    assert _all(store, replace(_query(), region="us-west-2")) == []


def check_lists_sort_by_everything_both_ways(shelf: Shelf) -> None:
    store = shelf.open()
    facts = {"b": (3.0, 7.0, "x"), "B": (1.0, 8.0, "z"), "a": (2.0, 9.0, "y")}
    for name, (created, modified, status) in facts.items():
        store.insert(row(name, created=created, modified=modified, status=status))
    orders: Mapping[Any, str] = {
        "name": "Bab",
        "created": "Bab",
        "modified": "bBa",
        "status": "baB",
    }
    for column, names in orders.items():
        for limit in (1, 2, 3):
            up = replace(_query(), sort_by=column, limit=limit)
            assert _names(store, up) == list(names), column
            assert _names(store, replace(up, descending=True)) == list(names[::-1]), column


def check_ties_keep_the_order_of_creation(shelf: Shelf) -> None:
    store = shelf.open()
    names = [f"n{7 * i % 10}" for i in range(10)]
    for name in names:
        store.insert(row(name))
    assert _names(store, replace(_query(), limit=3)) == names
    assert _names(store, replace(_query(), limit=3, descending=True)) == names[::-1]


def check_lists_filter(shelf: Shelf) -> None:
    store = shelf.open()
    for i, name in enumerate(["ab", "aB", "b%", "b_c"]):
        store.insert(row(name, created=float(i), modified=10.0 - i, status=["even", "odd"][i % 2]))
    wanted: list[tuple[dict[str, Any], str]] = [
        ({"name_contains": "b"}, "ab b% b_c"),
        ({"name_contains": "%"}, "b%"),
        ({"name_contains": "_"}, "b_c"),
        ({"name_contains": "B"}, "aB"),
        ({"status": "odd"}, "aB b_c"),
        ({"created_after": 1.0}, "b% b_c"),
        ({"created_before": 1.0}, "ab"),
        ({"modified_after": 9.0}, "ab"),
        ({"modified_before": 9.0}, "b% b_c"),
        ({"status": "even", "name_contains": "%", "created_after": 0.5}, "b%"),
        ({"created_after": 1e12}, ""),
    ]
    for filters, names in wanted:
        assert _names(store, replace(_query(), **filters)) == names.split(), filters
        assert _names(store, replace(_query(), limit=1, **filters)) == names.split(), filters


def check_lists_keep_to_the_names_asked_for(shelf: Shelf) -> None:
    store = shelf.open()
    _insert_a_and_b(store)
    assert _names(store, replace(_query(), names=("b2", "a1", "c"), limit=1)) == ["a1", "b2"]
    assert _names(store, replace(_query(), names=())) == []


def check_lists_find_rows_by_their_labels(shelf: Shelf) -> None:
    store = shelf.open()
    wheat = {"labels": {"grain": ["wheat", "rye"], "mill": ["m1"]}}
    made = store.insert(row("a", document=wheat))
    store.insert(row("b", document={"labels": {"grain": ["rye", "rye"], "mill": ["m2"]}}))
    store.insert(row("c", region="eu-west-1", document=wheat))
    store.insert(row("d", kind="endpoint", document=wheat))
    rye = replace(_query(), labels=(("grain", "rye"),), limit=1)
    assert _names(store, rye) == ["a", "b"]
    assert _names(store, replace(rye, labels=(*rye.labels, ("mill", "m2")))) == ["b"]
    assert _names(store, replace(rye, labels=(("mill", "rye"),))) == []
    newer = store.update(replace(made, document={"labels": {"grain": ["oats"]}}))
    assert _names(store, rye) == ["b"]
    assert _names(store, replace(rye, labels=(("grain", "oats"),))) == ["a"]
    with _refused(Conflict):
        store.update(replace(made, document=wheat))
    assert _names(store, replace(rye, labels=(("mill", "m1"),))) == []
    store.delete(newer)
    store.insert(row("a"))
    assert _names(store, replace(rye, labels=(("grain", "oats"),))) == []


def check_a_page_filters_first(shelf: Shelf) -> None:
    store = shelf.open()
    _insert_a_and_b(store)
    page = store.list(replace(_query(), name_contains="b", limit=2))
    assert [r.name for r in page.rows] == ["b1", "b2"]
    page = store.list(replace(_query(), name_contains="b", limit=2, after=page.next))
    assert ([r.name for r in page.rows], page.next) == (["b3"], None)
    assert store.list(replace(_query(), name_contains="b", limit=3)).next is None


def check_a_page_may_filter_after(shelf: Shelf) -> None:
    """As ListTrainingJobs does: the limit counts rows looked at, not rows given."""
    store = shelf.open()
    _insert_a_and_b(store)
    query = replace(_query(), name_contains="b", filter_after=True)
    for limit, names, more in ((2, [], True), (4, ["b1"], True), (6, ["b1", "b2", "b3"], False)):
        page = store.list(replace(query, limit=limit))
        assert ([r.name for r in page.rows], page.next is not None) == (names, more)
    first = store.list(replace(query, limit=2))
    rest = store.list(replace(query, limit=100, after=first.next))
    assert ([r.name for r in rest.rows], rest.next) == (["b1", "b2", "b3"], None)


def _insert_a_and_b(store: Store) -> None:
    for name in ("a1", "a2", "a3", "b1", "b2", "b3"):
        store.insert(row(name))


def check_an_empty_list_has_no_token(shelf: Shelf) -> None:
    assert shelf.open().list(_query()) == Page((), None)
    assert shelf.open().list(replace(_query(), filter_after=True)) == Page((), None)


def check_a_page_goes_on_though_rows_come_and_go(shelf: Shelf) -> None:
    store = shelf.open()
    rows = [store.insert(row(name, created=float(i))) for i, name in enumerate("abcde")]
    page = store.list(replace(_query(), limit=2))
    store.delete(rows[1])  # the very row at which the page ended
    store.delete(rows[3])
    store.insert(row("f", created=9.0))
    page = store.list(replace(_query(), after=page.next))
    assert [r.name for r in page.rows] == ["c", "e", "f"]


def check_a_token_outlives_a_restart(shelf: Shelf) -> None:
    _insert_a_and_b(shelf.open())
    page = shelf.open().list(replace(_query(), limit=5))
    assert [r.name for r in shelf.open().list(replace(_query(), after=page.next)).rows] == ["b3"]


def check_a_token_never_issued_is_refused(shelf: Shelf) -> None:
    store = shelf.open()
    _insert_a_and_b(store)
    token = store.list(replace(_query(), limit=2)).next
    assert token is not None
    swapped = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    for forged in ("", "x", "AAAA", "ü", token[:-4], token + "AAAA", swapped):
        with _refused(Invalid):
            store.list(replace(_query(), after=forged))
    elsewhere: list[dict[str, Any]] = [
        {"kind": "endpoint"},
        {"region": "eu-west-1"},
        {"sort_by": "name"},
        {"descending": True},
    ]
    for other in elsewhere:
        with _refused(Invalid):
            store.list(replace(_query(), after=token, **other))


def check_unfinished_looks_over_all_regions(shelf: Shelf) -> None:
    store = shelf.open()
    for name, region, status in (("a", "us-east-1", "x"), ("b", "eu-west-1", "y"), ("c", "r", "z")):
        store.insert(row(name, region=region, status=status))
    assert [r.name for r in store.unfinished("model", ["x", "y"])] == ["a", "b"]
    assert list(store.unfinished("model", [])) == []
    assert list(store.unfinished("endpoint", ["x"])) == []


def check_tags_keep_their_order(shelf: Shelf) -> None:
    store = shelf.open()
    assert store.tags(ARN) == {}
    tags = {"z": "1", "a": "", "m": "ü"}
    store.set_tags(ARN, tags)
    assert list(shelf.open().tags(ARN).items()) == list(tags.items())
    store.set_tags(ARN, {})
    assert store.tags(ARN) == {}


def check_tags_come_and_go_with_their_row(shelf: Shelf) -> None:
    store = shelf.open()
    made = store.insert(row("a"), arn=ARN, tags={"k": "v"})
    assert store.tags(ARN) == {"k": "v"}
    with _refused(Conflict):
        store.insert(row("a"), arn=ARN, tags={"k": "other"})
    assert store.tags(ARN) == {"k": "v"}
    store.delete(made, arn=ARN)
    assert store.tags(ARN) == {}


@contextmanager
def _refused(kind: type[TidemillError]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def _query() -> Query:
    return Query("model", "us-east-1")


def _all(store: Store, query: Query) -> list[Row]:
    """The rows of all pages."""
    rows: list[Row] = []
    while True:
        page = store.list(query)
        assert len(page.rows) <= query.limit
        rows += page.rows
        if page.next is None:
            return rows
        query = replace(query, after=page.next)


def _names(store: Store, query: Query) -> list[str]:
    return [r.name for r in _all(store, query)]


CHECKS = tuple(v for k, v in list(globals().items()) if k.startswith("check_"))

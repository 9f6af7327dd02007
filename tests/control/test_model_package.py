"""Numbers of versions: each is given once, whoever asks at the same time, whatever goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tidemill.control import model_package
from tidemill.control.verbs import Verbs
from tidemill.errors import Conflict, Invalid, NotFound
from tidemill.store.base import Row
from tidemill.store.sql import SqlStore

REGION, GROUP = "us-east-1", "mill"
REQUEST = {"ModelApprovalStatus": "Approved"}


@pytest.fixture
def verbs(tmp_path: Path) -> Iterator[Verbs]:
    store = SqlStore(f"sqlite:///{tmp_path}/tidemill.db")
    yield Verbs(store, account="123456789012", clock=time.time, wake=lambda: None)
    store.close()


def group(verbs: Verbs) -> Row:
    return verbs.create(model_package.GROUP, REGION, GROUP, {"state": {}}, "Completed")


def add(verbs: Verbs, **token: str) -> str:
    return model_package.create_version(verbs, REGION, GROUP, REQUEST, **token)


def test_a_number_is_not_given_again_when_its_version_goes(verbs: Verbs) -> None:
    group(verbs)
    assert add(verbs) == "mill/1"
    verbs.delete(model_package.KIND, REGION, "mill/1")
    assert add(verbs) == "mill/2"


def test_one_token_asked_for_at_once_is_one_version(verbs: Verbs) -> None:
    group(verbs)
    with ThreadPoolExecutor(6) as pool:
        names = set(pool.map(lambda _: add(verbs, token="t"), range(12)))
    assert names == {"mill/1"}


def test_tokens_are_forgotten_in_the_end(verbs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_package, "_TOKENS_KEPT", 3)
    group(verbs)
    for n in range(4):
        add(verbs, token=str(n))
    assert add(verbs, token="1") == "mill/2"
    assert add(verbs, token="0") == "mill/5"
    with pytest.raises(Invalid, match="ClientToken"):
        model_package.create_version(verbs, REGION, GROUP, {**REQUEST, "a": 1}, "3")


def test_no_version_is_left_of_a_group_that_went_meanwhile(verbs: Verbs) -> None:
    """Deleted while it is empty, or kept with a version: never a version without its group."""

    def must_be_empty(row: Row) -> None:
        if not model_package.is_empty(verbs, row):
            raise Conflict("an empty group", got=row.name, do="Delete its versions.")

    def race(verb: Any, barrier: threading.Barrier) -> bool:
        barrier.wait()
        try:
            verb()
        except (Conflict, NotFound):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            group(verbs)
            barrier = threading.Barrier(2)
            added = pool.submit(race, lambda: add(verbs), barrier)
            gone = pool.submit(
                race,
                lambda: verbs.delete(model_package.GROUP, REGION, GROUP, must_be_empty),
                barrier,
            )
            assert added.result() != gone.result()
            if added.result():
                verbs.delete(model_package.KIND, REGION, "mill/1")
                verbs.delete(model_package.GROUP, REGION, GROUP)

"""Hosts merge the same bytes in the same order, whoever is killed and comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.training.adder import Adder, Sum, shares, table
from tidemill.artifact.codec import to_bytes
from tidemill.training.loop import fit
from tidemill.workers.peers import FAILED, PeerFailed, Peers, give_up

HOSTS = ("algo-1", "algo-2", "algo-3")


def peers(
    directory: Path,
    host: str,
    hosts: tuple[str, ...] = HOSTS,
    wants_to_stop: Callable[[], bool] = lambda: False,
) -> Peers[Sum]:
    return Peers(Adder(), directory, host, hosts, wants_to_stop=wants_to_stop)


def state(value: float) -> Sum:
    return Sum(np.zeros(2, np.float32), np.full(2, value, np.float32))


def all_at_once(work: dict[str, Callable[[], Sum]]) -> dict[str, Sum]:
    """Run each host in a thread."""
    results: dict[str, Sum] = {}

    def run(host: str) -> None:
        results[host] = work[host]()

    threads = [threading.Thread(target=run, args=(host,)) for host in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return results


@pytest.mark.parametrize("count", [2, 3])
def test_every_host_ends_with_the_same_bytes(tmp_path: Path, count: int) -> None:
    hosts = HOSTS[:count]
    parts = dict(zip(hosts, shares(table(20), count), strict=True))

    def train(host: str) -> Callable[[], Sum]:
        meeting = peers(tmp_path, host, hosts)
        return lambda: fit(Adder(5), parts[host], merge=meeting.merge)

    found = all_at_once({host: train(host) for host in hosts})
    totals = {host: s.total.tobytes() for host, s in found.items()}
    assert len(totals) == count
    assert len(set(totals.values())) == 1


def test_merging_is_in_host_order(tmp_path: Path) -> None:
    # float32 addition is not associative: these three tell the order.
    values = dict(zip(HOSTS, (1e8, -1e8, 1.0), strict=True))
    found = all_at_once(
        {h: partial(peers(tmp_path, h).merge, state(values[h]), 0) for h in reversed(HOSTS)}
    )
    assert {s.gathered[0] for s in found.values()} == {np.float32(1.0)}


def test_what_a_host_said_once_stands(tmp_path: Path) -> None:
    hosts = HOSTS[:2]
    first = all_at_once(
        {h: partial(peers(tmp_path, h, hosts).merge, state(i), 0) for i, h in enumerate(hosts)}
    )
    again = peers(tmp_path, "algo-2", hosts).merge(state(99), 0)
    assert to_bytes(again) == to_bytes(first["algo-2"])


def test_files_of_passes_long_merged_go(tmp_path: Path) -> None:
    hosts = HOSTS[:2]

    def run(host: str) -> Callable[[], Sum]:
        meeting = peers(tmp_path, host, hosts)
        return lambda: [meeting.merge(state(1), p) for p in range(6)][-1]

    all_at_once({host: run(host) for host in hosts})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pass-000004", "pass-000005"]


def test_one_host_that_is_to_stop_stops_all_after_the_same_pass(tmp_path: Path) -> None:
    hosts = HOSTS[:2]
    meetings = {h: peers(tmp_path, h, hosts, partial("algo-2".__eq__, h)) for h in hosts}
    all_at_once({h: partial(meetings[h].merge, state(1), 0) for h in hosts})
    assert [m.over for m in meetings.values()] == [True, True]


def test_a_host_alone_writes_nothing(tmp_path: Path) -> None:
    meeting = peers(tmp_path, "algo-1", ("algo-1",))
    mine = state(3)
    assert meeting.merge(mine, 0) is mine
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_fails_ends_the_waiting_of_the_others(tmp_path: Path) -> None:
    give_up(tmp_path, "algo-2", "ClientError: channel 'train': bad row")
    assert (tmp_path / FAILED).exists()
    with pytest.raises(PeerFailed, match="bad row") as caught:
        peers(tmp_path, "algo-1").merge(state(1), 0)
    assert "algo-2" in caught.value.do

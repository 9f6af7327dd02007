"""Schedules, checked against calendars and against a search minute by minute."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Invalid
from tidemill.traffic.schedule import parse

START = datetime(2026, 1, 1, tzinfo=UTC)


def times(text: str, count: int = 3, start: datetime = START, zone: str = "UTC") -> list[str]:
    schedule, now, found = parse(text, zone, start.timestamp()), start.timestamp(), list[str]()
    for _ in range(count):
        due = schedule.after(now)
        if due is None:
            break
        found.append(datetime.fromtimestamp(due, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M"))
        now = due
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at(2026-03-01T12:30:00)", ["2026-03-01 12:30"]),
        ("at(2025-03-01T12:30:00)", []),
        ("rate(90 minutes)", ["2026-01-01 01:30", "2026-01-01 03:00", "2026-01-01 04:30"]),
        ("rate(1 day)", ["2026-01-02 00:00", "2026-01-03 00:00", "2026-01-04 00:00"]),
        ("cron(15 10 * * ? *)", ["2026-01-01 10:15", "2026-01-02 10:15", "2026-01-03 10:15"]),
        ("cron(0 18 ? * mon-fri *)", ["2026-01-01 18:00", "2026-01-02 18:00", "2026-01-05 18:00"]),
        ("cron(0/40 8 1 * ? *)", ["2026-01-01 08:00", "2026-01-01 08:40", "2026-02-01 08:00"]),
        ("cron(0 0 L * ? *)", ["2026-01-31 00:00", "2026-02-28 00:00", "2026-03-31 00:00"]),
        ("cron(0 0 LW * ? *)", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-31 00:00"]),
        ("cron(0 0 15W * ? *)", ["2026-01-15 00:00", "2026-02-16 00:00", "2026-03-16 00:00"]),
        ("cron(0 0 ? * 6L *)", ["2026-01-30 00:00", "2026-02-27 00:00", "2026-03-27 00:00"]),
        ("cron(0 0 ? * TUE#2 *)", ["2026-01-13 00:00", "2026-02-10 00:00", "2026-03-10 00:00"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("cron(0 0 30 2 ? *)", []),
        ("cron(0 0 1 1 ? 2027-2028)", ["2027-01-01 00:00", "2028-01-01 00:00"]),
    ],
)
def test_schedules_come_due(text: str, expected: list[str]) -> None:
    assert times(text) == expected


def test_times_are_of_the_wall_clock_in_winter_and_summer() -> None:
    noon = "cron(0 12 * * ? *)"
    before = datetime(2026, 3, 28, tzinfo=UTC)
    assert times(noon, 2, before, "Europe/Paris") == ["2026-03-28 12:00", "2026-03-29 12:00"]
    schedule = parse(noon, "Europe/Paris")
    first = schedule.after(before.timestamp())
    assert first is not None
    second = schedule.after(first)
    assert second is not None
    assert second - first == 23 * 3600


@given(
    st.integers(0, 59),
    st.integers(1, 30),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.integers(0, 4 * 86_400),
)
def test_nothing_comes_earlier(minute: int, step: int, hours: set[int], later: int) -> None:
    listed = ",".join(map(str, sorted(hours)))
    schedule = parse(f"cron({minute}/{step} {listed} * * ? *)")
    start = START + timedelta(seconds=later)
    due = schedule.after(start.timestamp())
    moment = start.replace(second=0) + timedelta(minutes=1)
    while not (
        moment.hour in hours and moment.minute >= minute and not (moment.minute - minute) % step
    ):
        moment += timedelta(minutes=1)
    assert due == moment.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "every day",
        "at(tomorrow)",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "cron(0 8 * * *)",
        "cron(0 8 * * * *)",
        "cron(0 8 ? * ? *)",
        "cron(60 8 * * ? *)",
        "cron(9-5 8 * * ? *)",
        "cron(0 8 ? * MOON *)",
        "cron(0 8 ? * 2#6 *)",
        "cron(0 8 ² * ? *)",
        "cron(0 8 ²W * ? *)",
        "cron(0 8 * 13 ? *)",
        "cron(0 8 * * ? 1969)",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)


def test_a_zone_is_one_of_the_table() -> None:
    for zone in ("Mars/Crater", "../../etc/passwd", "America", ""):
        with pytest.raises(Invalid):
            parse("cron(0 8 * * ? *)", zone)


@given(
    st.text(max_size=40), st.sampled_from(["at({})", "rate({})", "cron({})", "cron(0 8 {} * ? *)"])
)
def test_any_text_is_read_or_refused(text: str, form: str) -> None:
    with suppress(Invalid):
        parse(form.format(text)).after(0.0)

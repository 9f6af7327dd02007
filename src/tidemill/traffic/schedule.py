"""When something is due: ``at(…)``, ``rate(…)`` and ``cron(…)`` as AWS writes them."""

from __future__ import annotations

import calendar
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from tidemill.errors import Invalid

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
YEARS = (1970, 2199)
_FORM = re.compile(r"(at|rate|cron)\((.*)\)", re.DOTALL)
_RATE = re.compile(r"([1-9][0-9]{0,6}) (minute|hour|day)s?")
_PART = re.compile(r"(\*|[0-9A-Z]+(?:-[0-9A-Z]+)?)(?:/([1-9][0-9]{0,3}))?")
_DIGITS = re.compile(r"[0-9]{1,4}")
_SECONDS = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_DO = "Write at(2030-01-31T09:00:00), rate(5 minutes) or cron(0 9 ? * MON-FRI *)."


@dataclass(frozen=True, slots=True)
class At:
    """Once."""

    when: float

    def after(self, now: float) -> float | None:
        """The next time after that moment; None when there is none."""
        return self.when if self.when > now else None


@dataclass(frozen=True, slots=True)
class Rate:
    """Again and again, in even steps from a time on; the first after one step."""

    seconds: float
    since: float

    def after(self, now: float) -> float | None:
        """The next time after that moment."""
        return self.since + max(1.0, (now - self.since) // self.seconds + 1.0) * self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """By the calendar. days, weekdays: in AWS's words, one of them ``?`` · zone: of wall time"""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: tuple[int, ...]
    weekdays: str
    years: tuple[int, ...]
    zone: tzinfo

    def after(self, now: float) -> float | None:
        """The next time after that moment; None when there is none."""
        first = datetime.fromtimestamp(now, self.zone).date()
        for day in self._dates(first):
            for hour in self.hours:
                for minute in self.minutes:
                    when = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                    if when.timestamp() > now:
                        return when.timestamp()
        return None

    def _dates(self, first: date) -> Iterator[date]:
        for year in (y for y in self.years if y >= first.year):
            for month in self.months:
                if (year, month) >= (first.year, first.month):
                    yield from (d for d in self._in_month(year, month) if d >= first)

    def _in_month(self, year: int, month: int) -> list[date]:
        length = calendar.monthrange(year, month)[1]
        days = [date(year, month, n + 1) for n in range(length)]
        if self.weekdays == "?":
            return [day for day in days if _is_day(self.days, day, length)]
        return [day for day in days if _is_weekday(self.weekdays, day, length)]


Schedule = At | Rate | Cron


def parse(text: str, zone: str = "UTC", since: float = 0.0) -> Schedule:
    """Read a schedule. zone: of at and cron · since: from when a rate counts

    Raises Invalid.

    >>> parse("rate(5 minutes)").after(600.0)
    900.0
    >>> parse("at(1970-01-01T01:00:00)", "Europe/Paris").after(-1.0)
    0.0
    >>> noon = parse("cron(0 12 ? * MON-FRI *)")
    >>> [noon.after(day * 86_400.0) / 3600.0 for day in (0, 2)]
    [12.0, 108.0]
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise Invalid("a schedule", got=text, do=_DO)
    kind, inner = match[1], match[2].strip()
    place = _zone(zone)
    if kind == "at":
        return _at(inner, place)
    return _rate(inner, since) if kind == "rate" else _cron(inner, place)


def _zone(name: str) -> tzinfo:
    if name in ("UTC", "GMT"):  # known even where the machine has no table of zones
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            "the canonical name of a time zone", got=name, do="Write it as in Europe/Paris."
        ) from None


def _at(text: str, zone: tzinfo) -> At:
    try:
        when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        raise Invalid("a time", got=text, do=_DO) from None
    return At(when.timestamp())


def _rate(text: str, since: float) -> Rate:
    match = _RATE.fullmatch(text)
    if match is None:
        raise Invalid("a rate", got=text, do=_DO)
    return Rate(int(match[1]) * _SECONDS[match[2]], since)


def _cron(text: str, zone: tzinfo) -> Cron:
    fields = text.upper().split()
    if len(fields) != 6:
        raise Invalid("six fields of cron", got=text, do=_DO)
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise Invalid("one ? in day of month or day of week", got=text, do=_DO)
    _check_days(day, weekday)
    return Cron(
        _numbers(minute, 0, 59),
        _numbers(hour, 0, 23),
        day,
        _numbers(month, 1, 12, MONTHS),
        weekday,
        _numbers(year, *YEARS),
        zone,
    )


def _numbers(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    """Those that a field stands for, in order.

    >>> _numbers("1,10-30/10", 0, 59), _numbers("FEB", 1, 12, MONTHS), _numbers("20/20", 0, 59)
    ((1, 10, 20, 30), (2,), (20, 40))
    """
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise Invalid("a field of cron", got=text, do=_DO)
        first, _, last = match[1].partition("-")
        begin = low if first == "*" else _number(first, low, high, names)
        is_open = first == "*" or (match[2] is not None and not last)
        end = high if is_open else _number(last or first, low, high, names)
        if end < begin:
            raise Invalid("a range that goes up", got=part, do=_DO)
        found.update(range(begin, end + 1, int(match[2] or 1)))
    return tuple(sorted(found))


def _number(text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    value = (
        names.index(text) + low if text in names else int(text) if _DIGITS.fullmatch(text) else -1
    )
    if not low <= value <= high:
        raise Invalid(f"a number from {low} to {high} in cron", got=text, do=_DO)
    return value


def _check_days(day: str, weekday: str) -> None:
    """Refuse what could not be understood later."""
    if day == "?":
        if "#" in weekday:
            _nth(weekday)
        elif len(weekday) > 1 and weekday.endswith("L"):
            _number(weekday[:-1], 1, 7, DAYS)
        elif weekday != "L":
            _numbers(weekday, 1, 7, DAYS)
    elif day.endswith("W") and day != "LW":
        _number(day[:-1], 1, 31, ())
    elif day not in ("L", "LW"):
        _numbers(day, 1, 31)


def _is_day(text: str, day: date, length: int) -> bool:
    if text == "L":
        return day.day == length
    if text == "LW":
        return day == _nearest_weekday(day.replace(day=length), length)
    if text.endswith("W"):
        wanted = min(int(text[:-1]), length)
        return day == _nearest_weekday(day.replace(day=wanted), length)
    return day.day in _numbers(text, 1, 31)


def _is_weekday(text: str, day: date, length: int) -> bool:
    number = day.isoweekday() % 7 + 1  # Sunday is 1
    if "#" in text:
        wanted, times = _nth(text)
        return number == wanted and (day.day - 1) // 7 + 1 == times
    if text == "L":
        return number == 7
    if text.endswith("L"):
        return number == _number(text[:-1], 1, 7, DAYS) and day.day > length - 7
    return number in _numbers(text, 1, 7, DAYS)


def _nth(text: str) -> tuple[int, int]:
    wanted, _, times = text.partition("#")
    return _number(wanted, 1, 7, DAYS), _number(times, 1, 5, ())


def _nearest_weekday(day: date, length: int) -> date:
    """Monday to Friday, in the same month.

    >>> _nearest_weekday(date(2026, 8, 1), 31)
    datetime.date(2026, 8, 3)
    """
    if day.isoweekday() == 6:
        return day + timedelta(days=2 if day.day == 1 else -1)
    if day.isoweekday() == 7:
        return day + timedelta(days=-2 if day.day == length else 1)
    return day

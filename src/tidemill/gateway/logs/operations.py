"""CloudWatch Logs, for reading: what ``fit(logs=True)``, the aws CLI and people ask.

Every answer of GetLogEvents carries tokens, and a token at the end gives an empty page and itself:
clients stop there. DescribeLogStreams gives a token only when there is more than was asked for.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from tidemill.gateway.call import Call, Handler
from tidemill.gateway.logs import streams
from tidemill.gateway.logs.lines import Line, between
from tidemill.gateway.logs.streams import Stream
from tidemill.gateway.wire.errors import Fault

MOST_EVENTS = 10_000
MOST_BYTES = 1_000_000
_TOKEN = re.compile(r"([fb])/([0-9]{1,18})")
_TERM = re.compile(r'([-?]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')


def describe_log_groups(call: Call) -> dict[str, Any]:
    prefix = call.request.get("logGroupNamePrefix", "")
    pattern = call.request.get("logGroupNamePattern", "").lower()
    names = [g for g in streams.groups(call) if g.startswith(prefix) and pattern in g.lower()]
    shown, token = _page(call, names, lambda name: name)
    return {**token, "logGroups": [_group(call, name) for name in shown]}


def describe_log_streams(call: Call) -> dict[str, Any]:
    found = _streams(call, call.request.get("logStreamNamePrefix", ""))
    found.sort(key=lambda s: s.name, reverse=call.request.get("descending", False))
    shown, token = _page(call, found, lambda stream: stream.name)
    return {**token, "logStreams": [_stream(call, s) for s in shown]}


def get_log_events(call: Call) -> dict[str, Any]:
    """From the start or a forward token: the next lines. Else: the last ones before a point."""
    stream = _one_stream(call)
    way, position = _position(call.request.get("nextToken"))
    head = call.request.get("startFromHead", False)
    lines = between(stream.lines(), call.request.get("startTime"), call.request.get("endTime"))
    limit = _limit(call)
    if way == "f" or (way is None and head):
        after = (line for line in lines if line.start >= position)
        chosen = _filled(islice(after, limit))
    else:
        before = (line for line in lines if way is None or line.end <= position)
        chosen = _filled(reversed(deque(before, maxlen=min(limit, MOST_EVENTS))))[::-1]
    first, last = (chosen[0].start, chosen[-1].end) if chosen else (position, position)
    return {
        "events": [_event(line) for line in chosen],
        "nextForwardToken": f"f/{last}",
        "nextBackwardToken": f"b/{first}",
    }


def filter_log_events(call: Call) -> dict[str, Any]:
    """All streams' lines in order of time, those that hold the pattern's words."""
    asked = call.request
    found = _streams(call, asked.get("logStreamNamePrefix", ""))
    names = asked.get("logStreamNames")
    chosen = [s for s in found if names is None or s.name in names]
    matches = _pattern(asked.get("filterPattern", ""))
    found_lines = (
        (line.time, stream.name, line.start, line)
        for stream in chosen
        for line in between(stream.lines(), asked.get("startTime"), asked.get("endTime"))
        if matches(line.message)
    )
    _, start = _position(asked.get("nextToken"))
    limit = min(_limit(call), MOST_EVENTS)
    # Logs may be long and many: only what comes up to the end of this page is held.
    events = heapq.nsmallest(start + limit + 1, found_lines, key=lambda e: e[:3])[start:]
    shown = events[: len(_filled(e[3] for e in events[:limit]))]
    token = {"nextToken": f"f/{start + len(shown)}"} if len(shown) < len(events) else {}
    return {
        **token,
        "events": [
            {**_event(line), "logStreamName": name, "eventId": f"{time:014d}{at:042d}"}
            for time, name, at, line in shown
        ],
        "searchedLogStreams": [{"logStreamName": s.name} for s in chosen],
    }


def _streams(call: Call, prefix: str = "") -> list[Stream]:
    group = _group_name(call)
    found = streams.of_group(call, group, prefix)
    if found is None:
        raise _missing("log group")
    return found


def _one_stream(call: Call) -> Stream:
    name = call.request["logStreamName"]
    for stream in _streams(call, name):
        if stream.name == name:
            return stream
    raise _missing("log stream")


def _missing(what: str) -> Fault:
    return Fault("ResourceNotFoundException", f"The specified {what} does not exist.")


def _group_name(call: Call) -> str:
    name: str = call.request.get("logGroupName") or call.request.get("logGroupIdentifier", "")
    if not name:
        raise _invalid("logGroupName must be given.")
    return name.split(":log-group:", 1)[-1].removesuffix(":*")


def _invalid(message: str) -> Fault:
    return Fault("InvalidParameterException", message)


def _limit(call: Call) -> int:
    limit: int = call.request.get("limit", MOST_EVENTS)
    return limit


def _page(
    call: Call, found: list[Any], name: Callable[[Any], str]
) -> tuple[list[Any], dict[str, str]]:
    """A token is the name of the last one shown."""
    token, limit = call.request.get("nextToken"), call.request.get("limit", 50)
    names = [name(f) for f in found]
    if token is not None and token not in names:
        raise _invalid("The specified nextToken is invalid.")
    start = 0 if token is None else names.index(token) + 1
    end = start + limit
    return found[start:end], {"nextToken": names[end - 1]} if end < len(found) else {}


def _position(token: str | None) -> tuple[str | None, int]:
    if token is None:
        return None, 0
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise _invalid("The specified nextToken is invalid.")
    return match[1], int(match[2])


def _filled(lines: Iterable[Line]) -> list[Line]:
    """As many as one answer may hold, at least one."""
    chosen: list[Line] = []
    room = MOST_BYTES
    for line in lines:
        room -= len(line.message) + 26
        if chosen and (room < 0 or len(chosen) == MOST_EVENTS):
            break
        chosen.append(line)
    return chosen


def _pattern(text: str) -> Callable[[str], bool]:
    """All words, any of those with ``?``, none of those with ``-``; case counts."""
    if text.strip()[:1] in ("{", "[", "%"):
        raise _invalid(f"Filter patterns are words and quoted phrases here; got {text!r:.100}.")
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    for sign, quoted, word in _TERM.findall(text):
        terms[sign].append(quoted or word)

    def matches(message: str) -> bool:
        return (
            all(t in message for t in terms[""])
            and not any(t in message for t in terms["-"])
            and (not terms["?"] or any(t in message for t in terms["?"]))
        )

    return matches


def _event(line: Line) -> dict[str, Any]:
    return {"timestamp": line.time, "message": line.message, "ingestionTime": line.time}


def _group(call: Call, name: str) -> dict[str, Any]:
    arn = f"arn:aws:logs:{call.region}:{call.platform.account}:log-group:{name}"
    return {
        "logGroupName": name,
        "logGroupArn": arn,
        "arn": f"{arn}:*",
        "creationTime": 0,
        "metricFilterCount": 0,
        "storedBytes": 0,
    }


def _stream(call: Call, stream: Stream) -> dict[str, Any]:
    arn = f"arn:aws:logs:{call.region}:{call.platform.account}:log-group:{stream.group}"
    began = int(stream.began * 1000)
    about = stream.path.stat()
    return {
        "logStreamName": stream.name,
        "arn": f"{arn}:log-stream:{stream.name}",
        "creationTime": began,
        "firstEventTimestamp": began,
        "lastIngestionTime": int(about.st_mtime * 1000),
        "storedBytes": about.st_size,
    }


OPERATIONS: dict[str, Handler] = {
    "DescribeLogGroups": describe_log_groups,
    "DescribeLogStreams": describe_log_streams,
    "GetLogEvents": get_log_events,
    "FilterLogEvents": filter_log_events,
}

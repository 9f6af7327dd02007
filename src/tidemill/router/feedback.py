"""``/endpoints/NAME/feedback``: labels for what was answered, and how learning goes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from secrets import randbits
from typing import Any, NamedTuple

from tidemill.router import answers
from tidemill.router.errand import Errand, Told
from tidemill.router.http import Connection, Request
from tidemill.router.invoke import TARGET, Desk, Invocation, too_long
from tidemill.router.paths import Invoke
from tidemill.router.recall import MOST_SECONDS, Remembered
from tidemill.spec.frame import HEADER
from tidemill.spec.learning import LABELS, STATUS, Answered, pack_answered
from tidemill.spec.route import Route

MOST_BODY = 2**20
MOST_ENTRIES = 10_000
MOST_NAMED = 20
_JSON_LINES = ("application/jsonlines", "application/x-jsonlines", "application/json-lines")


class Entry(NamedTuple):
    """A request that was answered, and what is said of it. labels: of its rows, or None"""

    id: str
    labels: list[Any] | None


Ids = dict[str, Remembered]


class Part(NamedTuple):
    """What goes to one variant, with the ids of the answers that it is about."""

    target: str
    content_type: str
    body: bytes
    ids: Ids


class Malformed(ValueError):
    """Feedback of another form; the message says which."""


class Feedback(Invocation):
    """One request: labels or rows (POST), or the question how learning goes (GET)."""

    __slots__ = ("_accepted", "_errors", "_ids", "_load", "_open")

    def __init__(self, connection: Connection, request: Request, asked: Invoke, desk: Desk) -> None:
        super().__init__(connection, request, asked, desk)
        self._limit = MOST_BODY
        self._accepted: list[dict[str, Any]] = []
        self._errors: list[Told] = []
        self._ids: list[str] = []
        self._open = self._load = 0

    def _problem(self, route: Route, size: int) -> str:
        if size > MOST_BODY:
            return too_long(f"{size} bytes", MOST_BODY)
        target = self._headers.get(TARGET, "")
        known = {v.name: v.learns for v in route.variants}
        if target and target not in known:
            return f"Endpoint {route.endpoint} has no variant {target!r}; it has {sorted(known)}."
        if not (known[target] if target else any(known.values())):
            return (
                f"Endpoint {route.endpoint} does not learn. Deploy its model with TIDEMILL_LEARN "
                'set to "true" in the container\'s Environment.'
            )
        return ""

    def _send(self, route: Route) -> None:
        self.key = (route.region, route.endpoint)
        target = self._headers.get(TARGET, "") or _target(route)
        body = b"".join(self._take())
        if self.request.method == b"GET":
            self._begin([Part(target, STATUS, b"", {})])
            return
        content_type = self._headers.get("content-type", "")
        try:
            entries = read(content_type, body)
        except Malformed as error:
            self._invalid(str(error))
            return
        if entries is None:
            self._begin([Part(target, content_type, body, {})])
        else:
            self._label(entries)

    def _label(self, entries: Sequence[Entry]) -> None:
        """Send the requests that were answered to the variants that did, with their labels."""
        fleet, now = self._desk.fleet, self._desk.clock.now
        found = {e.id: fleet.recall.find(self.key, e.id, now) for e in entries}
        unknown = [id for id, one in found.items() if one is None]
        if unknown:
            self.fail(404, "ResourceNotFound", _unknown(self._asked.endpoint, unknown))
            return
        by_variant: dict[str, tuple[list[Answered], Ids]] = {}
        for entry in entries:
            one = found[entry.id]
            assert one is not None
            answered, ids = by_variant.setdefault(one.variant, ([], {}))
            answered.append(Answered(*_request(one), entry.labels))
            ids[entry.id] = one
        parts = [
            Part(variant, LABELS, pack_answered(answered), ids)
            for variant, (answered, ids) in by_variant.items()
        ]
        self._begin(parts)

    def _begin(self, parts: Sequence[Part]) -> None:
        fleet = self._desk.fleet
        self._load = sum(len(part.body) for part in parts)
        if not fleet.recall.enter(self.key, self._load):
            self.fail(429, "ThrottlingException", _too_much(self._asked.endpoint))
            return
        self._open = len(parts)
        for part in parts:
            for id in part.ids:  # so that an answer has its feedback once
                fleet.recall.forget(self.key, id)
        for part in parts:
            fleet.send(self._errand(part))

    def _errand(self, part: Part) -> Errand:
        id, known = self._desk.next_id(), randbits(64)
        told = partial(self._ended, part.ids)
        return Errand(self.key, part.target, id, known, part.content_type, part.body, told)

    def _ended(self, ids: Ids, outcome: Told) -> None:
        """One part of it has ended; the answer goes out with the last one."""
        recall = self._desk.fleet.recall
        if outcome.status == 200:
            self._accepted.append(json.loads(outcome.body))
            self._ids += ids
        else:
            self._errors.append(outcome)
            if outcome.is_certain:
                for id, one in ids.items():
                    recall.keep(self.key, id, one.variant, one.frame, one.at)
        self._open -= 1
        if not self._open:
            recall.leave(self.key, self._load)
            self._tell()

    def _tell(self) -> None:
        close = not self.request.keep_alive
        if self._errors:
            first = self._errors[0]
            more: dict[str, object] = {}
            if self._accepted:
                more = {"Accepted": _rows(self._accepted), "AcceptedIds": self._ids}
            told = answers.error(first.status, first.code, first.message, more=more, close=close)
            self._write(told)
        elif self.request.method == b"GET":
            self._write(_answer({"EndpointName": self.key[1], **self._accepted[0]}, close))
        else:
            self._write(_answer({"Accepted": _rows(self._accepted)}, close))


def read(content_type: str, body: bytes) -> list[Entry] | None:
    """What is said of answered requests; None where the body has rows of its own.

    Raises Malformed.

    >>> read("application/json", b'{"InferenceId": "a", "Label": 1}')
    [Entry(id='a', labels=[1])]
    >>> read("text/csv", b"1,0.5,0.25")
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in (LABELS, STATUS):  # what the router says to replicas itself
        raise Malformed(_form(f"{media} is no content type of feedback"))
    if media in _JSON_LINES:
        documents = [_parsed(line) for line in body.splitlines() if line.strip()]
    elif media == "application/json" or (not media and body.lstrip().startswith(b"{")):
        document = _parsed(body)
        documents = document.get("Feedback", [document]) if isinstance(document, dict) else []
    else:
        return None
    if not isinstance(documents, list):
        raise Malformed(_form("Feedback must be a list"))
    if documents and not any(isinstance(d, dict) and "InferenceId" in d for d in documents):
        return None  # rows, in one of the forms of requests
    if not 0 < len(documents) <= MOST_ENTRIES:
        raise Malformed(_form(f"there must be 1 to {MOST_ENTRIES} of them; got {len(documents)}"))
    entries = [_entry(document) for document in documents]
    if len({entry.id for entry in entries}) < len(entries):
        raise Malformed(_form("each InferenceId stands once"))
    return entries


def _entry(document: Any) -> Entry:
    if not isinstance(document, dict) or not isinstance(document.get("InferenceId"), str):
        raise Malformed(_form("each needs an InferenceId, a text"))
    unknown = sorted(document.keys() - {"InferenceId", "Label"})
    if unknown:
        raise Malformed(_form(f"{unknown} mean nothing here"))
    label = document.get("Label")
    labels = label if isinstance(label, list) or label is None else [label]
    if any(not isinstance(one, int | float) for one in labels or ()):
        raise Malformed(_form("a Label is a number, or a list of numbers, one for each row"))
    return Entry(document["InferenceId"], labels)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(_form(f"it is not JSON ({error})")) from None


def _form(why: str) -> str:
    return (
        f"Feedback: {why}. Send "
        '{"InferenceId": "…", "Label": 1}, several of them as {"Feedback": [{…}, {…}]} or as JSON '
        "Lines, or labelled rows (text/csv with the label first, or "
        "application/x-recordio-protobuf)."
    )


def _target(route: Route) -> str:
    """The variant that rows go to where none is named: any, if all of them learn."""
    learning = [v.name for v in route.variants if v.learns]
    return "" if len(learning) == len(route.variants) else learning[0]


def _request(one: Remembered) -> tuple[str, bytes]:
    """Content type and body of the request that is remembered."""
    frame = one.frame
    end = HEADER.size + HEADER.unpack_from(frame)[5]
    content_type = frame[HEADER.size : end].split(b"\n", 1)[0]
    return content_type.decode("latin-1"), frame[end:]


def _rows(accepted: Sequence[Mapping[str, Any]]) -> int:
    return sum(one.get("Accepted", 0) for one in accepted)


def _unknown(endpoint: str, ids: Sequence[str]) -> str:
    named = ", ".join(ids[:MOST_NAMED]) + (" …" if len(ids) > MOST_NAMED else "")
    return (
        f"Endpoint {endpoint} remembers no answer without feedback to InferenceId {named}: answers "
        f"are remembered for {MOST_SECONDS / 60:.0f} minutes at most, and take one label each. "
        "Nothing was accepted. Send the rows with their labels, as text/csv with the label first."
    )


def _too_much(endpoint: str) -> str:
    return (
        f"As much feedback to endpoint {endpoint} is under way as requests bear beside it. Try "
        "again in a moment, or send several labels in one request."
    )


def _answer(said: Mapping[str, Any], close: bool) -> bytes:
    body = json.dumps(said).encode()
    return (
        b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n%b\r\n%b"
        % (answers.request_id(), len(body), answers.CLOSE if close else b"", body)
    )

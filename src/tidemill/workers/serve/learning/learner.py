"""What answers at an endpoint that learns: the newest version, and feedback is taken in."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson

from tidemill.data import content_type as types
from tidemill.errors import Invalid, TidemillError, UnsupportedType, amount
from tidemill.spec.frame import FEEDBACK, Frame
from tidemill.spec.home import WorkerHome
from tidemill.spec.learning import HALF_LIFE, LEARN, STATUS, read_head, wanted
from tidemill.spec.model import SINGLE, Container
from tidemill.storage import uri
from tidemill.storage.bucket import Buckets
from tidemill.workers.serve.answers import DEFAULT_ACCEPT, Answer, Answers
from tidemill.workers.serve.learning import log, rows
from tidemill.workers.serve.learning.follower import Follower
from tidemill.workers.serve.learning.intake import Intake
from tidemill.workers.serve.learning.opened import Opened, able, open_artifact
from tidemill.workers.serve.learning.places import Places
from tidemill.workers.serve.model import open_model

SWITCH_SECONDS = 0.0005
LONGEST_LOG = 16 << 20
MOST_WAITING = 64 << 20
"""Bytes of a replica's feedback that no version has yet; more is refused until one has."""
_JSON = types.JSON.encode() + b"\n"
_TEXT = b"text/plain; charset=utf-8\n"


class Learner:
    """Answers requests and takes feedback; ``close`` it at the end.

    Swaps to a new version between two turns, by taking another reference. accept: for requests
    without one, as ``Answers`` has it · complain: is given what only we can have caused
    """

    def __init__(
        self,
        home: WorkerHome,
        task: Mapping[str, Any],
        opened: Opened,
        accept: str,
        complain: Callable[[str], None],
    ) -> None:
        self._declaration, self._complain = opened.declaration, complain
        self._accept = accept
        places = Places(Path(task["learning"]))
        self._intake = Intake(opened.declaration, opened.algorithm, opened.model)
        self._logs, self._replica = places.logs, task["replica"]
        self._log = log.Writer(places.logs, self._replica)
        self._follower = Follower(home.root, places, opened.declaration, opened.model, complain)
        self._use()
        # So that the thread that loads versions lets the loop go on as soon as requests come.
        sys.setswitchinterval(SWITCH_SECONDS)
        self._follower.start()

    def __call__(self, frames: Sequence[Frame]) -> Sequence[Answer]:
        """An answer for each frame, in their order; never raises."""
        if self._follower.newest is not self._version:
            self._use()
        if all(frame.kind != FEEDBACK for frame in frames):
            return self._answers(frames)
        asked = [frame for frame in frames if frame.kind != FEEDBACK]
        answers = iter(self._answers(asked) if asked else ())
        return [self._take(f) if f.kind == FEEDBACK else next(answers) for f in frames]

    def stream(self, frame: Frame) -> Iterator[Answer]:
        """An answer in parts, by the version that is the newest at its beginning."""
        if self._follower.newest is not self._version:
            self._use()
        return self._answers.stream(frame)

    def close(self) -> None:
        """Let go of the log, for others to learn from."""
        self._log.close()
        self._follower.close()

    def _use(self) -> None:
        """Answer by the newest version from now on."""
        self._version = version = self._follower.newest
        self._answers = Answers(version.model, self._declaration, self._complain, self._accept)
        self._waiting = sum(self._waiting_by_log(f"{self._replica}.").values())

    def _waiting_by_log(self, prefix: str = "") -> dict[str, int]:
        """Bytes that the version has not taken in."""
        absorbed = self._version.about.absorbed
        found = {}
        for name in log.names(self._logs):
            if name.startswith(prefix):
                try:
                    size = log.path_of(self._logs, name).stat().st_size
                except FileNotFoundError:  # learned, and gone
                    continue
                found[name] = size - absorbed.get(name, 0)
        return found

    # Feedback

    def _take(self, frame: Frame) -> Answer:
        content_type, id, again = read_head(frame.head)
        if content_type == STATUS:
            return Answer(HTTPStatus.OK, _JSON, orjson.dumps(self._status()))
        if self._waiting > MOST_WAITING:
            return _refusal(HTTPStatus.TOO_MANY_REQUESTS, _too_much(self._waiting))
        try:
            batch = self._intake.read(content_type, frame.body)
            self._keep(id, again, rows.to_bytes(batch))
        except UnsupportedType as error:
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error))
        except TidemillError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        except Exception as error:
            self._complain("".join(traceback.format_exception(error)))
            what = "".join(traceback.format_exception_only(error)).strip()
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Nothing was kept: {what}")
        said = {"Accepted": len(batch), "Version": self._version.about.number}
        return Answer(HTTPStatus.OK, _JSON, orjson.dumps(said))

    def _keep(self, id: int, again: bool, data: bytes) -> None:
        if self._log.size > LONGEST_LOG:
            self._log.turn()
        before = self._log.size
        self._log.add(id, again, data)
        self._waiting += self._log.size - before

    def _status(self) -> Mapping[str, Any]:
        version = self._version
        about = version.about
        said: dict[str, Any] = {
            "Version": about.number,
            "RowsLearned": about.rows,
            "RowsRefused": about.refused,
            "BytesWaiting": sum(self._waiting_by_log().values()),
            "LastSwapTime": version.since if about.number else None,
            "ProgressiveValidation": {"Original": about.original, "Current": about.current},
            "LatestVersion": {name.title(): one for name, one in about.latest.items()},
        }
        return {**said, "LastRefusal": about.reason} if about.reason else said


def learner(
    home: WorkerHome,
    buckets: Buckets,
    task: Mapping[str, Any],
    containers: Sequence[Container],
    complain: Callable[[str], None],
) -> tuple[Learner, str]:
    """Who answers and learns, and what is served, in words.

    Raises Invalid where this model can not learn, NotFound where it is not there.
    """
    container = containers[0]
    settings = [wanted(one.environment) for one in containers]
    if len(containers) > 1 or container.mode != SINGLE:
        raise Invalid(
            f"{LEARN}: a model of one container, with one artifact",
            got=f"{amount(len(containers), 'container')} in mode {container.mode}",
            do=f"Deploy the model that is to learn alone, or take {LEARN} out.",
        )
    if settings[0] is not None and settings[0].output:
        buckets.require(uri.parse(settings[0].output)[0])
    able(container.image)
    open_model(home.model, buckets, container.model_uri, container.image)
    opened = open_artifact(container.image, home.model, str(container.model_uri))
    if settings[0] is not None and settings[0].half_life and not opened.algorithm.fades:
        raise Invalid(
            f"{HALF_LIFE}: an algorithm in which older rows can count less",
            got=opened.declaration.name,
            do=f"Take {HALF_LIFE} out of the container's Environment.",
        )
    said = f"{opened.declaration.title} from {container.model_uri}, which learns,"
    accept = container.environment.get(DEFAULT_ACCEPT, "")
    return Learner(home, task, opened, accept, complain), said


def _too_much(waiting: int) -> str:
    return (
        f"{waiting} bytes of feedback wait to be learned, of at most {MOST_WAITING}. Try again "
        "after the next version, or lower TIDEMILL_LEARN_SECONDS."
    )


def _refusal(status: int, text: str) -> Answer:
    return Answer(status, _TEXT, text.encode())

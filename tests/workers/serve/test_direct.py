"""Containers that are asked directly know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence

from tests.workers.serve.replicas import CSV
from tests.workers.serve.test_answers import body_of
from tests.workers.serve.test_chain import ROWS, answers, said
from tidemill.spec.frame import REQUEST, Frame
from tidemill.workers.serve.answers import Answer
from tidemill.workers.serve.direct import Direct


def frame(body: bytes, target: str) -> Frame:
    return Frame(REQUEST, 1, 0, f"{CSV}\n{CSV}\n\n{target}".encode(), body)


def test_the_named_container_answers_each_for_all_its_requests_of_a_turn() -> None:
    sizes: list[int] = []

    def counted(frames: Sequence[Frame]) -> Sequence[Answer]:
        sizes.append(len(frames))
        return answers("pca")(frames)

    direct = Direct({"turn": counted, "cluster": answers("kmeans")})
    bodies = [body_of(ROWS, CSV), b"1,2,3\n", b"1,2,3,4\n", b"bad\n"]
    asked = [frame(b, t) for b, t in zip(bodies, ["turn", "cluster"] * 2, strict=True)]
    found = direct(asked)
    alone = [
        answers(kind)([one])[0] for one, kind in zip(asked, ["pca", "kmeans"] * 2, strict=True)
    ]
    assert list(map(said, found)) == list(map(said, alone))
    assert sizes == [2]
    names = [answer.head.split(b"\n")[2].split(b"=")[0] for answer in found]
    assert names == [b"turn", b"cluster"] * 2


def test_an_unknown_container_is_refused_and_disturbs_no_other() -> None:
    direct = Direct({"turn": answers("pca")})
    unknown, good, none = direct(
        [frame(b"1\n", "other"), frame(b"1,2,3,4\n", "turn"), frame(b"1\n", "")]
    )
    assert (unknown.status, good.status, none.status) == (400, 200, 400)
    assert b"got 'other'. It has: turn." in unknown.body

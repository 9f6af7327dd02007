"""The answer of one step of a pipeline is a request to the next one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.data import answer, request
from tidemill.data import content_type as types
from tidemill.data.formats import answered
from tidemill.errors import InvalidData

TABLE = np.array([[1, 2.5], [-3, 0.1], [7, 1e-9]], np.float32)
MEDIAS = (types.JSON, types.JSON_LINES, types.RECORDIO)


@pytest.mark.parametrize("media", MEDIAS)
@pytest.mark.parametrize("rows", [1, 3, 300])
def test_vectors_and_numbers_come_back_as_rows(media: str, rows: int) -> None:
    table = np.resize(TABLE, (rows, 2))
    for name, column in (("projection", table), ("score", table[:, 0])):
        body, _ = answer.encode({name: column}, media, response_key="projections")
        found = request.decode(body, media).features
        np.testing.assert_array_equal(found, column.reshape(rows, -1))


def test_records_of_one_length_may_differ() -> None:
    alike, _ = answer.encode({"projection": TABLE}, types.RECORDIO)
    others, _ = answer.encode({"topic_mixture": TABLE[:, :1]}, types.RECORDIO)
    size = len(alike) // 3
    more = answer.encode({"projection": TABLE[:, :1]}, types.RECORDIO)[0]
    assert len(request.decode(alike * 2, types.RECORDIO)) == 6
    for odd in (alike + more, alike[:size] + others):
        with pytest.raises(InvalidData):  # rows of two widths
            request.decode(odd, types.RECORDIO)
    renamed = alike.replace(b"projection", b"prediction")
    for odd in (alike + renamed, renamed + alike, alike[:-1], alike + b"\0"):
        with pytest.raises(InvalidData):
            request.decode(odd, types.RECORDIO)
    score, _ = answer.encode({"score": TABLE[:, 0]}, types.RECORDIO)
    mixed = answer.encode({"score": TABLE[:, 0].astype(np.float64)}, types.RECORDIO)[0] + score
    np.testing.assert_array_equal(
        request.decode(mixed, types.RECORDIO).features, np.tile(TABLE[:, :1], (2, 1))
    )


@pytest.mark.parametrize("media", MEDIAS)
def test_an_answer_of_several_members_is_no_request(media: str) -> None:
    body, _ = answer.encode({"score": TABLE[:, 0], "predicted_label": TABLE[:, 1]}, media)
    with pytest.raises(InvalidData):
        request.decode(body, media)


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows":[{"projection":[1]}]}',
        b'{"predictions":[{"features":[1]}]}',
        b'{"predictions":[]}',
        b'{"predictions":[{"score":"1"}]}',
        b'{"predictions":[{"score":true}]}',
        b'{"predictions":[{"score":null}]}',
        b'{"predictions":[{"score":[[1]]}]}',
        b'{"predictions":[{"score":[1]},{"score":[1,2]}]}',
        b'{"predictions":[{"score":[]}]}',
        b'{"predictions":[1]}',
        b'{"predictions":7}',
        b'{"predictions":[{"score":1}],"more":1}',
        b"[1]",
        b"7",
        b"",
    ],
)
def test_what_is_no_answer_is_refused_as_the_request_that_it_is(body: bytes) -> None:
    assert answered.read(body, types.JSON) is None
    with pytest.raises(InvalidData, match="instances|JSON"):
        request.decode(body, types.JSON)


@given(st.binary(max_size=60), st.sampled_from([*MEDIAS, types.CSV]))
def test_no_bytes_are_more_than_refused(body: bytes, media: str) -> None:
    answered.read(body, media)

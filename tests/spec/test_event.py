"""Events are one line each, whatever they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.event import Event, from_line

EVENTS = st.builds(
    Event,
    st.floats(0, 4e9),
    st.sampled_from(["status", "metric", "progress", "ready", "note"]),
    st.text(max_size=20),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=50),
)


@given(EVENTS)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    line = event.to_line()
    assert line.count("\n") == 1
    assert from_line(line) == event


def test_a_value_of_zero_is_kept() -> None:
    assert from_line(Event(1.0, "metric", "m", 0.0).to_line()).value == 0.0


def test_keys_of_newer_workers_are_passed_over() -> None:
    assert from_line('{"time": 1.0, "kind": "note", "colour": "red"}') == Event(1.0, "note")

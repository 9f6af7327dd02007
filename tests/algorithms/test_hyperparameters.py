"""Hyperparameters from text: parsed once, refused with the name, the bound and the value."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.algorithms.hyperparameters import Rule, hyperparameter, parse, read
from tidemill.errors import InvalidHyperparameter
from tidemill.testing.hyperparameters import accepted, refused


@dataclass(frozen=True, slots=True)
class Mill:
    stones: int = hyperparameter("int", "How many.", low=1, high=8)
    slope: float | None = hyperparameter("float", "How steep.", default=None, low=0, auto=True)
    wet: bool = hyperparameter("bool", "By water.", default=True)
    grain: str = hyperparameter("choice", "Of what.", default="rye", choices=("rye", "oat"))
    tell: tuple[str, ...] = hyperparameter("list", "What.", default=(), choices=("a", "b"))
    gap: float = hyperparameter("float", "Open.", default=0.5, low=0, high=1, open_low=True)
    load: float | str = hyperparameter("float", "Or so.", default=1.0, words=("balanced",))
    steps: str = hyperparameter(
        "text", "In turn.", default="", pattern="[a-z]+(,[a-z]+)*", form="words between commas",
        aliases=("_stages", "way"),
    )  # fmt: skip


def mill(**text: str) -> Mill:
    return read(Mill, {"stones": "2", **text}, algorithm="mill")


def test_text_becomes_values() -> None:
    assert mill(
        stones=" 4 ", slope="1e-3", wet="False", grain="oat", tell='["b", "a"]', load="balanced"
    ) == Mill(4, 0.001, False, "oat", ("b", "a"), 0.5, "balanced")


@pytest.mark.parametrize("name", ["steps", "_stages", "way"])
def test_a_hyperparameter_goes_by_its_other_names_too(name: str) -> None:
    assert mill(**{name: "clean,grind"}).steps == "clean,grind"
    with pytest.raises(InvalidHyperparameter, match=f"mill: {name} must be words between commas"):
        mill(**{name: "clean,,grind"})


def test_one_hyperparameter_under_two_names_is_refused() -> None:
    with pytest.raises(InvalidHyperparameter, match="way and steps are one hyperparameter"):
        mill(steps="clean", way="grind")


def test_auto_is_none_whatever_its_case() -> None:
    assert mill(slope="Auto").slope is None


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("3.0", 3), ("+3", 3), ("1e0", 1)])
def test_whole_numbers_may_be_written_as_decimals(text: str, value: int) -> None:
    assert mill(stones=text).stones == value


@pytest.mark.parametrize(
    ("name", "text", "bound"),
    [
        ("stones", "0", "an integer of at least 1 and at most 8"),
        ("stones", "9", "an integer of at least 1 and at most 8"),
        ("stones", "2.5", "an integer"),
        ("stones", "many", "an integer"),
        ("stones", "inf", "an integer"),
        ("stones", "1e999", "an integer"),
        ("slope", "-1", "a number of at least 0 or 'auto'"),
        ("slope", "nan", "a number of at least 0 or 'auto'"),
        ("wet", "perhaps", "true or false"),
        ("grain", "rice", "one of rye, oat"),
        ("tell", '["c"]', "a JSON list of a, b"),
        ("tell", "a", "a JSON list of a, b"),
        ("tell", '{"a": 1}', "a JSON list of a, b"),
        ("tell", "[" * 2500, "a JSON list of a, b"),
        ("gap", "0", "a number above 0 and at most 1"),
        ("load", "unbalanced", "a number or 'balanced'"),
    ],
)
def test_a_refusal_names_hyperparameter_bound_and_value(name: str, text: str, bound: str) -> None:
    with pytest.raises(InvalidHyperparameter) as raised:
        mill(**{name: text})
    message = str(raised.value)
    assert f"mill: {name} must be" in message
    assert bound in message
    assert text in message


def test_what_is_required_is_asked_for() -> None:
    with pytest.raises(InvalidHyperparameter, match="stones is required .* Add 'stones'"):
        read(Mill, {}, algorithm="mill")


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(InvalidHyperparameter, match="'stonez'. Did you mean 'stones'"):
        mill(stonez="1")


def test_hidden_and_ignored_names_are_passed_over() -> None:
    given_ = {"stones": "2", "_kvstore": "auto", "force_dense": "True"}
    assert read(Mill, given_, algorithm="mill", ignored=("force_dense",)) == Mill(2)


@given(st.text(), st.sampled_from(["stones", "slope", "wet", "tell", "gap", "load"]))
def test_any_text_is_read_or_refused(text: str, name: str) -> None:
    with contextlib.suppress(InvalidHyperparameter):
        mill(**{name: text})


@given(st.integers(-(10**6), 10**6))
def test_an_integer_is_read_back(number: int) -> None:
    assert parse("mill", "n", Rule("int", ""), str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back(number: float) -> None:
    assert parse("mill", "x", Rule("float", ""), repr(number)) == number


def test_the_law_knows_what_a_rule_refuses_and_accepts() -> None:
    rule = Rule("int", "", low=1, high=8, auto=True)
    assert {"0", "9", "many", "1.5"} <= set(refused(rule))
    assert set(accepted(rule)) == {"auto", "1", "8"}
    assert "0" in refused(Rule("float", "", low=0, open_low=True))

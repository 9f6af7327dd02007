"""A request names one of several models where there are several, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.router.targets import CONTAINER, MODEL, VARIANT, line, problem
from tidemill.spec.route import Route, Variant

PLAIN = Variant("one", 1.0, {})
DIRECT = Variant("two", 1.0, {}, targets=("first", "second"))
MANY = Variant("three", 1.0, {}, multi_model=True)


def said(headers: dict[str, str], *variants: Variant) -> str:
    return problem(Route("mill", "us-east-1", variants), headers)


@pytest.mark.parametrize(
    ("headers", "variants"),
    [
        ({}, [PLAIN]),
        ({}, []),
        ({CONTAINER: "first"}, [DIRECT]),
        ({MODEL: "a/b.tar.gz"}, [MANY]),
        ({}, [PLAIN, DIRECT]),  # one is to be another from now on
        ({CONTAINER: "second"}, [PLAIN, DIRECT]),
        ({VARIANT: "one"}, [PLAIN, DIRECT, MANY]),
        ({VARIANT: "two", CONTAINER: "first"}, [PLAIN, DIRECT, MANY]),
        ({VARIANT: "three", MODEL: "x"}, [PLAIN, DIRECT, MANY]),
        ({VARIANT: "none"}, [DIRECT]),  # which is told of elsewhere
        ({}, [PLAIN, replace(DIRECT, shadow=True)]),
        ({CONTAINER: "first"}, [replace(PLAIN, weight=0.0), DIRECT]),
    ],
)
def test_what_fits_has_no_problem(headers: dict[str, str], variants: list[Variant]) -> None:
    assert said(headers, *variants) == ""


@pytest.mark.parametrize(
    ("headers", "variants", "words"),
    [
        ({MODEL: "x"}, [PLAIN], "TargetModel, which needs a multi-model endpoint"),
        ({MODEL: ""}, [PLAIN], "TargetModel, which needs a multi-model endpoint"),
        ({CONTAINER: "x"}, [PLAIN], "TargetContainerHostname, which needs several containers"),
        ({CONTAINER: "x"}, [MANY], "TargetContainerHostname, which needs several containers"),
        ({MODEL: "x"}, [DIRECT], "needs TargetContainerHostname, which names one of its "),
        ({MODEL: "x", CONTAINER: "first"}, [DIRECT], "TargetModel, which needs a multi-model"),
        ({}, [DIRECT], "its containers: first, second. Give it"),
        ({CONTAINER: ""}, [DIRECT], "needs TargetContainerHostname"),
        ({CONTAINER: "third"}, [DIRECT], "got 'third'. It has: first, second."),
        ({}, [MANY], "Endpoint mill needs TargetModel, which names the model"),
        ({MODEL: ""}, [MANY], "needs TargetModel"),
        ({VARIANT: "one", MODEL: "x"}, [PLAIN, MANY], "TargetModel, which needs a multi-model"),
        ({VARIANT: "two"}, [PLAIN, DIRECT], "needs TargetContainerHostname"),
        ({}, [replace(PLAIN, weight=0.0), DIRECT], "needs TargetContainerHostname"),
        ({CONTAINER: "first"}, [PLAIN, replace(DIRECT, shadow=True)], "needs several containers"),
    ],
)
def test_what_does_not_fit_is_told(
    headers: dict[str, str], variants: list[Variant], words: str
) -> None:
    assert words in said(headers, *variants)


def test_the_head_has_a_fourth_line_only_for_a_target() -> None:
    assert line({}) == line({MODEL: ""}) == ""
    assert line({CONTAINER: "first"}) == "\nfirst"

"""Java's patterns in Python."""

from __future__ import annotations

import pytest

from tidemill.gateway.wire.model import service
from tidemill.gateway.wire.patterns import compiled

TAG = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"


@pytest.mark.parametrize("name", ["sagemaker", "logs", "sts", "iam", "cloudwatch"])
def test_every_pattern_of_every_service_compiles(name: str) -> None:
    described = service(name)
    for operation in described.names:
        described.operation(operation)
    patterns = {s.pattern for s in described._shapes.values() if s.pattern}
    assert patterns
    for pattern in patterns:
        assert compiled(pattern).pattern != "(?s:.*)", pattern


@pytest.mark.parametrize("text", ["Größe", "数字 5", "a_b.c:d/e=f+g-h@i", "", "\u00a0"])
def test_tags_may_have_letters_of_all_scripts(text: str) -> None:
    assert compiled(TAG).fullmatch(text)


@pytest.mark.parametrize("text", ["a\tb", "a\n", "a;b", "€"])
def test_tags_may_not_have_other_characters(text: str) -> None:
    assert not compiled(TAG).fullmatch(text)


def test_surrogate_pairs_mean_characters_beyond_the_basic_plane() -> None:
    pattern = r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*"
    assert compiled(pattern).fullmatch("a\U0001f600\t")
    assert not compiled(pattern).fullmatch("a\x01")


def test_an_end_of_text_many_times_over_is_one() -> None:
    assert compiled(r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}").fullmatch("key")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (
            r"https://([.\-_a-zA-Z0-9]+/?){3,1016}",
            ["https://abc", "https://a/b/c", "https://a/b/c/", "https://git-x.example.com/r_1"],
            ["https://ab", "https://a//bc", "https:///abc", "https://a/b c"],
        ),
        (
            r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?",
            ["a", "a1", "a--b", "0-x-9"],
            ["", "-a", "a-", "A"],
        ),
    ],
)
def test_the_two_that_would_never_end_mean_the_same_and_end(
    pattern: str, good: list[str], bad: list[str]
) -> None:
    for text in good:
        assert compiled(pattern).fullmatch(text), text
    for text in bad:
        assert not compiled(pattern).fullmatch(text), text
    hostile = {"h": "https://" + "a" * 1000 + "!", "[": "a" * 5000 + "!"}[pattern[0]]
    assert not compiled(pattern).fullmatch(hostile)

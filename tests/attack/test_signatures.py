"""Every route, asked by those who may not: always a clean refusal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.attack import routes
from tests.attack.conftest import Town
from tests.attack.routes import everything
from tests.attack.wire import Answer, Asking, exchange, once

pytestmark = pytest.mark.slow

ATTACKS: dict[str, Callable[[Asking], bytes]] = {
    "no credentials": Asking.unsigned,
    "a wrong secret": lambda one: one.but(secret="guessed").signed(),
    "a strange key": lambda one: one.but(key="AKIASTRANGER").signed(),
    "another region than signed for": lambda one: one.signed(region="eu-west-1"),
    "another service than signed for": lambda one: one.signed(service=_other(one)),
    "signed an hour ago": lambda one: one.but(when=time.time() - 3600).signed(),
    "signed in an hour": lambda one: one.but(when=time.time() + 3600).signed(),
    "a tampered body": lambda one: _tampered(one),
    "a replay elsewhere": lambda one: one.signed().replace(b" HTTP/1.1", b"%20 HTTP/1.1", 1),
    "a signature cut short": lambda one: one.signed().replace(b"Signature=", b"Signature=0"),
}


def _other(one: Asking) -> str:
    return "s3" if one.service != "s3" else "sagemaker"


def _tampered(one: Asking) -> bytes:
    """As long as it was, so that nothing else is wrong with it."""
    data, size = one.signed(), len(one.body)
    if size:
        return data[:-1] + (b"!" if data[-1:] != b"!" else b"?")
    return data.replace(b"content-length: 0", b"content-length: 1") + b"!"


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_route_answers_to_a_signature_that_is_not_good(attack: str, town: Town) -> None:
    routes = everything()
    asked = [(one.method, ATTACKS[attack](one)) for one in routes.values()]
    wrong = {
        name: (answer.status, answer.code, answer.body[:200])
        for (name, one), answer in zip(routes.items(), exchange(town.port, asked), strict=True)
        if not _is_refusal(one, answer, attack)
    }
    assert wrong == {}
    town.lives()


def _is_refusal(one: Asking, answer: Answer, attack: str) -> bool:
    if one.service == "s3" and attack == "a tampered body":
        # S3 proves a body while it reads it: whatever is wrong beside it may be told first, and
        # where there is none to be read nobody minds one.
        return (
            400 <= answer.status < 500 or answer.status == 501 or one.method not in ("PUT", "POST")
        )
    typed = bool(answer.code) or one.method == "HEAD" or one.path == "/metrics"
    return answer.status in (400, 401, 403) and typed


def test_every_route_answers_its_own_signature_or_says_that_it_is_not_built(town: Town) -> None:
    routes = everything()
    asked = [(one.method, one.signed()) for one in routes.values()]
    wrong = {}
    for (name, one), answer in zip(routes.items(), exchange(town.port, asked), strict=True):
        typed = answer.status < 300 or answer.code or answer.status == 401 or one.method == "HEAD"
        if answer.status == 500 or answer.status > 501 or not typed:
            wrong[name] = (answer.status, answer.code, answer.body[:200])
        if "signature" in answer.code.lower() or answer.code == "SignatureDoesNotMatch":
            wrong[name] = (answer.status, answer.code, answer.body[:200])
    assert wrong == {}
    town.lives()


def test_a_key_that_may_nothing_is_denied_every_operation_that_is_built(town: Town) -> None:
    form = routes.form("iam", "CreateUser", "2010-05-08")
    made = once(town.port, form.but(body=form.body + b"&UserName=nobody").signed())
    assert made.status in (200, 409)
    form = routes.form("iam", "CreateAccessKey", "2010-05-08")
    key = once(town.port, form.but(body=form.body + b"&UserName=nobody").signed()).body.decode()
    id, secret = (
        re.findall(f"<{name}>(.+?)</{name}>", key)[0] for name in ("AccessKeyId", "SecretAccessKey")
    )
    free = ("sts.GetCallerIdentity", "sts.GetSessionToken", "metrics")
    every = {name: one for name, one in everything().items() if name not in free}
    asked = [(one.method, one.but(key=id, secret=secret).signed()) for one in every.values()]
    wrong, denied = {}, 0
    for name, answer in zip(every, exchange(town.port, asked), strict=True):
        denied += "AccessDenied" in answer.code
        if not 400 <= answer.status <= 499 and answer.status not in (501, 404):
            wrong[name] = (answer.status, answer.code, answer.body[:200])
    assert wrong == {}
    assert denied > 100
    town.lives()

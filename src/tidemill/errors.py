"""Every error Tidemill raises on purpose, as one tree.

TidemillError
├── Invalid (ValueError)       the request can never work as written
│   ├── InvalidHyperparameter  one named value is missing, mistyped or out of range
│   ├── InvalidData            bytes, rows or values that cannot be read as what they claim to be
│   └── UnsupportedType        a content type that is not read here, or an Accept not answered
├── Denied                     the caller has not proved who it is
├── NotFound                   no such job, model, endpoint, bucket or key
├── Conflict                   the name is taken, or its state forbids this
├── NotReady                   right request, wrong moment: ask again
└── Missing                    an optional package or program is not installed

The gateway and the router alone turn these into AWS error codes.
"""

from __future__ import annotations


class TidemillError(Exception):
    """Say what was wanted, what was found, and what to do next.

    >>> raise NotFound("training job 'mill-7'", got="no such name", do="List the jobs.")
    Traceback (most recent call last):
    tidemill.errors.NotFound: training job 'mill-7'; got 'no such name'. List the jobs.
    """

    def __init__(self, wanted: str, *, got: object, do: str) -> None:
        super().__init__(f"{wanted}; got {got!r}. {do}")
        self.wanted = wanted
        self.got = got
        self.do = do


class Invalid(TidemillError, ValueError):
    """The request can never work as written: a ValueError, for whoever calls us from Python."""


class InvalidHyperparameter(Invalid):
    """One hyperparameter is missing, mistyped or out of range."""


class InvalidData(Invalid):
    """Bytes, rows or values that cannot be read as what they claim to be."""


class UnsupportedType(Invalid):
    """A content type that is not read here, or an Accept that cannot be answered."""


class Denied(TidemillError):
    """The caller has not proved who it is."""


class NotFound(TidemillError):
    """Nothing has that name."""


class Conflict(TidemillError):
    """The name is taken, or the thing's state forbids this."""


class NotReady(TidemillError):
    """The request is right, the moment is wrong."""


class Missing(TidemillError):
    """An optional package or program is not installed here."""


def amount(number: int, noun: str) -> str:
    """So many of something, in the words of an error.

    >>> amount(1, "row"), amount(0, "feature")
    ('1 row', '0 features')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

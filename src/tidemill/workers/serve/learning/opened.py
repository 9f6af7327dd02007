"""An artifact that is learned on: its algorithm as it was trained, its model and its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tidemill import registry
from tidemill.algorithms.base import Algorithm, Declaration
from tidemill.algorithms.hyperparameters import rule_of
from tidemill.artifact import archive
from tidemill.artifact.codec import from_bytes
from tidemill.errors import Invalid
from tidemill.spec.learning import LEARN
from tidemill.workers import artifact


@dataclass(frozen=True, slots=True)
class Opened:
    """hyperparameters: as the manifest has them · state: the one that training ended with"""

    declaration: Declaration
    hyperparameters: Mapping[str, Any]
    algorithm: Algorithm[Any]
    model: Any
    state: Any

    def exported(self, model: bytes) -> Mapping[str, bytes]:
        """Further files of an artifact with this model."""
        export = self.declaration.exports
        return export(from_bytes(self.declaration.model, model)) if export else {}


def able(image: str) -> Declaration:
    """The algorithm of an image; raises Invalid where it does not learn while it serves."""
    declaration = registry.declaration(image)
    if declaration.learns is None:
        names = [n for n in registry.names() if registry.declaration(n).learns is not None]
        raise Invalid(
            f"{LEARN}: an algorithm that learns while it serves ({', '.join(names)})",
            got=declaration.name,
            do=f"Take {LEARN} out of the container's Environment, or train one of these.",
        )
    return declaration


def open_artifact(image: str, directory: Path, place: str) -> Opened:
    """What an unpacked artifact holds. place: its URI, for errors

    Raises Invalid where the algorithm does not learn while it serves, or the artifact has no state.
    """
    declaration = able(image)
    model = artifact.read_model(declaration, directory, place)
    if not (directory / archive.MANIFEST).exists():
        raise Invalid(
            f"{LEARN}: an artifact with {archive.STATE}, which learning goes on from",
            got=f"one that another tool wrote ({place})",
            do="Train the model with Tidemill.",
        )
    given = archive.check(directory).hyperparameters
    algorithm = _algorithm(declaration, given)
    kind = type(algorithm.start())
    state = artifact.read_state(declaration, kind, directory, place)
    algorithm.reopen(state)  # raises where nothing can be learned on top of it
    return Opened(
        declaration,
        given,
        algorithm,
        model,
        artifact.read_state(declaration, kind, directory, place),
    )


def _algorithm(declaration: Declaration, given: Mapping[str, Any]) -> Algorithm[Any]:
    hyperparameters = registry.check(declaration.name, _as_text(declaration, given))
    if declaration.epochs_of_feedback is not None:
        hyperparameters = replace(hyperparameters, epochs=declaration.epochs_of_feedback)
    algorithm: Algorithm[Any] = declaration.algorithm(hyperparameters)
    return algorithm


def _as_text(declaration: Declaration, values: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters as resolved, in the words that they are given in."""
    rules = {item.name: rule_of(item) for item in fields(declaration.hyperparameters)}
    words = {name: values[name] for name in rules if name in values}
    return {
        name: "auto" if value is None else value if isinstance(value, str) else json.dumps(value)
        for name, value in words.items()
        if value is not None or rules[name].auto
    }

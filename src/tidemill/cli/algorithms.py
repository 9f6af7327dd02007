"""``tidemill algorithms [NAME]``: what is built in, and what each hyperparameter means."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Annotated, Any

import typer

from tidemill import registry
from tidemill.algorithms.hyperparameters import default_in_words, rule_of
from tidemill.cli import show
from tidemill.cli.show import JsonOption


def algorithms(
    name: Annotated[str | None, typer.Argument(help="Show one in full.")] = None,
    json: JsonOption = False,
) -> None:
    """List the built-in algorithms, or show one with its hyperparameters and metrics.

    Example: tidemill algorithms kmeans
    """
    if name is None:
        _list(json)
        return
    declared = registry.declaration(name)
    rows = [_row(item) for item in fields(declared.hyperparameters)]
    if json:
        columns = ("name", "default", "accepts", "doc")
        show.as_json(
            {
                "name": declared.name,
                "title": declared.title,
                "channels": declared.channels,
                "content_types": declared.content_types,
                "hyperparameters": [dict(zip(columns, row, strict=True)) for row in rows],
                "metrics": [m.name for m in declared.metrics],
            }
        )
        return
    show.table(
        f"{declared.name}: {declared.title}", ["hyperparameter", "default", "accepts", ""], rows
    )
    show.table("Metrics", ["metric", "better"], ((m.name, m.direction) for m in declared.metrics))


def _list(json: bool) -> None:
    found = [registry.declaration(name) for name in registry.names()]
    if json:
        show.as_json([{"name": d.name, "title": d.title} for d in found])
        return
    show.table("Built-in algorithms", ["algorithm", ""], ((d.name, d.title) for d in found))


def _row(item: Field[Any]) -> tuple[str, str, str, str]:
    rule = rule_of(item)
    name = ", ".join((item.name, *rule.aliases))
    return name, default_in_words(item), rule.bounds(), rule.doc

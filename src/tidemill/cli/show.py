"""How results are printed: tables for people on stdout, JSON for machines, all else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

HomeOption = Annotated[
    str | None,
    typer.Option("--home", help="The platform's directory (default $TIDEMILL_HOME, ~/.tidemill)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def note(text: str) -> None:
    """A line on stderr, as it is: neither folded nor coloured."""
    print(text, file=sys.stderr)


def as_json(value: Any) -> None:
    """One JSON document on stdout; of boto3's answers without what is said of the HTTP exchange."""
    if isinstance(value, dict):
        value = {name: one for name, one in value.items() if name != "ResponseMetadata"}
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None, default=_plain))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on stdout: drawn on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_cell(value) for value in row))
        return
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    Console(markup=False, emoji=False).print(drawn)


def pairs(values: Mapping[str, Any]) -> None:
    """Names and values, a line each: aligned on a terminal, tab-separated in a pipe."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        print(
            f"{name:<{width}}  {_cell(value)}" if sys.stdout.isatty() else f"{name}\t{_cell(value)}"
        )


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.tolist() if hasattr(value, "tolist") else str(value)

"""Write docs/reference from the declarations in the code: ``python docs/generate.py``."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer.main

from tidemill import registry
from tidemill.algorithms.hyperparameters import default_in_words, rule_of
from tidemill.cli.main import COMMANDS, app
from tidemill.data.content_type import ALIASES
from tidemill.gateway import operations
from tidemill.router import paths
from tidemill.workers.train.earlier import CHANNEL as MODEL_CHANNEL

REFERENCE = Path(__file__).parent / "reference"
# Not AWS's: told from path and method, without an operation's name.
OURS = {
    "Open Inference Protocol v2": [
        "`GET /v2`, `GET /v2/health/live`, `GET /v2/health/ready`",
        "`GET /v2/models/ENDPOINT`, `GET …/ready`, `POST …/infer`, each also of one variant: "
        "`/v2/models/ENDPOINT/versions/VARIANT/…`",
    ],
    "Feedback for endpoints that learn": ["`POST` and `GET /endpoints/ENDPOINT/feedback`"],
    "Metrics for Prometheus": ["`GET /metrics`"],
}


def algorithm_page(name: str) -> str:
    """One built-in: what it is, how it is fed, every hyperparameter, every metric."""
    declared = registry.declaration(name)
    rows = [
        f"| {', '.join(f'`{n}`' for n in (item.name, *rule_of(item).aliases))} "
        f"| {default_in_words(item)} | {rule_of(item).bounds()} "
        f"| {rule_of(item).doc} |"
        for item in fields(declared.hyperparameters)
    ]
    metrics = [f"| `{m.name}` | {m.direction} | `{m.regex}` |" for m in declared.metrics]
    about = inspect.cleandoc(declared.algorithm.__doc__ or "").split("\n>>>")[0].strip()
    return "\n".join(
        [
            f"# {declared.name}: {declared.title}",
            "",
            about,
            "",
            f"- channels: {', '.join(f'`{c}`' for c in declared.channels)}; `{MODEL_CHANNEL}`, an "
            "[earlier model](../how-to/update-a-model.md) to go on from",
            f"- content types: {', '.join(map(_with_aliases, declared.content_types))}; "
            f"`{declared.default_content_type}` where a channel names none",
            f"- answers: {', '.join(f'`{c}`' for c in declared.response_columns)} "
            f"in a JSON list `{declared.response_key}`",
            "",
            "## Hyperparameters",
            "",
            "| name | default | accepts | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Metrics",
            "",
            "| name | goal | found in the log by |",
            "|---|---|---|",
            *metrics,
            "",
        ]
    )


def _with_aliases(media: str) -> str:
    """A content type, and the other media types that are read as it."""
    others = [f"`{name}`" for name, of in ALIASES.items() if of == media != name and "/" in name]
    return f"`{media}`" + (f" (or {', '.join(others)})" if others else "")


def command_page() -> str:
    """Every command with its arguments and options."""
    command: Any = typer.main.get_command(app)
    parts = ["# Command line", ""]
    for name in COMMANDS:
        sub = command.get_command(None, name)
        parts += [f"## tidemill {name}", "", inspect.cleandoc(sub.help or ""), ""]
        parts += [f"- {_parameter(p)}" for p in sub.params if p.name != "help"]
        parts.append("")
    return "\n".join(parts)


def coverage_page() -> str:
    """Every operation of every service that Tidemill speaks, and how far each is built."""
    found = operations.coverage()
    runtime = dict.fromkeys(paths.OPERATIONS.values())
    found["Amazon SageMaker Runtime"] = operations.of_names("sagemaker-runtime", runtime)
    depths = (operations.BUILT, operations.RECORD, operations.MISSING)
    parts = [
        "# API coverage",
        "",
        "Every operation of every AWS service that is spoken here, by AWS's own description of it,",
        "read from the code that answers:",
        "",
        "- **built**: does what AWS documents;",
        "- **record only**: written down, listed, described, changed and removed, but nothing acts",
        "  on it here; so count the settings of S3 buckets that are told as unset, as they are;",
        "- **not built**: refused with a typed error that names it (`UnsupportedOperation`, 501;",
        "  of S3 `NotImplemented` or `MethodNotAllowed`).",
        "",
        "| service | operations | built | record only | not built |",
        "|---|--:|--:|--:|--:|",
    ]
    counts = {title: [list(of.values()).count(d) for d in depths] for title, of in found.items()}
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    for title, numbers in counts.items():
        parts.append(f"| {title} | {sum(numbers)} | {' | '.join(map(str, numbers))} |")
    for title, of in found.items():
        parts += ["", f"## {title}", ""]
        for depth in depths:
            names = [name for name, its in of.items() if its == depth]
            if names:
                parts += [f"{depth.capitalize()} ({len(names)}): {', '.join(names)}.", ""]
        del parts[-1]
    for title, names in OURS.items():
        parts += ["", f"## {title}", "", "Built:", "", *(f"- {name}" for name in names)]
    return "\n".join([*parts, ""])


def pages() -> dict[str, str]:
    """File name → text."""
    found = {f"{name}.md": algorithm_page(name) for name in registry.names()}
    return {**found, "cli.md": command_page(), "api-coverage.md": coverage_page()}


def main() -> int:
    """Write the pages; with ``--check`` only tell which are not what would be written."""
    REFERENCE.mkdir(exist_ok=True)
    paths = {REFERENCE / name: text for name, text in pages().items()}
    if "--check" in sys.argv:
        stale = [p.name for p, text in paths.items() if not p.exists() or p.read_text() != text]
        print(f"out of date: {stale}; run: python docs/generate.py" if stale else "up to date")
        return len(stale)
    for path, text in paths.items():
        path.write_text(text)
    return 0


def _parameter(parameter: Any) -> str:
    names = " / ".join([*parameter.opts, *parameter.secondary_opts])
    about = getattr(parameter, "help", None) or ""
    default = parameter.default
    shown = default not in (None, False, ()) and not callable(default)
    return f"`{names}` {about}{f' (default {default})' if shown else ''}".rstrip()


if __name__ == "__main__":
    sys.exit(main())

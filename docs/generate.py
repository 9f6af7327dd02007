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
from tidemill.workers.train.earlier import CHANNEL as MODEL_CHANNEL

REFERENCE = Path(__file__).parent / "reference"
# Told from path and query, these three have no table of operations by name.
BY_ROUTE = {
    "Amazon SageMaker Runtime": ["InvokeEndpoint, InvokeEndpointAsync"],
    "Open Inference Protocol v2": [
        "`GET /v2`, `GET /v2/health/live`, `GET /v2/health/ready`",
        "`GET /v2/models/ENDPOINT`, `GET …/ready`, `POST …/infer`, each also of one variant: "
        "`/v2/models/ENDPOINT/versions/VARIANT/…`",
    ],
    "Amazon S3": [
        "AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, "
        "ListMultipartUploads, ListParts, UploadPart, UploadPartCopy",
        "CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation and the other "
        "settings of a bucket that clients read (answered as unset)",
        "CopyObject, DeleteObject, DeleteObjects, GetObject, GetObjectAttributes, HeadObject, "
        "PutObject",
        "DeleteObjectTagging, GetObjectTagging, PutObjectTagging, GetObjectAcl",
        "ListObjects, ListObjectsV2, ListObjectVersions",
        "presigned GET and PUT, ranges, conditions, checksums, streamed bodies",
    ],
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


def api_page() -> str:
    """Every operation of every service that Tidemill answers, built or not."""
    parts = [
        "# API",
        "",
        "What is built of each AWS service. An operation that is not built answers with a typed",
        "error that names it.",
        "",
    ]
    for service, built in operations.built().items():
        missing = sorted(set(operations.known(service)) - set(built))
        parts += [f"## {service}", "", f"Built ({len(built)}):", ""]
        parts += [f"- {name}" for name in sorted(built)]
        if missing:
            parts += ["", f"Not built ({len(missing)}): {', '.join(missing)}."]
        parts.append("")
    for service, names in BY_ROUTE.items():
        parts += [f"## {service}", "", "Built:", "", *(f"- {name}" for name in names), ""]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """File name → text."""
    found = {f"{name}.md": algorithm_page(name) for name in registry.names()}
    return {**found, "cli.md": command_page(), "api.md": api_page()}


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

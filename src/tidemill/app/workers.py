"""The jobs and replicas of a home that run now, found by their command lines."""

from __future__ import annotations

from pathlib import Path

from tidemill.app.process import commands, end, identify, module
from tidemill.engine.process import Process
from tidemill.spec.home import Home

GRACE_SECONDS = 5.0
MODULES = "tidemill.workers."


def find(home: Home) -> dict[str, list[Process]]:
    """Worker kind (train, serve) → processes whose worker home lies in this home."""
    found: dict[str, list[Process]] = {}
    roots = (home.jobs, home.endpoints)
    for pid, command in commands():
        kind = _kind(module(command))
        if kind and any(Path(a).is_relative_to(r) for a in command for r in roots):
            process = identify(pid)
            if process is not None:
                found.setdefault(kind, []).append(process)
    return found


def end_all(home: Home) -> None:
    """End them with what they started. A job goes on from its checkpoint at the next start.

    Replicas may finish what they answer. Training is cut: asked politely, it would wind up and
    leave a model of half the data as if its user had stopped it.
    """
    found = find(home)
    replicas = found.pop("serve", [])
    end([p for processes in found.values() for p in processes], grace=0)
    end(replicas, grace=GRACE_SECONDS)


def _kind(name: str) -> str:
    return name.removeprefix(MODULES).split(".")[0] if name.startswith(MODULES) else ""

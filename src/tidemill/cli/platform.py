"""``tidemill up | down | status | env``: the server on this machine."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

import typer

from tidemill.app import server
from tidemill.app.server_file import Server
from tidemill.auth.credentials import load
from tidemill.cli import show
from tidemill.cli.show import HomeOption, JsonOption
from tidemill.errors import NotReady
from tidemill.spec.home import Home, home_directory

PORT = 8580
REGION = "us-east-1"
# Left over from another account, these would be sent along and refused, or send calls elsewhere.
IN_THE_WAY = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_IDLE = {
    "down": "not running",
    "broken": "its supervisor is gone (`tidemill up` takes over what is left, `down` ends it)",
}

PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def up(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Public port; 0 picks a free one.")] = PORT,
    account_id: Annotated[str, typer.Option(help="Twelve digits, part of ARNs.")] = "123456789012",
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once every part is ready, or say why not.")
    ] = False,
    any_port: Annotated[
        bool, typer.Option("--any-port", help="Take a free port if the given one is taken.")
    ] = False,
) -> None:
    """Start the platform: in the foreground, or in the background with --detach.

    Examples:

        tidemill up --detach && eval "$(tidemill env)"

        tidemill up --home ./mill --port 9000
    """
    place = Home(home_directory(home, os.environ))
    chosen = 0 if any_port and _is_taken(host, port) else port
    if not detach:
        _become_supervisor(place, host, chosen, account_id)
    started = server.start_detached(place, host, chosen, account_id)
    show.note(f"Tidemill is ready at {started.url}")
    show.note(f'for AWS clients: eval "$({_env_command(home)})"')


def down(home: HomeOption = None) -> None:
    """Stop everything that the platform of a home started, and nothing else.

    Jobs that were running go on at the next start.
    """
    place = Home(home_directory(home, os.environ))
    stopped = server.stop(place)
    show.note("stopped" if stopped else f"nothing runs at {place.root}")


def status(home: HomeOption = None, json: JsonOption = False) -> None:
    """Show where the platform answers and which processes it is made of; exit 1 when it is down."""
    place = Home(home_directory(home, os.environ))
    found = server.status(place)
    if json:
        told = asdict(found.server) if found.server else {}
        show.as_json({"state": found.state, **told, "alive": found.alive, "workers": found.workers})
    elif found.server is not None:
        _tell(place, found, found.server)
    if found.state != "running":
        show.note(f"{_IDLE[found.state]}: {place.root}")
        raise typer.Exit(1)


def env(
    home: HomeOption = None,
    region: Annotated[str, typer.Option(help="Resources of two regions are separate.")] = REGION,
    json: JsonOption = False,
) -> None:
    """Print what points AWS clients to this platform, for the shell's eval.

    Example: eval "$(tidemill env --home ./mill)"
    """
    place = Home(home_directory(home, os.environ))
    found = server.status(place)
    if found.server is None:
        raise NotReady(
            f"a platform that runs at {place.root}", got=found.state, do="Start it: tidemill up."
        )
    pair = load(place.credentials)
    values = {
        "AWS_ENDPOINT_URL": found.server.url,
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TIDEMILL_HOME": str(place.root),
        "TIDEMILL_METRICS_TOKEN": pair.metrics_token,
        **_past_proxies(found.server.url, os.environ),
    }
    if json:
        show.as_json(values)
        return
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"unset {' '.join(IN_THE_WAY)}")


def _become_supervisor(home: Home, host: str, port: int, account: str) -> None:
    """This very process goes on as the supervisor, so that signals reach it."""
    command = [sys.executable, "-P", "-m", "tidemill.app.supervisor", str(home.root)]
    command += ["--host", host, "--port", str(port), "--account-id", account]
    os.execv(sys.executable, command)  # noqa: S606  # a fixed program, no shell


def _past_proxies(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Where a proxy is set, its clients must be told that this platform is not behind it.

    >>> _past_proxies("http://127.0.0.1:8580", {"http_proxy": "http://p:1", "no_proxy": "corp"})
    {'NO_PROXY': 'corp,127.0.0.1', 'no_proxy': 'corp,127.0.0.1'}
    """
    if not any(environment.get(name) for name in PROXIES):
        return {}
    host = urlsplit(url).hostname or ""
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = dict.fromkeys([*filter(None, known.split(",")), host])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(hosts))


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _tell(home: Home, found: server.Status, running: Server) -> None:
    facts = {"state": found.state, "url": running.url, "home": str(home.root)}
    for name, process in running.parts.items():
        facts[name] = f"pid {process.pid}" if found.alive.get(name) else "dead"
    for kind, count in found.workers.items():
        facts[f"{kind} workers"] = str(count)
    show.pairs(facts)


def _env_command(home: str | None) -> str:
    return "tidemill env" + (f" --home {shlex.quote(home)}" if home else "")

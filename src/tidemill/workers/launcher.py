"""Runs one command of a user's as in a container of its own: ``launcher.py OPTIONS ARGV…``.

The worker's home becomes /opt/ml by a mount namespace, and a process namespace takes whatever the
command leaves behind with it. A program of its own, of the standard library alone, for namespaces
are entered before any thread and any library; ``workers.opt_ml`` writes its options. Where it
cannot do what it is asked for it ends with ``REFUSED``, before the command has begun.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

REFUSED = 121
"""Exit status: no namespaces here."""
OPT_ML = "/opt/ml"
LAYERS = ".shields"
"""Below the home: what was written over shielded files."""
_NEWNS, _NEWUSER, _NEWPID = 0x20000, 0x10000000, 0x20000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PDEATHSIG, _SUBREAPER = 1, 36
_FORWARDED = (signal.SIGTERM, signal.SIGINT)
_OOM_SCORE = 500
_libc = ctypes.CDLL(None, use_errno=True)


def main(options: Mapping[str, Any], command: Sequence[str]) -> int:
    """Run the command to its end; its exit status, 128 + signal when it was killed.

    options: ``root`` the home that is to be /opt/ml, or none · ``shields`` paths below it that the
    command may write to without changing them · ``hosts`` names that mean this machine · ``cwd`` ·
    ``group`` whether SIGTERM goes to all of the command's processes · ``parent`` pid of the worker
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    _prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != options["parent"]:
        return REFUSED
    with suppress(OSError):  # when memory runs out the user's program goes first, not the platform
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
    if options["root"] is None:
        _prctl(_SUBREAPER, 1)
        return _run(options, command)
    try:
        _enter_namespaces()
        _mount_home(Path(options["root"]), options["shields"], options["hosts"])
    except OSError as error:
        print(f"no namespaces here: {error}", file=sys.stderr)
        return REFUSED
    return _as_init(options, command)


def _as_init(options: Mapping[str, Any], command: Sequence[str]) -> int:
    """Fork the first process of the new namespace: with it all others end."""
    ours, theirs = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(theirs)
        _prctl(_PDEATHSIG, signal.SIGKILL)
        if select.select([ours], [], [], 0)[0]:  # the parent has gone already
            os._exit(REFUSED)
        try:
            _mount("proc", "/proc", "proc")
        except OSError as error:
            print(f"no namespaces here: {error}", file=sys.stderr)
            os._exit(REFUSED)
        os._exit(_run(options, command))
    _forward(init, whole_group=False)
    return _code(os.waitpid(init, 0)[1])


def _run(options: Mapping[str, Any], command: Sequence[str]) -> int:
    child = os.fork()
    if child == 0:
        _become(options["cwd"], command)
    _forward(child, whole_group=options["group"])
    while True:
        pid, status = os.wait()
        if pid == child:
            break
    _end_the_rest()
    return _code(status)


def _become(cwd: str, command: Sequence[str]) -> None:
    os.setsid()
    _prctl(_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # Python ignores them, programs do not expect it
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(cwd)
        os.execvp(command[0], list(command))  # noqa: S606
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)


def _forward(child: int, *, whole_group: bool) -> None:
    """Hand on what we are told from here on, and what we were told meanwhile."""

    def hand_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            if whole_group:
                os.killpg(child, number)
            else:
                os.kill(child, number)

    for number in _FORWARDED:
        signal.signal(number, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)


def _end_the_rest() -> None:
    """What the command left running goes with it, as with a container."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if os.getpid() == 1 or not children.exists():
        return  # the kernel sees to it, or does not tell
    while True:
        with suppress(OSError):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.wait()  # their children are ours next
        except ChildProcessError:
            return


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _enter_namespaces() -> None:
    """With privileges as they are, else as a user who has them in a namespace of his own."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEWNS | _NEWPID) != 0:
        _check(_libc.unshare(_NEWUSER | _NEWNS | _NEWPID), "unshare")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(None, "/", None, _REC | _PRIVATE)


def _mount_home(root: Path, shields: Sequence[str], hosts: Sequence[str]) -> None:
    known = Path("/etc/hosts")
    if hosts and known.is_file():
        names = root / "hosts"
        names.write_text(f"{known.read_text().rstrip()}\n127.0.0.1 {' '.join(hosts)}\n")
        _mount(str(names), str(known), None, _BIND)
    if not Path(OPT_ML).is_dir():
        _make_place()
    for number, path in enumerate(shields):
        _shield(root / path, root / LAYERS / str(number))
    _mount(str(root), OPT_ML, None, _BIND | _REC)


def _make_place() -> None:
    """An /opt/ml where there is none: /opt anew, with all that it holds, and one more."""
    opt = Path(OPT_ML).parent
    old = os.open(opt, os.O_PATH | os.O_DIRECTORY)
    entries = list(os.scandir(opt))
    links = {e.name: os.readlink(e) for e in entries if e.is_symlink()}
    _mount("tmpfs", str(opt), "tmpfs", data="mode=755,size=1m")
    for entry in entries:
        place = opt / entry.name
        if entry.name in links:
            place.symlink_to(links[entry.name])
            continue
        if entry.is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount(f"/proc/self/fd/{old}/{entry.name}", str(place), None, _BIND | _REC)
    Path(OPT_ML).mkdir()
    os.close(old)


def _shield(path: Path, scratch: Path) -> None:
    """Let writes go to a layer of their own, or nowhere where file systems have no layers."""
    upper, work = scratch / "upper", scratch / "work"
    for made in (upper, work):
        made.mkdir(parents=True, exist_ok=True)
    files = [os.open(p, os.O_PATH | os.O_DIRECTORY) for p in (path, upper, work)]
    lower, above, at = (f"/proc/self/fd/{file}" for file in files)
    layers = f"lowerdir={lower},upperdir={above},workdir={at}"
    for data in (layers, f"{layers},userxattr"):
        with suppress(OSError):
            _mount("overlay", str(path), "overlay", data=data)
            break
    else:
        _mount(str(path), str(path), None, _BIND)
        _mount(None, str(path), None, _REMOUNT | _BIND | _RDONLY)
    for file in files:
        os.close(file)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None
) -> None:
    words = (os.fsencode(w) if w is not None else None for w in (source, target, kind, data))
    source_, target_, kind_, data_ = words
    done = _libc.mount(source_, target_, kind_, ctypes.c_ulong(flags), data_)
    _check(done, f"mount {target}")


def _prctl(what: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _libc.prctl(what, ctypes.c_ulong(value), zero, zero, zero)


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))

"""One command line of autoglmc in a process of its own: forked with everything imported, under limits, and what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Limits:
    seconds: float = 60.0
    """Processor time of one command, its children's not counted; by the wall clock four times as much."""
    megabytes: int = 2500
    """Anonymous resident memory of the command and all its children together."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a command ended. code: its exit code, negative for a signal. killed: "" or the limit that it broke. left: files and
    processes that should not be there."""

    arguments: tuple[str, ...]
    code: int
    output: str
    errors: str
    seconds: float
    megabytes: int
    killed: str
    left: tuple[str, ...]


def run_limited(arguments: Sequence[str], folder: Path, limits: Limits) -> Trial:
    """Runs `autoglmc ARGUMENTS` in `folder`. Files named *.out there are its own; others that it makes count as left behind."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    before = {path.name for path in folder.iterdir()}
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(arguments, folder, temporary, limits)
    code, killed, most = _watch(child, start, limits)
    left = [f"process {pid}" for pid in _end_session(child)]
    made = {path.name for path in folder.iterdir()} - before - {"stdout", "stderr"}
    left += [name for name in made if not (name.endswith(".out") and code in (0, 4))]
    left += [f"tmp/{path.name}" for path in temporary.iterdir() if not path.name.startswith("autoglmc-report")]
    texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    seconds = time.monotonic() - start
    return Trial(tuple(arguments), code, texts[0], texts[1], seconds, most // 2**20, killed, tuple(left))


def _become(arguments: Sequence[str], folder: Path, temporary: Path, limits: Limits) -> None:
    """The forked process: never returns."""
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["TMPDIR"] = str(temporary)
        import tempfile
        import weakref

        tempfile.tempdir = None
        # temporary folders of the process that was forked are not this one's to remove
        weakref.finalize._registry.clear()  # type: ignore[attr-defined]
        for name, number in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(limits.seconds), int(limits.seconds) + 5))
        sys.argv = ["autoglmc", *arguments]
        from autoglmc.compiler.cli import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        # what a process does at its end (idle children are told to go) belongs to the trial
        import atexit

        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
        os._exit(code)


def _watch(child: int, start: float, limits: Limits) -> tuple[int, str, int]:
    """Exit code, broken limit and most memory of all processes of the child's session."""
    killed, most, pause = "", 0, 0.005
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code, killed or ("time" if code == -signal.SIGXCPU else ""), most
        most = max(most, sum(_anonymous(pid) for pid in _session(child)))
        if most > limits.megabytes * 2**20:
            killed = "memory"
        elif time.monotonic() - start > 4 * limits.seconds:
            killed = "time"
        if killed:
            for pid in _session(child):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.3, 0.05)


def _end_session(leader: int) -> list[int]:
    """The processes that outlived the command by a second; they are killed."""
    until = time.monotonic() + 1.0
    while (alive := list(_session(leader))) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in alive:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return alive


def _session(leader: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    yield int(name)


def _anonymous(pid: int) -> int:
    """Bytes of memory that no file stands behind: mapped weights do not count."""
    with contextlib.suppress(OSError, ValueError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * PAGE
    return 0

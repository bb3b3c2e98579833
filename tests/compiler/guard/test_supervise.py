"""The process that watches a command: whatever the command does, it ends, in a sentence, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hostile_models import Ended, run_command
from small_models import RELU, parse, save

from autoglmc.compiler import cli

ASLEEP = "ctypes.PyDLL(None).sleep(600)"
"""Holds the interpreter: no thread and no signal handler of Python runs."""
SAID = "os.write(2, b'terminate called after throwing\\n  what():  bad blob\\n')"
FAULTS = {
    "segfault": "ctypes.string_at(0)",
    "abort": f"({SAID}, os.kill(os.getpid(), signal.SIGABRT))",
    "exit of its own": "os._exit(77)",
    "hang": ASLEEP,
    "sleep": "time.sleep(600)",
    "memory": "[bytearray(os.urandom(1) * (1 << 26)) for _ in range(1 << 20)]",
    "hang with a child": f"(subprocess.Popen(['sleep', '600']), {ASLEEP})",
    "crash with a child": "(subprocess.Popen(['sleep', '600']), os.kill(os.getpid(), signal.SIGSEGV))",
    "temporary files and a crash": "(tempfile.mkdtemp(), tempfile.mkstemp(), os.kill(os.getpid(), signal.SIGSEGV))",
}
HEAD = "import ctypes, os, signal, subprocess, tempfile, time\n"


def broken(where: str, fault: str) -> str:
    """Python after which onnxruntime's adapter has the fault where it loads or runs a segment."""
    names = {"load": ("OrtAdapter", "load"), "run": ("BoundSegment", "run")}[where]
    return (
        f"{HEAD}from autoglmc.compiler.devices import ort\nbefore = ort.{names[0]}.{names[1]}\n"
        f"def broken(*given, **named):\n    {FAULTS[fault]}\n    return before(*given, **named)\nort.{names[0]}.{names[1]} = broken"
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guard") / "work"
    folder.mkdir()
    save(parse(RELU), folder, "m.onnx")
    np.savez(folder / "x.npz", x=np.ones((1, 4), np.float32))
    assert cli.run([str(folder / "m.onnx"), "--target", "x86_cpu", "-q", "-o", str(folder / "b")]) == 0
    return folder


COMMANDS = {
    "run": ("run", "b", "--input", "x.npz"),
    "pipeline": ("run", "b", "--input", "x.npz", "--pipeline", "--requests", "3"),
    "verify": ("verify", "m.onnx", "b"),
    "compile": ("m.onnx", "--target", "x86_cpu", "-o", "new"),
}
MEMORY = ("--memory-limit", "1GiB")
LATE = ("--time-limit", "8")
"""Seconds that a busy machine needs for no single thing."""


def message(ended: Ended) -> str:
    assert ended.left == () and ended.code == 1 and ended.out == "" and ended.seconds < 100, ended
    lines = [line for line in ended.err.splitlines() if not line.replace("-", "").replace(" ", "").isalnum()]
    assert lines[0].startswith("error: ") and len(lines) == 2 and lines[1].startswith("  help: "), ended.err
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        *((name, "segfault") for name in COMMANDS),
        *(("run", fault) for fault in ("hang", "memory")),
        ("pipeline", "hang"),
        ("compile", "memory"),
    ],
)
def test_a_runtime_that_crashes_hangs_or_takes_all_memory_is_one_sentence(command: str, fault: str, work: Path) -> None:
    limits = LATE if fault == "hang" else MEMORY
    said = message(run_command(*COMMANDS[command], *limits, folder=work, before=broken("run", fault)))
    expected = {"segfault": "ended the process (SIGSEGV)", "hang": "took more than 8 s", "memory": "took more than 1.00 GiB of memory"}
    assert said == f"running the bundle for x86_cpu (segment 0 on cpu) {expected[fault]}"


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"segfault", "exit of its own", "memory", "sleep"}))
def test_a_runtime_fails_in_any_way_while_it_loads(fault: str, work: Path) -> None:
    said = message(run_command(*COMMANDS["run"], *LATE, folder=work, before=broken("load", fault)))
    end = "took more than 8 s" if fault in ("hang", "hang with a child") else "ended the process (SIGSEGV)"
    end = "ended the process (SIGABRT): bad blob" if fault == "abort" else end
    assert said == f"loading segment 0 (cpu) {end}"


def test_a_crash_is_json_too(work: Path) -> None:
    ended = run_command(*COMMANDS["run"], "--json", folder=work, before=broken("run", "segfault"))
    assert ended.code == 1 and ended.err == "" and '"kind": "process"' in ended.out and "SIGSEGV" in ended.out


def test_an_exit_code_passes(work: Path) -> None:
    """Also one that a library ended the process with."""
    assert run_command(*COMMANDS["run"], folder=work, before=broken("run", "exit of its own")).code == 77
    assert run_command("nothing", folder=work).code == 2


@pytest.mark.parametrize(
    ("command", "fault", "number"),
    [
        *(("run", "hang", number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
        ("compile", "hang with a child", signal.SIGTERM),
        ("pipeline", "sleep", signal.SIGINT),
    ],
)
def test_a_signal_ends_whatever_runs(command: str, fault: str, number: signal.Signals, work: Path) -> None:
    ended = run_command(*COMMANDS[command], folder=work, before=broken("run", fault), stop=number, after=8)
    assert ended.code == 130 and ended.out == "" and ended.left == () and ended.seconds < 10, ended  # 1.5 s, where the machine has time
    assert ended.err.splitlines()[-1] == "interrupted: nothing was written"


def test_killing_the_watching_process_ends_the_command(work: Path) -> None:
    """Nobody is left to remove the temporary folder, nor to end what a runtime itself started; the command ends."""
    ended = run_command(*COMMANDS["run"], folder=work, before=broken("run", "hang"), stop=signal.SIGKILL, after=6)
    processes = [name for name in ended.left if name.startswith("process")]
    assert ended.code == -signal.SIGKILL and not processes, ended


def test_what_libraries_write_to_stderr_is_not_shown(work: Path) -> None:
    work_of = "lambda words: (os.write(2, b'noise'), print('seen', file=sys.stderr), 5)[-1]"
    before = f"{HEAD}import sys\nfrom autoglmc.compiler import cli\ncli.run = {work_of}"
    ended = run_command("x", folder=work, before=before)
    assert (ended.code, ended.err) == (5, "seen\n")


def test_time_that_the_command_was_stopped_does_not_count(work: Path) -> None:
    before = broken("run", "sleep").replace("time.sleep(600)", "time.sleep(4)")
    command = [sys.executable, "-c", before + "\nfrom autoglmc.compiler.cli import main; main()", *COMMANDS["run"], "--time-limit", "8"]
    child = subprocess.Popen(command, cwd=work, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    os.killpg(child.pid, signal.SIGSTOP)
    time.sleep(10)
    os.killpg(child.pid, signal.SIGCONT)
    out, shown = child.communicate(timeout=60)
    assert child.returncode == 0, (out, shown)


def test_a_program_with_threads_runs_the_command_itself(work: Path) -> None:
    """A fork of a process with threads may hang."""
    before = HEAD + "import threading\nthreading.Thread(target=time.sleep, args=(2,), daemon=True).start()\nparent = os.getpid()\n"
    before += "from autoglmc.compiler import cli\ncli.run = lambda words: 7 if os.getpid() == parent else 8"
    assert run_command("x", folder=work, before=before).code == 7

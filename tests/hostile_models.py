"""Models that never end, take all memory, or stand for more than they seem to, and commands run on them as a user runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from small_models import parse

MAIN = "from autoglmc.compiler.cli import main; main()"
MARK = "AUTOGLMC_TEST_MARK"


def _loop(trips: int, body: str, output: str = "float[1,4] y", start: str = "x") -> onnx.ModelProto:
    model = parse(f"g (float[1,4] x) => ({output}) {{ y = Relu(x) }}")
    model.graph.initializer.append(helper.make_tensor("n", TensorProto.INT64, [], [trips]))
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Loop", ["n", "", start], ["y"], body=parse(body).graph, name="forever"))
    return model


TANH = "b (int64 i, bool c, float[1,4] v) => (bool d, float[1,4] w) { d = Identity(c) w = Tanh(v) }"
DOUBLES = "b (int64 i, bool c, float[M,4] v) => (bool d, float[K,4] w) { d = Identity(c) w = Concat<axis=0>(v, v) }"


def endless() -> onnx.ModelProto:
    """2^40 times."""
    return _loop(2**40, TANH)


def endless_constant() -> onnx.ModelProto:
    """The same of constants alone: whoever folds them never ends."""
    model = _loop(2**40, TANH, start="k")
    model.graph.initializer.append(helper.make_tensor("k", TensorProto.FLOAT, [1, 4], [0.1] * 4))
    model.graph.node[0].output[0] = "loop"
    model.graph.node.append(helper.make_node("Add", ["x", "loop"], ["y"]))
    return model


def doubling() -> onnx.ModelProto:
    """16 bytes, 40 times doubled."""
    return _loop(40, DOUBLES, "float[N,4] y")


def growing_sequence() -> onnx.ModelProto:
    """A million times 4 MiB, kept in a sequence."""
    model = parse("g (float[1,4] x) => (float[N,4] y) { e = SequenceEmpty() s = Identity(e) y = ConcatFromSequence<axis=0>(s) }")
    inner = "d = Identity(c) t = Expand(x, size) w = SequenceInsert(v, t)"
    body = parse(f"b (int64 i, bool c, seq(float[M,4]) v) => (bool d, seq(float[M,4]) w) {{ {inner} }}").graph
    model.graph.initializer.append(helper.make_tensor("n", TensorProto.INT64, [], [10**6]))
    model.graph.initializer.append(helper.make_tensor("size", TensorProto.INT64, [2], [1 << 18, 4]))
    model.graph.node[1].CopyFrom(helper.make_node("Loop", ["n", "", "e"], ["s"], body=body, name="forever"))
    return model


def functions() -> onnx.ModelProto:
    """25 functions that call the one before twice."""
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }", local=1)
    for k in range(25):
        inner = helper.make_node(f"f{k - 1}", ["a"], ["b"], domain="local") if k else helper.make_node("Tanh", ["a"], ["b"])
        outer = helper.make_node(f"f{k - 1}", ["b"], ["c"], domain="local") if k else helper.make_node("Tanh", ["b"], ["c"])
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
        model.functions.append(helper.make_function("local", f"f{k}", ["a"], ["c"], [inner, outer], opsets))
    model.graph.node[0].CopyFrom(helper.make_node("f24", ["x"], ["y"], domain="local"))
    return model


MODELS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one for one in (endless, endless_constant, doubling, growing_sequence, functions)
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str
    seconds: float
    left: tuple[str, ...]
    """New entries of the working folder and of the folder for temporary files, and processes."""


def run_command(*arguments: str, folder: Path, before: str = "", stop: signal.Signals | None = None, after: float = 0.0) -> Ended:
    """A command as a program of its own in `folder`. before: Python to run first. stop: a signal to it alone, after so many seconds."""
    temporary, mark = folder / "tmp", uuid.uuid4().hex
    temporary.mkdir(exist_ok=True)
    known, begin = set(os.listdir(folder)), time.monotonic()
    env = os.environ | {"TMPDIR": str(temporary), MARK: mark, "XDG_CACHE_HOME": str(folder.parent / "cache")}
    command = [sys.executable, "-c", before + "\n" + MAIN, *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=env)
    if stop is not None:
        time.sleep(after)
        assert child.poll() is None, child.communicate()
        begin = time.monotonic()
        child.send_signal(stop)
    out, err = child.communicate(timeout=120)
    seconds = time.monotonic() - begin
    left = [*(set(os.listdir(folder)) - known), *(f"tmp/{name}" for name in os.listdir(temporary)), *_processes(mark)]
    return Ended(child.returncode, out, err, seconds, tuple(left))


def _processes(mark: str) -> list[str]:
    """Those that the command started and that are still there, a moment after it."""
    time.sleep(0.1)
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{name}/environ").read_bytes():
                found.append(f"process {name}: {Path(f'/proc/{name}/cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found

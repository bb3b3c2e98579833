"""Whatever a device does while requests overlap, the run ends soon, says where, and leaves no thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from slicing import bundle_of, cut
from small_models import parse
from stub_runtime import STUB, Fault

from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run import overlap
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.overlap import StepFailed

CHAIN = "g (float[8] x) => (float[8] y) { a = Neg(x) b = Abs(a) y = Neg(b) }"
REQUESTS = [{"x": np.full(8, k, np.float32)} for k in range(6)]


def chain(folder: Path) -> Bundle:
    return bundle_of(cut(parse(CHAIN), ("cpu", "npu", "gpu"), runtimes={"npu": STUB}), folder / "b")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize(
    ("kind", "run", "says"),
    [
        ("raise", 3, "OSError: the device is gone"),
        ("hang", 3, "it did not end within the step limit of 0.2 s"),
        ("part", 0, "segment 1 (npu): 4 of 8 elements of b were not written"),
        ("silent", 0, "segment 1 (npu) did not write b to its place in the arena"),
    ],
)
def test_a_fault_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, run: int, says: str, pipeline: bool
) -> None:
    bundle = chain(tmp_path)
    fault = Fault(kind, run).install(monkeypatch)
    session = bundle.session()
    with pytest.raises(StepFailed) as failure:
        session.run_many(REQUESTS, pipeline=pipeline, step_limit=0.2)
    told = failure.value
    assert fault.runs <= run + 2, "no run of the segment begins after the fault but the other mark's of a first run"
    assert says in told.message and told.message.startswith(f"request {told.request}, step 1, segment 1 on npu (stub): ")
    assert (told.step, told.segment, told.device, told.request) == (1, 1, "npu", run)


def test_a_value_that_does_not_come_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = parse("g (float[6] x) => (int64[1,n] w) { z = NonZero(x) w = Neg(z) }")
    bundle = bundle_of(cut(model, ("npu", "cpu"), runtimes={"npu": STUB}), tmp_path / "b")
    Fault("nameless", 2).install(monkeypatch)
    x = [{"x": np.ones(6, np.float32)}] * 4
    with pytest.raises(StepFailed, match=r"request 2, step 0, segment 0 on npu .*: segment 0 \(npu\) did not return z"):
        bundle.session().run_many(x, pipeline=True)


def test_after_a_fault_the_session_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault("raise", 3).install(monkeypatch)
    session = chain(tmp_path).session()
    with pytest.raises(StepFailed):
        session.run_many(REQUESTS, pipeline=True)
    fault.kind = ""
    for given, got in zip(REQUESTS, session.run_many(REQUESTS, pipeline=True), strict=True):
        np.testing.assert_array_equal(got["y"], -np.abs(given["x"]))


def test_a_runtime_that_cannot_be_stopped_is_left_behind_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "GRACE", 0.3)
    fault = Fault("deaf", 2).install(monkeypatch)
    session = chain(tmp_path).session()
    with pytest.raises(StepFailed, match="step limit") as failure:
        session.run_many(REQUESTS, pipeline=True, step_limit=0.2)
    assert fault.runs == 3, "no run of the segment begins after the one that hangs"
    assert "could not be stopped (autoglmc npu)" in failure.value.help
    with pytest.raises(BundleError, match="still runs"):  # it writes to the arena whenever it pleases
        session.run(REQUESTS[0])
    fault.release.set()
    deadline = time.perf_counter() + 5
    while any(thread.name == "autoglmc npu" for thread in threading.enumerate()) and time.perf_counter() < deadline:
        time.sleep(0.01)


def endless() -> ModelProto:
    """Two segments, the second of which loops 2^40 times."""
    model = parse("g (float[1,4] x) => (float[1,4] y) { a = Relu(x) y = Neg(a) }")
    body = parse("b (int64 i, bool c, float[1,4] v) => (bool d, float[1,4] w) { d = Identity(c) w = Tanh(v) }").graph
    model.graph.initializer.append(helper.make_tensor("n", TensorProto.INT64, [], [2**40]))
    del model.graph.node[1:]
    model.graph.node.append(helper.make_node("Loop", ["n", "", "a"], ["y"], body=body))
    return model


def test_onnxruntime_is_stopped_at_the_limit(tmp_path: Path) -> None:
    """The loop would take years, so that this ends at all is the proof."""
    session = bundle_of(cut(endless(), ("npu", "cpu")), tmp_path / "b").session()
    with pytest.raises(StepFailed, match=r"request 0, step 1, segment 1 on cpu \(CPU\): it did not end within the step limit of 0.5 s"):
        session.run_many([{"x": np.ones((1, 4), np.float32)}] * 3, pipeline=True, step_limit=0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_overlapped_requests(number: signal.Signals, tmp_path: Path) -> None:
    bundle_of(cut(endless(), ("npu", "cpu")), tmp_path / "b")
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    code = "from autoglmc.compiler.cli import main; main()"
    verb = ["run", "b", "--input", "x.npz", "--requests", "4", "--pipeline"]
    child = subprocess.Popen([sys.executable, "-c", code, *verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    time.sleep(2.5)
    assert child.poll() is None
    child.send_signal(number)
    out, shown = child.communicate(timeout=60)
    assert child.returncode == 130 and out == "" and shown.splitlines()[-1] == "interrupted: nothing was written"

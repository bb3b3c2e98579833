"""A run that is ended from outside, whatever it was doing: nothing half-written stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from small_models import parse, save

from autoglmc.compiler.devices.interruption import interruptible, run_options

MAIN = [sys.executable, "-c", "from autoglmc.compiler.cli import main; main()"]


def endless(folder: Path) -> Path:
    """A model that loops 2^40 times."""
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    body = parse("b (int64 i, bool c, float[1,4] v) => (bool d, float[1,4] w) { d = Identity(c) w = Tanh(v) }").graph
    trips = helper.make_tensor("n", TensorProto.INT64, [], [2**40])
    model.graph.initializer.append(trips)
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Loop", ["n", "", "x"], ["y"], body=body))
    return save(model, folder)


def started(folder: Path, *verb: str) -> subprocess.Popen[str]:
    """A process that is inside the endless loop."""
    child = subprocess.Popen([*MAIN, *verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    if "--target" in verb:
        assert child.stderr is not None
        while "verify" not in child.stderr.readline():
            assert child.poll() is None
    time.sleep(1.5)  # loading takes less
    assert child.poll() is None
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_a_model_that_runs(number: signal.Signals, tmp_path: Path) -> None:
    model = endless(tmp_path)
    child = started(tmp_path, str(model), "--target", "x86_cpu", "-o", "new/b")
    child.send_signal(number)
    out, shown = child.communicate(timeout=60)
    assert child.returncode == 130 and out == "" and shown.splitlines()[-1] == "interrupted: nothing was written"
    assert os.listdir(tmp_path) == [model.name]


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    model = endless(tmp_path)
    child = started(tmp_path, str(model), "--target", "x86_cpu", "-o", "b")
    child.kill()
    child.communicate(timeout=60)
    assert len(os.listdir(tmp_path)) == 2 and not (tmp_path / "b").exists()
    subprocess.run(
        [*MAIN, str(model), "--target", "x86_cpu", "-o", "b", "--no-verify", "--allow-unverified"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert sorted(os.listdir(tmp_path)) == ["b", model.name]


def test_afterwards_models_run_again() -> None:
    options = run_options()
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            time.sleep(0.01)
    assert options.terminate is False
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL and signal.set_wakeup_fd(-1) == -1


def test_another_thread_leaves_the_signals_alone() -> None:
    seen = []

    def work() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]

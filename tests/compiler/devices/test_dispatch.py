"""What a run of a segment does besides computing: nothing that costs more than the call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from small_models import parse, save

from autoglmc.compiler.devices.interruption import new_run_options
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.run.bundle import Bundle

X = {"x": np.ones(4, np.float32)}


def raised_in(call: Callable[[], object]) -> list[str]:
    """Exceptions raised during the call, caught or not: one that crosses from C++ takes ten times what a small run does."""
    found: list[str] = []

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "exception" and arg[0] is not StopIteration:  # every `with` of a generator ends in one
            found.append(f"{frame.f_code.co_name}: {arg[0].__name__}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return found


def test_the_counter_sees_what_is_caught() -> None:
    def caught() -> None:
        try:
            int("x")
        except ValueError:
            return

    assert raised_in(caught) == ["caught: ValueError"]


@pytest.mark.parametrize(
    "text",
    [
        "g (float[4] x) => (float[4] y) { y = Relu(x) }",  # bound
        "g (float[4] x) => (float[4] y, float[n] z) { y = Relu(x) i = NonZero(x) f = Cast<to = 1>(i) z = Reshape<allowzero = 0>(f, s) }",
    ],
    ids=["bound", "by name"],
)
def test_a_run_raises_nothing(text: str, tmp_path: Path) -> None:
    model = parse(text)
    if "s)" in text:
        import onnx

        model.graph.initializer.append(onnx.helper.make_tensor("s", onnx.TensorProto.INT64, [1], [-1]))
    compile_model(save(model, tmp_path), "x86_cpu", output=tmp_path / "b", verify=False)
    session = Bundle.load(tmp_path / "b").session()
    session.run(X)  # the first run is the proof of where results lie
    assert raised_in(lambda: session.run(X)) == []


def test_run_options_still_end_runs() -> None:
    options = new_run_options()
    options.terminate = True
    assert options.terminate and options.get_run_config_entry("gpu_graph_id") == "-1"

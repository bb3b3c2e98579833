"""Which kinds of operators take their packed weights from the mapped file: private memory as predicted, measured in one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.api.compile import compile as compile_bundle
from autoglmc.compiler.bundle.resident import peaks_of
from autoglmc.compiler.emit import map_weights
from autoglmc.compiler.run.resident import status_bytes

MIB, WIDE, DRAW = 1 << 20, 1536, np.random.default_rng(0)
SLACK = 2.5 * MIB
"""What a session takes beside weights and tensors; every weight is larger."""
FLOAT, ROW = TensorProto.FLOAT, ("x", TensorProto.FLOAT, [2, WIDE])
RESULT = ("y", FLOAT, [2, WIDE])

Value = tuple[str, int, list[int]]


def floats(*shape: int) -> Any:
    return (DRAW.standard_normal(shape) / 32).astype(np.float32)


def bytes_of(kind: Any, *shape: int) -> Any:
    return DRAW.integers(0, 127, shape).astype(kind)


def model(nodes: Sequence[Any], given: Value, made: Value, **weights: Any) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "one",
        [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info(*made)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def kinds() -> dict[str, onnx.ModelProto]:
    node = helper.make_node
    bits = node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=WIDE, N=4 * WIDE, bits=4, block_size=32)
    convolved = ("x", FLOAT, [1, 513, 3, 3])
    return {
        "MatMul": model([node("MatMul", ["x", "w"], ["y"])], ROW, RESULT, w=floats(WIDE, WIDE)),
        "Gemm": model([node("Gemm", ["x", "w", "b"], ["y"], transB=1)], ROW, RESULT, w=floats(WIDE, WIDE), b=floats(WIDE)),
        "Gather": model([node("Gather", ["w", "i"], ["y"])], ("i", TensorProto.INT64, [2]), RESULT, w=floats(WIDE, WIDE)),
        "MatMulNBits": model(
            [bits], ROW, ("y", FLOAT, [2, 4 * WIDE]), w=bytes_of(np.uint8, 4 * WIDE, WIDE // 32, 16), s=floats(WIDE * WIDE // 8)
        ),
        "MatMulInteger": model(
            [node("MatMulInteger", ["x", "w"], ["y"])],
            ("x", TensorProto.UINT8, [2, 2 * WIDE]),
            ("y", TensorProto.INT32, [2, 2 * WIDE]),
            w=bytes_of(np.int8, 2 * WIDE, 2 * WIDE),
        ),
        "LSTM": model(
            [node("LSTM", ["x", "w", "r"], ["y"], hidden_size=512)],
            ("x", FLOAT, [2, 1, 512]),
            ("y", FLOAT, [2, 1, 1, 512]),
            w=floats(1, 2048, 512),
            r=floats(1, 2048, 512),
        ),
        "Conv": model([node("Conv", ["x", "w"], ["y"])], convolved, ("y", FLOAT, [1, 513, 1, 1]), w=floats(513, 513, 3, 3)),
        "ConvTranspose": model(
            [node("ConvTranspose", ["x", "w"], ["y"])], convolved, ("y", FLOAT, [1, 513, 5, 5]), w=floats(513, 513, 3, 3)
        ),
    }


CHILD = """
import sys
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.give_back import give_back
from autoglmc.compiler.run.resident import status_bytes
from autoglmc.compiler.run.zero_inputs import zeros_for

for folder in (sys.argv[1], *sys.argv[1:]):  # the first one also loads the runtime
    bundle = Bundle.load(folder)
    inputs = zeros_for(bundle.manifest.model.inputs)
    give_back()
    before = status_bytes()["RssAnon"]
    session = bundle.session(resident=1 << 40)
    session.run(inputs)
    give_back()
    print(status_bytes()["RssAnon"] - before)
    del session
"""


@pytest.mark.skipif(status_bytes() is None, reason="the system does not tell private memory from mapped pages")
def test_private_memory_is_predicted_for_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every packed form in the file, whatever the budget: a kind that does not take its form from there holds more than predicted."""
    every = lambda found, budget, before: {form.places for one in found for each in one.forms.values() for form in each}  # noqa: E731
    monkeypatch.setattr(map_weights, "_chosen", every)
    made = {name: compile_bundle(one, "x86_cpu", output=tmp_path / name, verify=False, resident=1 << 30) for name, one in kinds().items()}
    folders = [bundle.folder for bundle in made.values()]
    done = subprocess.run([sys.executable, "-c", CHILD, *folders], capture_output=True, text=True, check=True)
    _, *measured = map(int, done.stdout.split())
    wrong = {
        name: (found, peaks_of(bundle.manifest)[""].running)
        for (name, bundle), found in zip(made.items(), measured, strict=True)
        if found > peaks_of(bundle.manifest)[""].running + SLACK
    }
    assert not wrong, "measured, predicted"
    held = {name: peaks_of(bundle.manifest)[""].private for name, bundle in made.items()}
    assert {name for name, private in held.items() if private > MIB} == {"ConvTranspose"}

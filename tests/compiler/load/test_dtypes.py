"""Models of every dtype: loaded, or refused in one sentence; no library says a word on stderr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from autoglmc.compiler import cli
from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.runtime_gap import explain_refusal
from autoglmc.compiler.load.source import MemoryModel

KINDS = sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED})
BODIES = {
    "add": [("Add", "x w", "y")],
    "fold": [("Add", "w w", "v"), ("Add", "x v", "y")],
    "unary": [("Sqrt", "w", "v"), ("Add", "x v", "y")],
    "move": [("Transpose", "w", "v"), ("Transpose", "v", "u"), ("Concat", "x u", "z"), ("Slice", "z a b", "y")],
    "shape": [("Shape", "w", "v"), ("Reshape", "x v", "y")],
    "select": [("Identity", "w", "v"), ("Where", "c x v", "y")],
    "product": [("Transpose", "w", "v"), ("MatMul", "x v", "q"), ("MatMul", "q w", "y")],
}


def model(kind: int, body: str, side: int = 4) -> onnx.ModelProto:
    """side: the weight is side x side; from 64 on it is large."""
    x, y = (helper.make_tensor_value_info(name, kind, [side, side]) for name in "xy")
    values = [b"a" if kind == TensorProto.STRING else 1] * side**2
    extras = {"a": (TensorProto.INT64, [1], [0]), "b": (TensorProto.INT64, [1], [side]), "c": (TensorProto.BOOL, [], [1])}
    nodes = [
        helper.make_node(op, reads.split(), [writes], f"the {op} of {writes}", **({"axis": 0} if op == "Concat" else {}))
        for op, reads, writes in BODIES[body]
    ]
    read = {name for node in nodes for name in node.input}
    weights = [helper.make_tensor("w", kind, [side, side], values)]
    weights += [helper.make_tensor(name, *parts) for name, parts in extras.items() if name in read]
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("side", [4, 96])
@pytest.mark.parametrize("body", BODIES)
def test_loading_says_nothing_on_stderr(body: str, side: int, capfd: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        load_model(MemoryModel(model(kind, body, side), "m"))
    assert capfd.readouterr() == ("", "")


def test_loading_says_nothing_on_the_stderr_of_a_process(tmp_path: Path) -> None:
    """Where Python writes by itself, tracebacks of extensions among it."""
    for kind in KINDS:
        for body in BODIES:
            (tmp_path / f"{kind}-{body}.onnx").write_bytes(model(kind, body).SerializeToString())
    code = (
        "import sys; from pathlib import Path; from autoglmc.compiler.load.load_model import load_model\n"
        "for path in Path(sys.argv[1]).iterdir(): load_model(path)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
def test_what_onnxruntime_refuses_is_one_sentence_of_ours(kind: int) -> None:
    for body in BODIES:
        made = model(kind, body)
        try:
            open_session(made.SerializeToString(), optimise=False)
        except Exception as problem:
            told = explain_refusal(str(problem), made)
            assert "ONNXRuntimeError" not in told and "/" not in told, told
            dtype = TensorProto.DataType.Name(kind).lower()
            assert dtype in told and ("'the " in told or "has no tensors" in told), told


def test_a_bf16_model_is_refused_with_operator_tensor_and_dtype(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model(TensorProto.BFLOAT16, "product").SerializeToString())
    assert cli.run([str(path), "--target", "x86_cpu", "-o", str(tmp_path / "out")]) == 1
    told = capfd.readouterr().err
    assert "no kernel for MatMul 'the MatMul of q'" in told and "bfloat16, the dtype of tensor 'x'" in told and "fp32 or fp16" in told
    assert "ONNXRuntimeError" not in told and "Traceback" not in told

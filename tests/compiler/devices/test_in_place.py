"""A result may take an input's bytes where the proof says so: then the segment run in place gives the bits that it gives apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from random_graphs import models
from small_models import parse, save

from autoglmc.compiler.devices.adapter import Port
from autoglmc.compiler.devices.in_place import BINARY, UNARY, VIEWS, TellsExecution, proof_of
from autoglmc.compiler.devices.ort import OrtAdapter
from autoglmc.compiler.devices.ort_settings import OrtSettings
from autoglmc.compiler.devices.views import view_at

SIZES = [(1,), (7,), (3, 5), (33, 129), (257, 1031)]
"""Scalars of SIMD loops, and enough for several threads."""


def test_only_onnxruntime_tells_what_it_executes() -> None:
    from autoglmc.compiler.devices.find_adapter import adapter_for

    assert isinstance(OrtAdapter(), TellsExecution)
    for runtime in ("qnn", "iree", "openvino", "coreml"):
        assert not isinstance(adapter_for(runtime), TellsExecution)


def run_at(model: onnx.ModelProto, folder: Path, values: dict[str, np.ndarray], over: dict[str, str]) -> dict[str, np.ndarray]:
    """The outputs of a run in which those of `over` lie at the address of an input; all others hold NaN or -1 before."""
    memory = {name: value.copy() for name, value in values.items()}
    for output in model.graph.output:
        if output.name not in over:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
            shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
            memory[output.name] = np.full(int(np.prod(shape)) * dtype.itemsize, 0xFF, np.uint8).view(dtype).reshape(shape)

    def port(value: onnx.ValueInfoProto) -> Port:
        kinds = {1: "fp32", 6: "int32", 7: "int64", 9: "bool", 10: "fp16", 11: "fp64"}
        shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        address = memory[over.get(value.name, value.name)].ctypes.data
        return Port(value.name, kinds[value.type.tensor_type.elem_type], shape, address)

    outputs = [port(value) for value in model.graph.output]
    loaded = OrtAdapter().load(save(model, folder), None, [port(value) for value in model.graph.input], outputs)
    loaded.run({})
    assert not loaded.misplaced()
    return {one.name: view_at(one).copy() for one in outputs}


def random_values(model: onnx.ModelProto, seed: int = 0) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(seed)
    found = {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        values = dice.standard_normal(shape) * 3
        found[value.name] = values.astype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return found


def equal(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.tobytes() == right[name].tobytes(), name


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", sorted(UNARY | BINARY | VIEWS - {"Squeeze", "Unsqueeze", "Reshape", "Flatten"}))
def test_each_listed_operator_alone(tmp_path: Path, kind: str, size: tuple[int, ...]) -> None:
    """For either operand of a binary operator, for both at once, and beside a stretched one."""
    shape, dtype = ",".join(map(str, size)), "bool" if kind == "Not" else "float"
    calls = [f"{kind}(x)"] if kind not in BINARY else [f"{kind}(x, x)", f"{kind}(x, z)", f"{kind}(z, x)", f"{kind}(s, x)", f"{kind}(x, s)"]
    for call in calls:
        more = "".join(f", float[{dims}] {name}" for name, dims in (("z", shape), ("s", "1")) if f"{name}" in call.split("(")[1])
        model = parse(f"g ({dtype}[{shape}] x{more}) => ({dtype}[{shape}] y) {{ y = {call} }}")
        assert proof_of(OrtAdapter().executed(model.SerializeToString()), "x", "y"), call
        values = random_values(model)
        equal(run_at(model, tmp_path, values, {"y": "x"}), run_at(model, tmp_path, values, {}))


@pytest.mark.parametrize(
    ("graph", "proved"),
    [
        ("g (float[4,6] x) => (float[4,6] y) { a = Relu(x) b = Softmax(a) y = Exp(b) }", True),
        ("g (float[4,6] x) => (float[4,6] y) { a = Relu(x) y = Add(a, x) }", True),
        ("g (float[4,6] x) => (float[4,6] y, float[4,6] z) { y = Relu(x) z = Exp(x) }", False),
        ("g (float[4,6] x) => (float[4,6] y, float[4,6] z) { a = Exp(x) y = Relu(a) z = Exp(a) }", True),
        ("g (float[4,6] x) => (float[6,4] y) { y = Transpose <perm = [1, 0]> (x) }", False),
        ("g (float[4,6] x, int64[2] s) => (float[6,4] y) { y = Reshape(x, s) }", True),
        ("g (float[4,6] x) => (float[4,6] y) { y = Softmax(x) }", False),
        ("g (float[4,6] x) => (float[4,6] y) { y = Gelu(x) }", False),
        ("g (float[4,6] x, int64[2] s) => (float[6,4] y, float[6,4] z) { a = Reshape(x, s) y = Relu(a) z = Exp(a) }", False),
        ("g (float[4,1] x) => (float[4,1] y) { a = Reshape(x, s) b = Add(x, a) y = ReduceMax <keepdims = 1> (b, one) }", True),
        ("g (bool c, float[4] x) => (float[4] y) { y = If (c) <then_branch = t () => (float[4] p) { p = Exp(x) }, "
         "else_branch = e () => (float[4] q) { q = Identity(x) }> }", False),
        ("g (int32[4] x) => (float[4] y) { y = Cast <to = 1> (x) }", False),
    ],
)  # fmt: skip
def test_what_is_proved(graph: str, proved: bool) -> None:
    model = parse(graph, opset=20, ir=9)
    model.graph.initializer.extend([numpy_helper.from_array(np.array([1, 4]), "s"), numpy_helper.from_array(np.array([1]), "one")])
    inputs = {value.name for value in model.graph.input}
    for tensor in [t for t in model.graph.initializer if t.name in inputs]:
        model.graph.initializer.remove(tensor)
    assert bool(proof_of(OrtAdapter().executed(model.SerializeToString()), "x", "y")) is proved


def test_fusion_is_seen(tmp_path: Path) -> None:
    """MatMul, then Add: apart, the Add writes after the MatMul has read; fused to a Gemm, the result would be wrong."""
    model = parse("g (float[64,64] x) => (float[64,64] y) { a = MatMul(x, w) y = Add(a, b) }")
    for name, shape in (("w", (64, 64)), ("b", (64,))):
        model.graph.initializer.append(numpy_helper.from_array(np.random.default_rng(0).random(shape, np.float32), name))
    assert proof_of(model, "x", "y")
    assert proof_of(OrtAdapter(OrtSettings("off")).executed(model.SerializeToString()), "x", "y")
    executed = OrtAdapter().executed(model.SerializeToString())
    assert [node.op_type for node in executed.graph.node] == ["Gemm"]
    assert not proof_of(executed, "x", "y")
    values = random_values(model)
    with pytest.raises(AssertionError):
        equal(run_at(model, tmp_path, values, {"y": "x"}), run_at(model, tmp_path, values, {}))


@given(models(), st.integers(0, 2**31))
@settings(max_examples=60)
def test_what_is_proved_gives_the_same_bits(tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto, seed: int) -> None:
    executed = OrtAdapter().executed(model.SerializeToString())
    folder = tmp_path_factory.mktemp("m")
    values = random_values(model, seed)
    apart = run_at(model, folder, values, {})
    for output in model.graph.output:
        for source in model.graph.input:
            same = values[source.name].nbytes == apart[output.name].nbytes
            if same and proof_of(executed, source.name, output.name):
                equal(run_at(model, folder, values, {output.name: source.name}), apart)

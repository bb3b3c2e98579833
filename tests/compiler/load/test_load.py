from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from models import NAMES, SHAPES, model_path
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler.errors import ModelError, UsageError
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.load_model import load_model
from autoglmc.passes.mapped.mapped_tensor import inline_all


def run(model: onnx.ModelProto | Path, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Without onnxruntime's own rewrites, which round differently for graphs that differ in nothing but shape arithmetic."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"]).run(None, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_model_computes_what_its_file_does(name: str) -> None:
    loaded = load_model(model_path(name), SHAPES[name])
    assert loaded.unbound == () and loaded.opset >= 18
    inline_all(loaded.proto)
    onnx.checker.check_model(loaded.proto, full_check=True)
    inputs = generate_inputs(loaded.proto, 1)
    for got, expected in zip(run(loaded.proto, inputs), run(loaded.source, inputs), strict=True):
        assert got.shape == expected.shape and got.dtype == expected.dtype
        assert np.abs(got - expected).max() <= 1e-5 * expected.std()


def untyped_tensors(model: onnx.ModelProto) -> tuple[str, ...]:
    """Tensors that nodes of the main graph write and whose dtype nobody knows."""
    typed = {value.name for value in (*model.graph.value_info, *model.graph.output) if value.type.WhichOneof("value")}
    return tuple(name for node in model.graph.node for name in node.output if name and name not in typed)


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_of_a_loaded_model_is_typed(name: str) -> None:
    loaded = load_model(model_path(name), SHAPES[name])
    assert untyped_tensors(loaded.proto) == ()
    assert not any("not simplified" in note or "kept" in note for note in loaded.notes)
    assert not any(node.op_type == "Constant" for node in loaded.proto.graph.node)
    open_dims = [
        value.name
        for value in loaded.proto.graph.value_info
        if not all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    ]
    assert len(open_dims) <= (1 if name.startswith("silero") else 0), "the outputs of an If may stay open"


@pytest.mark.parametrize("name", ["ppocr4_rec", "bert_tiny"])
def test_names_metadata_and_interface_survive(name: str) -> None:
    source, loaded = onnx.load(model_path(name)), load_model(model_path(name), SHAPES[name]).proto
    assert [value.name for value in loaded.graph.input] == [value.name for value in source.graph.input]
    assert [value.name for value in loaded.graph.output] == [value.name for value in source.graph.output]
    assert loaded.metadata_props == source.metadata_props and loaded.producer_name == source.producer_name
    assert loaded.graph.name == source.graph.name


def test_loading_is_deterministic_over_processes() -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from autoglmc.compiler.load.load_model import load_model;"
        "m = load_model(Path(sys.argv[1]), {'batch': 1, 'seq': 32});"
        "print(hashlib.sha256(m.proto.SerializeToString(deterministic=True)).hexdigest(), m.sha256)"
    )
    path = model_path("bert_tiny")
    runs = {
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert runs.pop().split()[1] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_dims_that_stay_unbound_are_named(tmp_path: Path) -> None:
    path = save(parse(DYNAMIC), tmp_path)
    assert load_model(path).unbound == ("batch", "seq")
    assert load_model(path, {"batch": 1}).unbound == ("seq",)
    with pytest.raises(UsageError):
        load_model(path, {"time": 1})


def test_faults_are_model_errors_that_name_the_file(tmp_path: Path) -> None:
    cycle = "g (float[4] x) => (float[4] y) { a = Add(x, y) y = Relu(a) }"
    for model, words in ((parse(RELU, opset=999), "newer"), (parse(cycle), "cycle"), (parse(RELU.replace("Relu", "Rleu")), "Rleu")):
        path = save(model, tmp_path)
        with pytest.raises(ModelError, match=words) as caught:
            load_model(path)
        assert str(path) in str(caught.value)


def test_unsorted_nodes_are_sorted_with_a_note(tmp_path: Path) -> None:
    loaded = load_model(save(parse("g (float[4] x) => (float[4] y) { y = Neg(a) a = Relu(x) }"), tmp_path))
    assert [node.op_type for node in loaded.proto.graph.node] == ["Relu", "Neg"]
    assert any("sorted" in note for note in loaded.notes)


BOMBS = {
    "ConstantOfShape": "big = ConstantOfShape(size)",
    "Expand": "big = Expand(one, size)",
    "Tile": "big = Tile(one, size)",
    "Range": "big = Range(zero, last, step)",
    "broadcast": "r = Range(zero, root, step) c = Unsqueeze(r, axis) big = Mul(r, c)",
    "by the shape of an input": "n = Shape(z) big = ConstantOfShape(n)",
    "by a shape that must be computed": "h = Split(size) i = Mul(h, unit) big = Expand(one, i)",
    **{
        f"{carrier}, whose values are followed": f"c = ConstantOfShape(size) big = {carrier}"
        for carrier in (
            "Add(c, one)",
            "Mul(one, c)",
            "Sub(c, c)",
            "Cast<to = 1>(c)",
            "Concat<axis = 0>(c, one)",
            "Gather(c, unit)",
            "Slice(c, axis, size)",
            "Squeeze(c)",
            "Unsqueeze(c, axis)",
        )
    },
    "an input, and no constant": "big = Add(z, one)",
    "a long vector once its shape is known": "n = Shape(z) i = Mul(n, unit) c = Expand(one, i) d = Add(c, one) big = Sub(d, c)",
    "doubled": " ".join(
        ["c0 = Concat<axis = 0>(one, one)", *(f"c{k + 1} = Concat<axis = 0>(c{k}, c{k})" for k in range(26)), "big = Neg(c26)"]
    ),
    "in a body": "big = If(yes) <then_branch = t () => (float[n] p) { c = ConstantOfShape(size) p = Add(c, one) },"
    " else_branch = e () => (float[n] q) { q = Expand(one, size) }>",
    "in a body that is not taken yet": "k = Equal(x, one) j = Squeeze(k) big = If(j) <then_branch = t () => (float[n] p) {"
    " c = Tile(one, size) p = Add(c, one) }, else_branch = e () => (float[n] q) { q = Expand(one, size) }>",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_constant_bomb_is_not_folded(tmp_path: Path, bomb: str) -> None:
    """Folding any of these would take a gigabyte; the limit on the process is half of that above what it has."""
    model = parse(f"g (float[1] x, float[268435456] z) => (float y) {{ {BOMBS[bomb]} s = ReduceMax<keepdims=0>(big) y = Add(x, s) }}")
    constants = {
        "size": [1 << 28],
        "zero": np.float32(0),
        "last": np.float32(1 << 28),
        "root": np.float32(1 << 14),
        "step": np.float32(1),
        "yes": True,
    }
    for name, value in {**constants, "one": np.ones(1, np.float32), "axis": [1], "unit": [1]}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    path = save(model, tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded = load_model(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert loaded.proto.ByteSize() < 4 << 20 and grown < 1 << 19, f"{grown} KiB"
    assert {node.domain for node in loaded.proto.graph.node} == {""}


def test_shape_arithmetic_around_a_kept_node_is_folded(tmp_path: Path) -> None:
    model = parse("g (float[4] x) => (float[4] y, float[n] z) { a = Add(i, j) y = Expand(x, a) b = Mul(k, a) z = Expand(one, b) }")
    for name, value in {"i": [2], "j": [2], "k": [1 << 20], "one": np.ones(1, np.float32)}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    loaded = load_model(save(model, tmp_path))
    assert sorted(node.op_type for node in loaded.proto.graph.node) in (["Expand", "Expand"], ["Expand"])


def test_many_small_constants_do_not_explode_the_model(tmp_path: Path) -> None:
    tiles = " ".join(f"t{i} = Expand(v{i}, size) s{i + 1} = Add(s{i}, t{i})" for i in range(8))
    model = parse(f"g (float[262144] s0) => (float[262144] s8) {{ {tiles} }}")
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.full(1, i, np.float32), f"v{i}") for i in range(8))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([262144]), "size"))
    loaded = load_model(save(model, tmp_path))
    assert loaded.proto.ByteSize() < 4 << 20
    assert any("computed on every run" in note and "Expand" in note for note in loaded.notes)
    assert 2 <= sum(node.op_type == "Expand" for node in loaded.proto.graph.node) < 8, "some fit, and each is decided by itself"


def test_inputs_with_defaults_become_constants_with_a_note(tmp_path: Path) -> None:
    model = parse("g (float[4] x, float[4] w) => (float[4] y) { y = Add(x, w) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(4, np.float32), "w"))
    loaded = load_model(save(model, tmp_path))
    assert [value.name for value in loaded.proto.graph.input] == ["x"]
    assert any("taken as constants" in note for note in loaded.notes)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17, "own": 1]>
        g (float[4] x) => (float[4] y) { y = own.twice(x) }
        <domain: "own", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }
    """)
    loaded = load_model(save(model, tmp_path))
    assert [node.op_type for node in loaded.proto.graph.node] == ["Add"] and not loaded.proto.functions


def test_operators_of_other_domains_survive_lifting(tmp_path: Path) -> None:
    model = parse("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) y = com.microsoft.Gelu(a) }", opset=13, **{"com.microsoft": 1})
    loaded = load_model(save(model, tmp_path))
    assert [node.op_type for node in loaded.proto.graph.node] == ["Relu", "Gelu"]
    x = np.linspace(-3, 3, 8, dtype=np.float32).reshape(2, 4)
    assert np.array_equal(run(loaded.proto, {"x": x})[0], run(loaded.source, {"x": x})[0])


def test_an_operator_nobody_knows_keeps_the_type_its_exporter_stated(tmp_path: Path) -> None:
    model = parse("g (float[4] x) => (float[4] y) <float[4] a> { a = my.own(x) y = Relu(a) }", my=1)
    loaded = load_model(save(model, tmp_path))
    assert untyped_tensors(loaded.proto) == ()
    assert [node.op_type for node in loaded.proto.graph.node] == ["own", "Relu"]


def test_values_stated_for_another_size_do_not_mislead(tmp_path: Path) -> None:
    model = parse("g (float[n,4] x) => (float[n,4] y) <float[7,4] a> { a = Relu(x) y = Neg(a) }")
    loaded = load_model(save(model, tmp_path), {"n": 2})
    (value,) = loaded.proto.graph.value_info
    assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [2, 4]


def test_an_operator_that_cannot_be_folded_stays_without_a_word_of_a_library(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = parse("g (float[1,4] x) => (float[1,4] y) { s = Sqrt (w) c = Cast <to = 1> (s) y = Add(x, c) }", opset=18, ir=9)
    model.graph.initializer.append(onnx.helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [4], [1, 2, 3, 4]))
    loaded = load_model(save(model, tmp_path))
    assert [node.op_type for node in loaded.proto.graph.node] == ["Sqrt", "Cast", "Add"]
    assert capfd.readouterr().err == ""

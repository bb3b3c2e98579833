"""A model of an old opset means after lifting what it meant before: the values are onnxruntime's on the original file, optimisations off.

onnxruntime keeps the kernels of old operators, so it owes nothing to onnx.version_converter, nor to our own conversions.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.lift.lift_opset import OPSET, lift_opset, modernise
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.load.versions import opset_of

Arrays = list[np.ndarray]
SIZES = {"N": 2, "M": 3}
ROWS = [
    (int(first), int(last), text)
    for line in (Path(__file__).parent / "old_operators.txt").read_text("utf-8").splitlines()
    if (found := re.fullmatch(r"(\d+)-(\d+) (.*)", line))
    for first, last, text in [found.groups()]
]
NOT_RUN = {"allowzero=1", "min=1.0,max=-1.0", "layout=1", "Unsqueeze<axes=[1]>(x) y = Expand", "Scatter<axis=0>(x, i, u)"}
"""Texts that onnxruntime refuses at (some of) their opsets: no elements, min above max, LSTM by batch, operators that are gone."""
NOT_LIFTED = "Scan("
"""Of opset 8, with a batch axis: the model stays at its own opset."""


def spelled(text: str) -> Iterator[str]:
    """Every combination of a text's alternatives."""
    parts = re.split("«([^»]*)»", text)
    for chosen in itertools.product(*(part.split("|") for part in parts[1::2])):
        yield "".join(itertools.chain(*itertools.zip_longest(parts[::2], chosen, fillvalue="")))


def run(model: onnx.ModelProto, fed: dict[str, np.ndarray]) -> Arrays:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, fed)


def feeds(model: onnx.ModelProto, seed: int) -> dict[str, np.ndarray]:
    generator, made = np.random.default_rng(seed), {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        values = generator.normal(size=[dim.dim_value or SIZES.get(dim.dim_param, 2) for dim in kind.shape.dim]) * 2
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        made[value.name] = np.asarray(np.abs(values) > 1 if dtype.kind == "b" else values).astype(dtype)
    return made


def assert_same(got: Arrays, wanted: Arrays, text: str) -> None:
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape, text
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=text)


def models(row: tuple[int, int, str], opsets: range) -> Iterator[tuple[str, onnx.ModelProto, list[dict[str, np.ndarray]], list[Arrays]]]:
    """(text, model, inputs, values) of a row at every opset that it is for."""
    for opset in opsets:
        for text in spelled(row[2]):
            model = parse(text, opset=opset, ir=7)
            fed = [feeds(model, seed) for seed in (1, 2)]
            try:
                values = [run(model, one) for one in fed]
            except Exception:
                assert any(words in text for words in NOT_RUN), f"opset {opset}: {text}"
                continue
            yield f"opset {opset}: {text}", model, fed, values


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]} {re.findall(r'= ?([^()<{]*)[(<]', row[2])[-1]}")
def test_a_lifted_operator_means_what_it_meant(row: tuple[int, int, str]) -> None:
    for text, model, fed, values in models(row, range(row[0], row[1] + 1)):
        before = model.SerializeToString(deterministic=True)
        lifted, notes = modernise(model)
        assert model.SerializeToString(deterministic=True) == before
        assert opset_of(lifted) == (8 if NOT_LIFTED in text and "opset 8" in text else OPSET), (text, notes)
        onnx.checker.check_model(lifted)
        assert {entry.domain for entry in lifted.opset_import} == {""}
        for one, wanted in zip(fed, values, strict=True):
            assert_same(run(lifted, one), wanted, text)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]} {re.findall(r'= ?([^()<{]*)[(<]', row[2])[-1]}")
def test_a_loaded_operator_means_what_it_meant(row: tuple[int, int, str]) -> None:
    """The whole way to a model for passes: folded, branches taken, typed."""
    for text, model, fed, values in models(row, range(row[0], row[0] + 1)):
        try:
            loaded = load_model(MemoryModel(model, "m"), {dim: SIZES[dim] for dim in sorted(open_dims(model))}).proto
        except ModelError as problem:  # what the runtime computes against the standard is refused by name: load/runtime_faults.py
            assert "align_corners" in text and "align_corners with the scale" in problem.message, text
            continue
        for one, wanted in zip(fed, values, strict=True):
            assert_same(run(loaded, one), wanted, text)


def open_dims(model: onnx.ModelProto) -> set[str]:
    return {dim.dim_param for value in model.graph.input for dim in value.type.tensor_type.shape.dim if dim.dim_param}


@pytest.mark.parametrize(
    ("text", "opset"),
    [
        ("g (float[2,3,4] x) => (float[2,3,4] y) { y = Hardmax(x) }", 12),
        ('g (float[1,1,4,6] x) => (float[1,1,N,M] y) <float[4] s = {1.0,1.0,2.0,2.0}> { y = Resize<mode="linear">(x, s) }', 10),
        ("g (float[2,3] x) => (float[2,3] y, bool[2,3] m) { y, m = Dropout(x) }", 10),
    ],
)
def test_the_converter_alone_changes_the_meaning(text: str, opset: int) -> None:
    """Why there are conversions of our own: where a newer onnx does it right, one can go."""
    model = parse(text, opset=opset, ir=7)
    fed = feeds(model, 1)
    wanted, got = run(model, fed), run(lift_opset(model)[0], fed)
    assert any(not np.array_equal(a, b) for a, b in zip(wanted, got, strict=True))


FUNCTION = """<ir_version: 8, opset_import: ["": {opset}, "own": 1]>
    g (float[2,3,4] x) => (float[2,3,4] y) {{ y = own.twice(x) }}
    <domain: "own", opset_import: ["": {inside}]> twice (a) => (b) {{ b = Hardmax<axis=1>(a) }}"""


@pytest.mark.parametrize(
    ("opset", "inside", "flat"), [(11, 11, True), (17, 11, True), (18, 11, True), (21, 12, True), (13, 13, False), (18, 13, False)]
)
def test_a_functions_operator_is_of_the_functions_opset(opset: int, inside: int, flat: bool) -> None:
    model = onnx.parser.parse_model(FUNCTION.format(opset=opset, inside=inside))
    lifted, _ = modernise(model)
    assert not lifted.functions
    x = feeds(model, 1)["x"]
    rows = x.reshape(2, 12) if flat else np.moveaxis(x, 1, 2).reshape(8, 3)
    wanted = np.eye(rows.shape[1], dtype=np.float32)[rows.argmax(1)]
    wanted = wanted.reshape(2, 3, 4) if flat else np.moveaxis(wanted.reshape(2, 4, 3), 2, 1)
    np.testing.assert_array_equal(run(lifted, {"x": x})[0], wanted)


def test_names_that_are_taken_are_not_used_again() -> None:
    """onnx.version_converter's own Softmax writes y_intermediate, which may be there."""
    names = ["y_intermediate", "y_shape", "y_flatten", "y_softmax"]
    outputs = ", ".join(f"float[2,3,4] {name}" for name in names)
    relus = " ".join(f"{name} = Relu(x)" for name in names)
    model = parse(f"g (float[2,3,4] x) => (float[2,3,4] y, {outputs}) {{ {relus} y = Softmax(x) }}", opset=11, ir=7)
    lifted, _ = modernise(model)
    assert_same(run(lifted, feeds(model, 1)), run(model, feeds(model, 1)), "")


def test_a_body_may_use_a_name_for_another_rank() -> None:
    """Over the last axis of a matrix, Softmax stays; over axis 1 of three it must be flattened, although the name is the same."""
    branches = [
        f"{name} () => (float[2,12] {name}o) {{ a = Reshape(x, {name}s) b = Softmax<axis=1>(a) {name}o = Reshape(b, flat) }}"
        for name in "te"
    ]
    text = (
        "g (float[24] x, bool c) => (float[2,12] y) <int64[2] ts = {2,12}, int64[3] es = {2,3,4}, int64[2] flat = {2,12}>"
        f" {{ y = If(c) <then_branch = {branches[0]}, else_branch = {branches[1]}> }}"
    )
    model = parse(text, opset=11, ir=7)
    lifted, _ = modernise(model)
    for value in (True, False):
        fed = feeds(model, 1) | {"c": np.array(value)}
        assert_same(run(lifted, fed), run(model, fed), text)


BEFORE_7 = {
    "Add<broadcast=1,axis=1>(x, s)": lambda x, s: x + s[:, None],
    "Mul<broadcast=1>(x, s)": lambda x, s: x * s,
    "Pow<broadcast=1,axis=-2>(x, s)": lambda x, s: x ** s[:, None],
    "PRelu(x, s)": lambda x, s: np.where(x < 0, x * s[:, None], x),
}


@pytest.mark.parametrize("call", BEFORE_7)
@pytest.mark.parametrize("sizes", ["2,3,3", "2,3,4"])
def test_broadcasting_of_before_opset_7(call: str, sizes: str) -> None:
    """Opset 6 has no kernels in onnxruntime: the values are those of ONNX's text."""
    extent = sizes[-1] if call.startswith("Mul") else "3"
    model = parse(f"g (float[{sizes}] x, float[{extent}] s) => (float[{sizes}] y) {{ y = {call} }}", opset=6, ir=3)
    lifted, notes = modernise(model)
    assert opset_of(lifted) == OPSET, notes
    fed = feeds(model, 1)
    if call.startswith("Pow"):
        fed = {name: np.abs(value) for name, value in fed.items()}
    np.testing.assert_allclose(run(lifted, fed)[0], BEFORE_7[call](fed["x"], fed["s"]), rtol=1e-5)


@pytest.mark.parametrize(("zero", "needed"), [(np.uint8(3), 18), (np.uint16(3), 21), (np.int16(0), 21)])
def test_quantising_of_com_microsoft_is_the_standards(zero: np.generic, needed: int) -> None:
    """onnxruntime.quantization writes 16 bits so: the same numbers, in operators that devices list."""
    from autoglmc.compiler.load.lift.lift_opset import modernise

    nodes = [onnx.helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain="com.microsoft")]
    nodes += [onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], domain="com.microsoft")]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"]
    weights = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in (("s", np.float32(0.1)), ("z", zero))]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    opsets = [onnx.helper.make_opsetid("", 13), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    lifted, notes = modernise(model)
    assert {(entry.domain, entry.version) for entry in lifted.opset_import} == {("", needed)}
    assert [node.domain for node in lifted.graph.node] == ["", ""] and "became the standard's" in notes[-1]
    onnx.checker.check_model(lifted, full_check=True)
    x = {"x": np.array([-1, 0.06, 0.2, 9], np.float32)}
    results = [
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, x)[0]
        for each in (model, lifted)
    ]
    assert np.array_equal(*results)

"""Folding decides per operator: shared weights stay shared, tables are gathered first, and branches do not hide weights."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from run_model import run
from small_models import parse

from autoglmc.compiler.load.load_model import LoadedModel, load_model
from autoglmc.compiler.load.source import MemoryModel

RNG = np.random.default_rng(0)
ROWS, WIDTH = 12000, 96


def load(text: str, opset: int = 21, **weights: np.ndarray) -> tuple[LoadedModel, onnx.ModelProto]:
    model = parse(text, opset=opset, ir=10)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items())
    return load_model(MemoryModel(model, "m")), model


def kinds(loaded: LoadedModel) -> Counter[str]:
    return Counter(node.op_type for node in loaded.proto.graph.node)


@pytest.mark.parametrize("behind", ["Identity(i{k})", "Transpose(i{k})", "Cast<to = 10>(i{k})"])
def test_a_weight_behind_many_identities_stays_one(behind: str) -> None:
    """Each folded by itself would be a copy: 100 times the file."""
    half = "Cast" in behind
    steps = " ".join(
        f"i{k} = Identity(W) t{k} = {behind.format(k=k)} m{k} = MatMul(r{k}, t{k}) s{k} = Shape(m{k})"
        f" n{k} = Concat<axis = 0>(s{k}, none) r{k + 1} = Reshape(m{k}, n{k})" for k in range(100)
    )  # fmt: skip
    kind = "float16" if half else "float"
    text = f"g ({kind}[4,256] r0) => ({kind}[4,256] y) <int64[0] none = {{}}> {{ {steps} y = Neg(r100) }}"
    loaded, model = load(text, W=0.01 * RNG.standard_normal((256, 256)).astype(np.float32))
    assert {"MatMul", "Neg"} <= {*kinds(loaded)} <= {"MatMul", "Reshape", "Neg"} and not loaded.notes
    assert loaded.proto.ByteSize() < 2 * model.ByteSize()


TABLES = {
    "Cast, Mul": ("c = Cast<to = 1>(T) p = Mul(c, s)", {"s": np.float32(9.8)}, np.float16),
    "Cast, Mul by a row": ("c = Cast<to = 1>(T) p = Mul(c, s)", {"s": RNG.standard_normal(WIDTH).astype(np.float32)}, np.float16),
    "Cast, Add of a column": ("c = Cast<to = 1>(T) p = Add(s, c)", {"s": RNG.standard_normal((ROWS, 1)).astype(np.float32)}, np.float16),
    "Identity, Neg, Where": (
        "i = Identity(T) c = Cast<to = 1>(i) n = Neg(c) p = Where(b, n, c)", {"b": RNG.random(WIDTH) < 0.5}, np.float16,
    ),
    "DequantizeLinear": ("p = DequantizeLinear(T, s, z)", {"s": np.float32(0.1), "z": np.int8(3)}, np.int8),
    "DequantizeLinear by column": (
        "p = DequantizeLinear<axis = 1>(T, s, z)",
        {"s": RNG.random(WIDTH).astype(np.float32), "z": np.zeros(WIDTH, np.int8)}, np.int8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("indices", ["int64", "int64[7]", "int64[1,5]", "int32[2,3]"])
@pytest.mark.parametrize("table", TABLES)
def test_a_computed_table_is_gathered_first(table: str, indices: str) -> None:
    nodes, operands, dtype = TABLES[table]
    rank = indices.count("[") + indices.count(",")
    result = ",".join("ABC"[: rank + 1])
    weights = {"T": (10 * RNG.standard_normal((ROWS, WIDTH))).astype(dtype), **operands}
    text = f"g ({indices} index) => (float[{result}] y) {{ {nodes} y = Gather(p, index) }}"
    loaded, model = load(text, **weights)
    assert loaded.proto.graph.node[0].op_type == "Gather", kinds(loaded)
    assert loaded.proto.ByteSize() < 1.1 * model.ByteSize()
    shape = [int(size) for size in indices.partition("[")[2].rstrip("]").split(",") if size]
    fed = {"index": RNG.integers(-ROWS, ROWS, shape).astype(indices.partition("[")[0])}
    np.testing.assert_array_equal(run(loaded.proto, fed)[0], run(model, fed)[0])


def test_rows_that_are_quantised_again_are_left_between_their_grids() -> None:
    """A device of integers takes them as one Gather of integers, and no other."""
    table = {"T": RNG.integers(-99, 99, (ROWS, WIDTH)).astype(np.int8), "s": np.float32(0.1), "z": np.int8(3)}
    text = f"g (int64[7] i) => (int8[7,{WIDTH}] y) {{ p = DequantizeLinear(T, s, z) r = Gather(p, i) y = QuantizeLinear(r, s, z) }}"
    assert [node.op_type for node in load(text, **table)[0].proto.graph.node] == ["DequantizeLinear", "Gather", "QuantizeLinear"]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("shape", [[64, 80, 96], [1, 80, 96], [80, 1], [96], [], [1, 1, 1], [64, 1, 96]])
def test_operands_of_any_shape_give_the_same_numbers(shape: list[int], axis: int) -> None:
    text = f"g (int64[2,3] i) => (float[A,B,C,D] y) {{ c = Cast<to = 1>(T) p = Mul(c, s) y = Gather<axis = {axis}>(p, i) }}"
    loaded, model = load(text, T=RNG.standard_normal((64, 80, 96)).astype(np.float16), s=RNG.standard_normal(shape).astype(np.float32))
    fed = {"i": RNG.integers(-64, 64, (2, 3))}
    np.testing.assert_array_equal(run(loaded.proto, fed)[0], run(model, fed)[0])


def test_a_table_that_something_reads_whole_is_folded() -> None:
    ends = "(int64[5] i, float[2,96] x) => (float[5,96] y, float[2,12000] z)"
    text = f"g {ends} {{ p = Mul(T, s) y = Gather(p, i) t = Transpose(p) z = MatMul(x, t) }}"
    loaded, _ = load(text, T=RNG.standard_normal((ROWS, WIDTH)).astype(np.float32), s=np.float32(2))
    assert kinds(loaded) == {"Gather": 1, "MatMul": 1}


@pytest.mark.parametrize("condition", ["bool c = {1}", ""], ids=["known", "once shapes are"])
@pytest.mark.parametrize("own", [True, False], ids=["the body's weight", "the graph's"])
def test_a_weight_read_in_a_branch_is_folded_as_one_outside(condition: str, own: bool) -> None:
    array = RNG.standard_normal((64, 64)).astype(np.float32)
    head = "" if condition else "n = Size(x) k = Constant<value_int = 256>() c = Equal(n, k)"
    branches = "then_branch = t () => (float[64,64] p) { p = Transpose(W) }, else_branch = e () => (float[64,64] q) { q = Neg(W) }"
    model = parse(f"g (float[4,64] x) => (float[4,64] y) <{condition}> {{ {head} w = If(c) <{branches}> y = MatMul(x, w) }}", opset=18)
    weight = numpy_helper.from_array(array, "W")
    for graph in [a.g for a in model.graph.node[-2].attribute] if own else [model.graph]:
        graph.initializer.append(weight)
    with_if = load_model(MemoryModel(model, "m")).proto.graph
    without, _ = load("g (float[4,64] x) => (float[4,64] y) { w = Transpose(W) y = MatMul(x, w) }", opset=18, W=array)
    for graph in (with_if, without.proto.graph):
        (node,) = graph.node
        assert node.op_type == "MatMul"
        (folded,) = (numpy_helper.to_array(tensor) for tensor in graph.initializer)
        np.testing.assert_array_equal(folded, array.T)


def test_a_quantised_constant_is_folded_and_stays_quantised() -> None:
    text = "g (float[4,96] x) => (float[4,96] y) { q = QuantizeLinear(W, s, z) d = DequantizeLinear(q, s, z) y = MatMul(x, d) }"
    loaded, model = load(text, W=RNG.standard_normal((96, 96)).astype(np.float32), s=np.float32(0.02), z=np.int8(1))
    assert kinds(loaded) == {"DequantizeLinear": 1, "MatMul": 1} and loaded.proto.ByteSize() < model.ByteSize() / 3


def test_an_operator_of_another_domain_keeps_it() -> None:
    text = "g (float[1,4] x) => (float[1,4] y) { d = com.microsoft.MatMulIntegerToFloat(p, q, s, s) y = Add(x, d) }"
    model = parse(text, **{"com.microsoft": 1})
    for name, array in {"p": np.ones((1, 2), np.int8), "q": np.ones((2, 4), np.int8), "s": np.float32(0.5)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    loaded = load_model(MemoryModel(model, "m"))
    assert [node.domain for node in loaded.proto.graph.node] == ["com.microsoft", ""]
    assert helper.make_opsetid("", 18) in loaded.proto.opset_import

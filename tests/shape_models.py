"""Models whose shapes are computed as exporters spell it: by Shape, Gather, Concat, Where, Expand, Range … of tensors of dynamic dims.

`CORPUS` has what real exporters write; `random_model` draws blocks of such arithmetic. All inputs are dynamic, and bound by `--shape`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
Sizes = Mapping[str, int]


@dataclass
class Writer:
    """Writes a graph node by node; every method gives the name of a tensor."""

    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def input(self, name: str, dtype: int, dims: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        return name

    def op(self, operator: str, *operands: str, outputs: int = 0, **attributes: Any) -> Any:
        names = [f"{operator.lower()}_{len(self.nodes)}_{k}" for k in range(outputs or 1)]
        self.nodes.append(helper.make_node(operator, operands, names, name=names[0], **attributes))
        return names if outputs else names[0]

    def value(self, value: Any, dtype: Any = np.int64) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *dims: int) -> str:
        return self.value(self.random.standard_normal(dims) / 8, np.float32)

    def dim(self, x: str, axis: int) -> str:
        """One size as a vector of one, as torch's tracer writes it."""
        return self.op("Unsqueeze", self.op("Gather", self.op("Shape", x), self.value(axis), axis=0), self.value([0]))

    def sizes(self, *parts: str | int) -> str:
        return self.op("Concat", *(self.value([part]) if isinstance(part, int) else part for part in parts), axis=0)

    def expand(self, x: str, shape: str) -> str:
        """torch's expand: -1 stands for the size that is there."""
        flat = self.op("Reshape", shape, self.value([-1]))
        ones = self.op("ConstantOfShape", self.op("Shape", flat), value=numpy_helper.from_array(np.asarray([1], np.int64)))
        same = self.op("Equal", flat, self.op("Mul", ones, self.value(-1)))
        return self.op("Expand", x, self.op("Where", same, ones, flat))

    def model(self, *outputs: str, opset: int = 18, ir: int = 9, **domains: int) -> onnx.ModelProto:
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "shapes", self.inputs, results, self.constants)
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, version) for name, version in domains.items())]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def _heads(w: Writer, x: str, heads: int, each: int) -> str:
    """[batch, length, width] -> [batch, heads, length, each]."""
    shape = w.sizes(w.dim(x, 0), w.dim(x, 1), heads, each)
    return w.op("Transpose", w.op("Reshape", x, shape), perm=[0, 2, 1, 3])


def _joined(w: Writer, x: str, width: int) -> str:
    turned = w.op("Transpose", x, perm=[0, 2, 1, 3])
    return w.op("Reshape", turned, w.sizes(w.dim(turned, 0), w.dim(turned, 1), width))


def _attention(w: Writer, x: str, mask: str, product: Callable[[Writer, str, int, int], str]) -> str:
    q, k, v = (_heads(w, product(w, x, 16, 16), 4, 4) for _ in range(3))
    scores = w.op("MatMul", q, w.op("Transpose", k, perm=[0, 1, 3, 2]))
    weights = w.op("Softmax", w.op("Add", scores, mask) if mask else scores, axis=-1)
    return product(w, _joined(w, w.op("MatMul", weights, v), 16), 16, 16)


def _in_floats(w: Writer, x: str, rows: int, columns: int) -> str:
    return w.op("MatMul", x, w.weight(rows, columns))


def _in_dynamic_int8(w: Writer, x: str, rows: int, columns: int) -> str:
    q, scale, zero = w.op("DynamicQuantizeLinear", x, outputs=3)
    weight = w.value(w.random.integers(-127, 127, (rows, columns)), np.int8)
    product = w.op("MatMulInteger", q, weight, zero, w.value(0, np.int8))
    both = w.op("Mul", scale, w.value(0.02, np.float32))
    return w.op("Mul", w.op("Cast", product, to=FLOAT), both)


def _in_four_bits(w: Writer, x: str, rows: int, columns: int) -> str:
    w.nodes.append(
        helper.make_node(
            "MatMulNBits",
            [x, w.value(w.random.integers(0, 255, (columns, 1, 8)), np.uint8), w.value(np.full(columns, 0.01), np.float32)],
            [f"nbits_{len(w.nodes)}"],
            domain="com.microsoft",
            K=rows,
            N=columns,
            bits=4,
            block_size=16,
        )
    )
    return w.nodes[-1].output[0]


def _embedded(w: Writer) -> tuple[str, str]:
    ids = w.input("ids", INT64, ["batch", "seq"])
    positions = w.op("Slice", w.value([range(64)]), w.value([0]), w.dim(ids, 1), w.value([1]))
    rows = w.op("Gather", w.weight(50, 16), ids)
    return ids, w.op("Add", rows, w.op("Gather", w.weight(64, 16), positions))


def _bert(product: Callable[[Writer, str, int, int], str], layers: int = 3, **domains: int) -> tuple[onnx.ModelProto, Sizes]:
    w = Writer()
    ids, x = _embedded(w)
    mask = w.input("mask", INT64, ["batch", "seq"])
    wide = w.op("Unsqueeze", w.op("Unsqueeze", mask, w.value([1])), w.value([2]))
    wide = w.expand(wide, w.sizes(w.dim(ids, 0), 1, w.dim(ids, 1), w.dim(mask, 1)))
    away = w.op("Sub", w.value(1, np.float32), w.op("Cast", wide, to=FLOAT))
    filled = w.op("Where", w.op("Cast", away, to=BOOL), w.value(-3e4, np.float32), away)
    for _ in range(layers):
        x = w.op("Add", x, _attention(w, x, filled, product))
        x = w.op("LayerNormalization", x, w.weight(16), w.weight(16))
    return w.model(x, **domains), {"batch": 2, "seq": 7}


def albert() -> tuple[onnx.ModelProto, Sizes]:
    """One layer's weights used again and again, token types made by ConstantOfShape, a mask widened by Shape of what is there."""
    w = Writer()
    ids, x = _embedded(w)
    zeros = w.op("ConstantOfShape", w.op("Shape", ids), value=numpy_helper.from_array(np.asarray([0], np.int64)))
    types = w.expand(w.op("Unsqueeze", w.op("Gather", zeros, w.value(0), axis=0), w.value([0])), w.op("Shape", ids))
    x = w.op("Add", x, w.op("Gather", w.weight(2, 16), types))
    weight = w.weight(16, 16)
    for _ in range(4):
        x = w.op("Tanh", _attention(w, x, "", lambda w, x, rows, columns: w.op("MatMul", x, weight)))
    pooled = w.op("Gather", x, w.value(0), axis=1)
    return w.model(pooled), {"batch": 1, "seq": 9}


def causal_rotary() -> tuple[onnx.ModelProto, Sizes]:
    """Angles of positions that Range makes, halves cut at Shape / 2, a causal mask of two Ranges."""
    w = Writer()
    _, x = _embedded(w)
    length = w.op("Gather", w.op("Shape", x), w.value(1))
    row = w.op("Range", w.value(0), length, w.value(1))
    angles = w.op("Mul", w.op("Unsqueeze", w.op("Cast", row, to=FLOAT), w.value([1])), w.weight(1, 2))
    both = w.op("Concat", angles, angles, axis=-1)
    cos, sin = w.op("Cos", both), w.op("Sin", both)
    parts = []
    for _ in range(2):
        q = _heads(w, _in_floats(w, x, 16, 16), 4, 4)
        half = w.op("Unsqueeze", w.op("Div", w.op("Gather", w.op("Shape", q), w.value(3)), w.value(2)), w.value([0]))
        left = w.op("Slice", q, w.value([0]), half, w.value([3]))
        right = w.op("Slice", q, half, w.value([2**63 - 1]), w.value([3]))
        turned = w.op("Concat", w.op("Neg", right), left, axis=-1)
        parts.append(w.op("Add", w.op("Mul", q, cos), w.op("Mul", turned, sin)))
    scores = w.op("MatMul", parts[0], w.op("Transpose", parts[1], perm=[0, 1, 3, 2]))
    seen = w.op("LessOrEqual", w.op("Unsqueeze", row, w.value([0])), w.op("Unsqueeze", row, w.value([1])))
    whole = w.expand(w.op("Unsqueeze", seen, w.value([0, 1])), w.sizes(w.dim(x, 0), 1, -1, -1))
    weights = w.op("Softmax", w.op("Where", whole, scores, w.value(-1e4, np.float32)), axis=-1)
    return w.model(_joined(w, w.op("MatMul", weights, _heads(w, x, 4, 4)), 16)), {"batch": 2, "seq": 6}


def windows() -> tuple[onnx.ModelProto, Sizes]:
    """Window attention: padded to a multiple by Mod, cut into windows by Div, joined again."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", "height", "width", 16])
    missing = [w.op("Mod", w.op("Sub", w.value([4]), w.op("Mod", w.dim(x, axis), w.value([4]))), w.value([4])) for axis in (1, 2)]
    padded = w.op("Pad", x, w.sizes(0, 0, 0, 0, 0, missing[0], missing[1], 0))
    rows, columns = (w.op("Div", w.dim(padded, axis), w.value([4])) for axis in (1, 2))
    cut = w.op("Reshape", padded, w.sizes(w.dim(padded, 0), rows, 4, columns, 4, 16))
    flat = w.op("Reshape", w.op("Transpose", cut, perm=[0, 1, 3, 2, 4, 5]), w.sizes(-1, 16, 16))
    out = _attention(w, flat, "", _in_floats)
    back = w.op("Reshape", out, w.sizes(w.dim(padded, 0), rows, columns, 4, 4, -1))
    joined = w.op("Reshape", w.op("Transpose", back, perm=[0, 1, 3, 2, 4, 5]), w.sizes(w.dim(x, 0), w.dim(padded, 1), w.dim(padded, 2), 16))
    kept = w.op("Slice", joined, w.value([0, 0]), w.sizes(w.dim(x, 1), w.dim(x, 2)), w.value([1, 2]))
    return w.model(w.op("Add", x, kept)), {"batch": 2, "height": 6, "width": 7}


def resized() -> tuple[onnx.ModelProto, Sizes]:
    """Sizes computed in floats, and joined with the batch and channels that Slice takes of a Shape."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", 3, "height", "width"])
    y = w.op("Conv", x, w.weight(4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    wanted = [
        w.op("Cast", w.op("Floor", w.op("Mul", w.op("Cast", w.dim(y, axis), to=FLOAT), w.value([1.5], np.float32))), to=INT64)
        for axis in (2, 3)
    ]
    sizes = w.op("Concat", w.op("Slice", w.op("Shape", y), w.value([0]), w.value([2]), w.value([0])), *wanted, axis=0)
    up = w.op("Resize", y, "", "", sizes, mode="nearest")
    flat = w.op("Reshape", up, w.sizes(0, -1))
    return w.model(w.op("Tanh", flat)), {"batch": 2, "height": 9, "width": 11}


def constant_places() -> tuple[onnx.ModelProto, Sizes]:
    """Rows where a constant mask is set, and a shape that TopK of a constant gives."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", 12])
    mask = w.op("Greater", w.value([1, 0, 2, 0, 0, 3, 1, 0, 0, 1, 1, 0]), w.value(0))
    places = w.op("Transpose", w.op("NonZero", mask), perm=[1, 0])
    picked = w.op("Gather", x, w.op("Squeeze", places, w.value([1])), axis=1)
    count = w.op("ReduceSum", w.op("Cast", mask, to=INT64), w.value([0]), keepdims=1)
    halves = w.op("Reshape", picked, w.sizes(w.dim(x, 0), 2, w.op("Div", count, w.value([2]))))
    return w.model(w.op("Softmax", halves)), {"batch": 5}


def loop_of_length() -> tuple[onnx.ModelProto, Sizes]:
    """As many rounds as the input is long, each with a matrix product; the results lie one behind the other."""
    w = Writer()
    x = w.input("x", FLOAT, ["seq", "batch", 8])
    length = w.op("Gather", w.op("Shape", x), w.value(0))
    start = w.op("ConstantOfShape", w.sizes(w.dim(x, 1), 8))
    inner = [
        helper.make_node("Gather", [x, "i"], ["row"], axis=0),
        helper.make_node("Add", ["state", "row"], ["sum"]),
        helper.make_node("MatMul", ["sum", "inner_weight"], ["product"]),
        helper.make_node("Tanh", ["product"], ["next"]),
        helper.make_node("Identity", ["next"], ["kept"]),
        helper.make_node("Identity", ["go"], ["going"]),
    ]
    given = [
        helper.make_tensor_value_info("i", INT64, []),
        helper.make_tensor_value_info("go", BOOL, []),
        helper.make_tensor_value_info("state", FLOAT, None),
    ]
    results = [onnx.ValueInfoProto(name=name) for name in ("going", "next", "kept")]
    for value, kind in zip(results, (BOOL, FLOAT, FLOAT), strict=True):
        value.type.tensor_type.elem_type = kind
    body = helper.make_graph(inner, "body", given, results, [numpy_helper.from_array(np.eye(8, dtype=np.float32), "inner_weight")])
    last, rows = w.op("Loop", length, w.value(True, np.bool_), start, outputs=2, body=body)
    flat = w.op("Reshape", rows, w.sizes(w.dim(rows, 1), -1))
    return w.model(w.op("Relu", flat), last), {"seq": 5, "batch": 2}


def branch_of_rank() -> tuple[onnx.ModelProto, Sizes]:
    """If of a condition on sizes: torch's squeeze of an axis that may be one long."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", "ones", 6])
    single = w.op("Equal", w.op("Gather", w.op("Shape", x), w.value(1)), w.value(1))
    axis = numpy_helper.from_array(np.asarray([1], np.int64), "axis")
    branches = {
        "then_branch": helper.make_graph([helper.make_node("Squeeze", [x, "axis"], ["then"])], "a", [], [_float("then")], [axis]),
        "else_branch": helper.make_graph([helper.make_node("Identity", [x], ["else"])], "b", [], [_float("else")]),
    }
    y = w.op("If", single, **branches)
    flat = w.op("Reshape", y, w.sizes(w.dim(y, 0), -1))
    return w.model(w.op("MatMul", flat, w.weight(6, 3))), {"batch": 4, "ones": 1}


def scan_of_rows() -> tuple[onnx.ModelProto, Sizes]:
    w = Writer()
    x = w.input("x", FLOAT, ["batch", "seq", 8])
    turned = w.op("Transpose", x, perm=[1, 0, 2])
    start = w.op("ConstantOfShape", w.sizes(w.dim(x, 0), 8))
    inner = [
        helper.make_node("Add", ["state", "row"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Identity", ["next"], ["kept"]),
    ]
    body = helper.make_graph(inner, "body", [_float("state"), _float("row")], [_float("next"), _float("kept")])
    last, rows = w.op("Scan", start, turned, outputs=2, body=body, num_scan_inputs=1)
    return w.model(w.op("Reshape", rows, w.sizes(w.dim(rows, 0), -1)), last), {"batch": 2, "seq": 3}


def _float(name: str) -> onnx.ValueInfoProto:
    value = onnx.ValueInfoProto(name=name)
    value.type.tensor_type.elem_type = FLOAT
    return value


CORPUS: Mapping[str, Callable[[], tuple[onnx.ModelProto, Sizes]]] = {
    "bert": lambda: _bert(_in_floats),
    "bert_dynamic_int8": lambda: _bert(_in_dynamic_int8),
    "bert_four_bits": lambda: _bert(_in_four_bits, **{"com.microsoft": 1}),
    "albert": albert,
    "causal_rotary": causal_rotary,
    "windows": windows,
    "resized": resized,
    "constant_places": constant_places,
    "loop_of_length": loop_of_length,
    "branch_of_rank": branch_of_rank,
    "scan_of_rows": scan_of_rows,
}


def random_model(seed: int) -> tuple[onnx.ModelProto, Sizes]:
    """A tensor that 4 to 10 blocks pass on, each with shape arithmetic drawn for the sizes that are there."""
    w, draw = Writer(seed), random.Random(seed)
    sizes = {"a": draw.randint(1, 4), "b": draw.randint(2, 6), "c": draw.choice([2, 4, 6])}
    x, shape = w.input("x", FLOAT, ["a", "b", "c"]), [*sizes.values()]
    for _ in range(draw.randint(4, 10)):
        x, shape = draw.choice(BLOCKS)(w, draw, x, shape)
        assert np.prod(shape) < 1 << 16
        if draw.random() < 0.5:
            x = w.op(draw.choice(["Relu", "Tanh", "Abs", "Neg"]), x)
    return w.model(x), sizes


def _merged(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """Two neighbouring axes become one: by their product, or by what is left."""
    if len(shape) < 2:
        return w.op("Unsqueeze", x, w.value([0])), [1, *shape]
    k = draw.randrange(len(shape) - 1)
    one = draw.choice([-1, None])
    both: str | int = -1 if one else w.op("Mul", w.dim(x, k), w.dim(x, k + 1))
    parts = [w.dim(x, axis) for axis in range(len(shape))]
    wanted = w.sizes(*parts[:k], both, *parts[k + 2 :])
    return w.op("Reshape", x, wanted), [*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :]]


def _parted(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """An even axis in two, the second by Div or in floats."""
    even = [k for k, size in enumerate(shape) if size % 2 == 0 and size]
    if not even or len(shape) > 4:
        return x, shape
    k = draw.choice(even)
    if draw.random() < 0.5:
        half = w.op("Div", w.dim(x, k), w.value([2]))
    else:
        half = w.op("Cast", w.op("Ceil", w.op("Mul", w.op("Cast", w.dim(x, k), to=FLOAT), w.value([0.5], np.float32))), to=INT64)
    parts = [w.dim(x, axis) for axis in range(len(shape))]
    return w.op("Reshape", x, w.sizes(*parts[:k], 2, half, *parts[k + 1 :])), [*shape[:k], 2, shape[k] // 2, *shape[k + 1 :]]


def _widened(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """A new axis, expanded to a size that is there."""
    if len(shape) > 4 or np.prod(shape) > 2000:
        return x, shape
    k = draw.randrange(len(shape))
    wide = w.expand(w.op("Unsqueeze", x, w.value([0])), w.sizes(w.dim(x, k), *[-1] * len(shape)))
    return wide, [shape[k], *shape]


def _cut(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    k = draw.randrange(len(shape))
    end = w.op("Div", w.op("Add", w.dim(x, k), w.value([1])), w.value([2]))
    start = w.op("Sub", end, w.value([1]))
    if draw.random() < 0.5:
        return w.op("Slice", x, w.value([0]), end, w.value([k])), [*shape[:k], (shape[k] + 1) // 2, *shape[k + 1 :]]
    return w.op("Slice", x, start, w.value([2**62]), w.value([k])), [*shape[:k], shape[k] - (shape[k] + 1) // 2 + 1, *shape[k + 1 :]]


def _tiled(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    if np.prod(shape) > 2000:
        return x, shape
    k = draw.randrange(len(shape))
    ones = w.op("ConstantOfShape", w.op("Shape", w.op("Shape", x)), value=numpy_helper.from_array(np.asarray([1], np.int64)))
    repeats = w.op("ScatterElements", ones, w.value([k]), w.op("Min", w.dim(x, k), w.value([3])))
    return w.op("Tile", x, repeats), [*shape[:k], shape[k] * min(shape[k], 3), *shape[k + 1 :]]


def _padded(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """To a multiple of three."""
    k = draw.randrange(len(shape))
    more = w.op("Mod", w.op("Neg", w.dim(x, k)), w.value([3]))
    zeros = [0] * len(shape)
    pads = w.sizes(*zeros, *zeros[:k], more, *zeros[k + 1 :])
    return w.op("Pad", x, pads), [*shape[:k], -(-shape[k] // 3) * 3, *shape[k + 1 :]]


def _ranged(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """Rows by a computed range, every second one."""
    k = draw.randrange(len(shape))
    size = w.op("Gather", w.op("Shape", x), w.value(k))
    rows = w.op("Range", w.value(0), w.op("Max", size, w.value(1)), w.value(2))
    if draw.random() < 0.5:
        rows = w.op("Gather", rows, w.op("Range", w.value(0), w.op("Squeeze", w.op("Shape", rows)), w.value(1)))
    return w.op("Gather", x, rows, axis=k), [*shape[:k], (shape[k] + 1) // 2, *shape[k + 1 :]]


def _added(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """A tensor made of the shape alone, with a Where over it."""
    like = w.op("ConstantOfShape", w.op("Shape", x))
    flags = w.op("Not", w.op("Cast", like, to=BOOL))
    return w.op("Where", flags, x, like), shape


def _turned(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    perm = list(range(len(shape)))
    draw.shuffle(perm)
    return w.op("Transpose", x, perm=perm), [shape[k] for k in perm]


def _split(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    k = draw.randrange(len(shape))
    if shape[k] < 2:
        return x, shape
    first = w.op("Div", w.dim(x, k), w.value([2]))
    parts = w.op("Split", x, w.sizes(first, w.op("Sub", w.dim(x, k), first)), outputs=2, axis=k)
    return parts[1], [*shape[:k], shape[k] - shape[k] // 2, *shape[k + 1 :]]


def _product(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """With a weight as wide as the last axis, on a tensor flattened to two axes and given its shape back."""
    flat = w.op("Reshape", x, w.sizes(-1, w.dim(x, len(shape) - 1)))
    made = _in_dynamic_int8(w, flat, shape[-1], 4) if draw.random() < 0.5 else _in_floats(w, flat, shape[-1], 4)
    front = w.op("Slice", w.op("Shape", x), w.value([0]), w.value([-1]), w.value([0]))
    return w.op("Reshape", made, w.op("Concat", front, w.value([4]), axis=0)), [*shape[:-1], 4]


def _counted(w: Writer, draw: random.Random, x: str, shape: list[int]) -> tuple[str, list[int]]:
    """As many zeros in front as the shape has sizes above one."""
    k = draw.randrange(len(shape))
    above = w.op("NonZero", w.op("Greater", w.op("Shape", x), w.value(1)))
    count = w.op("Slice", w.op("Shape", above), w.value([1]), w.value([2]))
    zeros = [0] * len(shape)
    return w.op("Pad", x, w.sizes(*zeros[:k], count, *zeros[k + 1 :], *zeros)), [
        *shape[:k],
        shape[k] + sum(size > 1 for size in shape),
        *shape[k + 1 :],
    ]


BLOCKS = (_merged, _parted, _widened, _cut, _tiled, _padded, _ranged, _added, _turned, _split, _product, _counted)

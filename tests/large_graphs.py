"""Graphs that are large in one way each: long, wide, with many of one thing. For tests of how work grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

UNARY = ("Relu", "Tanh", "Sigmoid", "Abs", "Neg", "Exp")
SHAPE = (4, 8)
Named = str | tuple[str, Sequence[int]]


def node(operator: str, inputs: Sequence[str], *outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, outputs, name=f"n_{outputs[0]}", **attributes)


def model(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[Named], outputs: Sequence[Named], constants: Mapping[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    ends = [[value(name) for name in names] for names in (inputs, outputs)]
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "large", *ends, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def value(named: Named) -> onnx.ValueInfoProto:
    name, shape = (named, SHAPE) if isinstance(named, str) else named
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def scaled(source: str, count: int) -> tuple[list[onnx.NodeProto], list[str], dict[str, np.ndarray]]:
    """So many different readers of one tensor: nodes, what they write, their constants."""
    names = [f"a{k}" for k in range(count)]
    factors = {f"f{k}": np.float32(1 + k / count).reshape(1) for k in range(count)}
    return [node("Mul", [source, f"f{k}"], name) for k, name in enumerate(names)], names, factors


def chain(size: int, seed: int = 0) -> onnx.ModelProto:
    """One operator after another."""
    dice, x, nodes = np.random.default_rng(seed), "x", []
    for k in range(size):
        nodes.append(node(UNARY[dice.integers(len(UNARY))], [x], f"t{k}"))
        x = f"t{k}"
    return model(nodes, ["x"], [x])


def residual(size: int, seed: int = 0) -> onnx.ModelProto:
    """x + f(x), one after another."""
    dice, x, nodes = np.random.default_rng(seed), "x", []
    for k in range(size // 2):
        nodes += [node(UNARY[dice.integers(len(UNARY))], [x], f"a{k}"), node("Add", [x, f"a{k}"], f"t{k}")]
        x = f"t{k}"
    return model(nodes, ["x"], [x])


def fan_out(size: int, seed: int = 0) -> onnx.ModelProto:
    """Half of the nodes read one tensor, the others add up what they write."""
    order = np.random.default_rng(seed).permutation(size // 2)
    nodes, names, factors = scaled("s", size // 2)
    x = names[order[0]]
    for k in order[1:]:
        nodes.append(node("Add", [x, names[k]], f"t{k}"))
        x = f"t{k}"
    return model([node("Relu", ["x"], "s"), *nodes], ["x"], [x], factors)


def equal_readers(size: int) -> onnx.ModelProto:
    """Nodes that all compute the same, read by one."""
    names = [f"a{k}" for k in range(size)]
    return model([*(node("Tanh", ["x"], name) for name in names), node("Concat", names, "y", axis=1)], ["x"], [("y", (4, 8 * size))])


def sum_of_many(size: int) -> onnx.ModelProto:
    nodes, names, factors = scaled("x", size)
    return model([*nodes, node("Sum", names, "y")], ["x"], ["y"], factors)


def concat_of_many(size: int) -> onnx.ModelProto:
    nodes, names, factors = scaled("x", size)
    return model([*nodes, node("Concat", names, "y", axis=1)], ["x"], [("y", (4, 8 * size))], factors)


def removed_before_concat(size: int) -> onnx.ModelProto:
    """Every input of one operator is a Cast that goes."""
    nodes, names, factors = scaled("x", size // 2)
    casts = [node("Cast", [name], f"c{name}", to=1) for name in names]
    joined = node("Concat", [f"c{name}" for name in names], "y", axis=1)
    return model([*nodes, *casts, joined], ["x"], [("y", (4, 8 * len(names)))], factors)


def many_outputs(size: int) -> onnx.ModelProto:
    nodes, names, factors = scaled("x", size)
    return model(nodes, ["x"], names, factors)


def many_inputs(size: int) -> onnx.ModelProto:
    names = [f"x{k}" for k in range(size // 2)]
    readers = [node(UNARY[k % len(UNARY)], [name], f"a{k}") for k, name in enumerate(names)]
    return model([*readers, node("Sum", [f"a{k}" for k in range(size // 2)], "y")], names, ["y"])


def many_constants(size: int) -> onnx.ModelProto:
    x, nodes, arrays = "x", [], {}
    for k in range(size):
        arrays[f"c{k}"] = np.linspace(0, 1 + k, 8, dtype=np.float32)
        nodes.append(node("Mul" if k % 2 else "Add", [x, f"c{k}"], f"t{k}"))
        x = f"t{k}"
    return model(nodes, ["x"], [x], arrays)


def aliases_of_one_constant(size: int) -> onnx.ModelProto:
    x, nodes = "x", [node("Identity", ["w"], f"i{k}") for k in range(size // 2)]
    for k in range(size // 2):
        nodes.append(node("Add" if k % 2 else "Mul", [x, f"i{k}"], f"t{k}"))
        x = f"t{k}"
    return model(nodes, ["x"], [x], {"w": np.linspace(0, 1, 8, dtype=np.float32)})


def many_parts(size: int) -> onnx.ModelProto:
    """One Split, a node for every part, one Concat."""
    parts = [f"p{k}" for k in range(size)]
    readers = [node(UNARY[k % len(UNARY)], [part], f"a{part}") for k, part in enumerate(parts)]
    split = node("Split", ["x"], *parts, axis=1, num_outputs=size)
    wide = (4, 8 * size)
    return model([split, *readers, node("Concat", [f"a{part}" for part in parts], "y", axis=1)], [("x", wide)], [("y", wide)])


def dense(size: int) -> onnx.ModelProto:
    x, nodes, dice = "x", [], np.random.default_rng(0)
    for k in range(size // 2):
        nodes += [node("MatMul", [x, f"w{k % 8}"], f"m{k}"), node("Relu", [f"m{k}"], f"t{k}")]
        x = f"t{k}"
    return model(nodes, ["x"], [x], {f"w{k}": dice.standard_normal((8, 8)).astype(np.float32) for k in range(8)})


def branches(size: int) -> onnx.ModelProto:
    """An If with bodies of four nodes after another; the condition is known only at run time."""
    x, nodes = "x", _condition()
    for k in range(size // 8):
        bodies = {name: _body(k, x, operator) for name, operator in (("then_branch", "Exp"), ("else_branch", "Tanh"))}
        nodes.append(node("If", ["c"], f"t{k}", **bodies))
        x = f"t{k}"
    return model(nodes, ["x"], [x], {"z": np.float32(0).reshape(())})


def nested_branches(size: int) -> onnx.ModelProto:
    """Ifs in Ifs, twenty deep, one such tower after another."""
    x, nodes = "x", _condition()
    for k in range(size // 40):
        inner = _body(f"{k}_0", x, "Exp", 1)
        for depth in range(1, 20):
            holder = node("If", ["c"], f"i{k}_{depth}", then_branch=inner, else_branch=_body(f"{k}_{depth}", x, "Tanh", 1))
            inner = helper.make_graph([holder], f"g{k}_{depth}", [], [value(f"i{k}_{depth}")])
        nodes += inner.node
        x = inner.output[0].name
    return model(nodes, ["x"], [x], {"z": np.float32(0).reshape(())})


def _condition() -> list[onnx.NodeProto]:
    return [node("ReduceMax", ["x"], "m", keepdims=0), node("Greater", ["m", "z"], "c")]


def _body(key: object, x: str, operator: str, count: int = 4) -> onnx.GraphProto:
    nodes = []
    for step in range(count):
        nodes.append(node(operator, [x], f"b{key}_{operator}{step}"))
        x = f"b{key}_{operator}{step}"
    return helper.make_graph(nodes, f"body{key}", [], [value(x)])


LARGE: Mapping[str, Callable[[int], onnx.ModelProto]] = {
    made.__name__: made
    for made in (
        chain, residual, fan_out, equal_readers, sum_of_many, concat_of_many, removed_before_concat, many_outputs, many_inputs,
        many_constants, aliases_of_one_constant, many_parts, dense, branches, nested_branches,
    )
}  # fmt: skip

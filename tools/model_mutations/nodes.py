"""Mutations of nodes and their attributes."""

from __future__ import annotations

import random
from collections.abc import Callable

from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, defs, helper

from .places import NotHere, a_body, a_graph, a_name, a_node, a_tensor, an_attribute

NUMBERS = (-1, 0, 1, 2, -2, 7, 255, -(2**31), 2**31 - 1, 2**31, 2**63 - 1, -(2**63))
STRINGS = ("", "SAME_UPPER", "NOTSET", "linear", "\x00", "\x1b[2J", "a" * 5000, "../x", "é")
OPERATORS = sorted({schema.name for schema in defs.get_all_schemas() if not schema.domain})


def drop(model: ModelProto, dice: random.Random) -> None:
    graph, node = a_node(model, dice)
    graph.node.remove(node)


def repeat(model: ModelProto, dice: random.Random) -> None:
    graph, node = a_node(model, dice)
    copy = NodeProto()
    copy.CopyFrom(node)
    if dice.random() < 0.5:
        copy.output[:] = [f"{name}_again" if name else "" for name in copy.output]
    graph.node.append(copy)


def shuffle(model: ModelProto, dice: random.Random) -> None:
    graph = a_graph(model, dice)
    nodes = list(graph.node)
    dice.shuffle(nodes)
    del graph.node[:]
    graph.node.extend(nodes)


def empty_graph(model: ModelProto, dice: random.Random) -> None:
    del a_graph(model, dice).node[:]


def swap_inputs(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    inputs = list(node.input)
    dice.shuffle(inputs)
    node.input[:] = inputs


def change_input(model: ModelProto, dice: random.Random) -> None:
    """Another tensor, one that does not exist, itself, or none."""
    _, node = a_node(model, dice)
    if not node.input:
        raise NotHere
    other = dice.choice(("", "nowhere", a_name(model, dice), a_name(model, dice), *node.output))
    node.input[dice.randrange(len(node.input))] = other


def fewer_inputs(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    del node.input[dice.randrange(len(node.input) + 1) :]


def more_inputs(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    node.input.extend(a_name(model, dice) for _ in range(dice.choice((1, 2, 40))))


def change_output(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    if not node.output:
        raise NotHere
    node.output[dice.randrange(len(node.output))] = dice.choice(("", "elsewhere", a_name(model, dice)))


def fewer_outputs(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    del node.output[dice.randrange(len(node.output) + 1) :]


def more_outputs(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    node.output.extend(f"more_{n}" for n in range(dice.choice((1, 2, 40))))


def change_operator(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    node.op_type = dice.choice((*OPERATORS, "", "Nothing", "conv", "Co\x00nv", "Gelu\x1b[31m"))


def change_domain(model: ModelProto, dice: random.Random) -> None:
    _, node = a_node(model, dice)
    node.domain = dice.choice(("com.microsoft", "ai.onnx.ml", "ai.onnx", "unknown.domain", "ai.onnx.preview.training", "\x00"))


def change_name(model: ModelProto, dice: random.Random) -> None:
    graph, node = a_node(model, dice)
    name = dice.choice(("", dice.choice(graph.node).name, "\x00", "\x1b[2J", "n" * 1_000_000, "a/b:0", " "))
    node.name = name


def rename_everywhere(model: ModelProto, dice: random.Random) -> None:
    """A tensor under a name that is hard to print or to write, wherever it stands in its graph."""
    graph, node = a_node(model, dice)
    if not node.output:
        raise NotHere
    old, new = dice.choice(node.output), dice.choice(("\x00", "\x1b[31mred", "t" * 100_000, "../../etc/passwd", "a b\nc", "/", "."))
    for other in graph.node:
        other.input[:] = [new if name == old else name for name in other.input]
        other.output[:] = [new if name == old else name for name in other.output]
    for value in (*graph.output, *graph.value_info):
        value.name = new if value.name == old else value.name


def between(model: ModelProto, dice: random.Random) -> None:
    """A node between a tensor and its reader: Identity, Cast to any type, Reshape or Expand to any shape, the length of time."""
    graph, node = a_node(model, dice)
    if not node.input or not node.input[0]:
        raise NotHere
    source, size = node.input[0], dice.choice((0, 1, -1, 7, 2**20, 2**31, 2**40))
    shape = helper.make_node("Constant", [], ["made_shape"], value_ints=[size] * dice.choice((1, 1, 2, 4)))
    match dice.randrange(6):
        case 0:
            made = [helper.make_node("Identity", [source], ["made"])]
        case 1:
            made = [helper.make_node("Cast", [source], ["made"], to=dice.randrange(30))]
        case 2:
            made = [shape, helper.make_node("Reshape", [source, "made_shape"], ["made"])]
        case 3:
            made = [shape, helper.make_node("Expand", [source, "made_shape"], ["made"])]
        case 4:
            made = [shape, helper.make_node("ConstantOfShape", ["made_shape"], ["made"])]
        case _:
            made = [shape, helper.make_node("Tile", [source, "made_shape"], ["made"])]
    node.input[0] = "made"
    _insert(graph, node, made)


def endless(model: ModelProto, dice: random.Random) -> None:
    """A Loop that does not end, before some node; a tensor of the graph may be captured."""
    graph, node = a_node(model, dice)
    captured = node.input[0] if node.input and dice.random() < 0.5 else ""
    trips = dice.choice(("", "many"))
    many = helper.make_node("Constant", [], ["many"], value_int=2**40)
    true = helper.make_node("Constant", [], ["true"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
    _insert(graph, node, [many, true, helper.make_node("Loop", [trips, "true"], [], body=a_body(dice, captured))])


def drop_attribute(model: ModelProto, dice: random.Random) -> None:
    node, held = an_attribute(model, dice)
    node.attribute.remove(held)


def repeat_attribute(model: ModelProto, dice: random.Random) -> None:
    node, held = an_attribute(model, dice)
    node.attribute.append(held)


def change_attribute(model: ModelProto, dice: random.Random) -> None:
    """Another value of the same kind."""
    _, held = an_attribute(model, dice)
    kind = held.type
    if kind == AttributeProto.INT:
        held.i = dice.choice(NUMBERS)
    elif kind == AttributeProto.FLOAT:
        held.f = dice.choice((0.0, -1.0, 1e38, float("nan"), float("inf"), 1e-30))
    elif kind == AttributeProto.STRING:
        held.s = dice.choice((*(text.encode() for text in STRINGS), b"\xff\xfe"))
    elif kind == AttributeProto.INTS:
        _change_list(held.ints, NUMBERS, dice)
    elif kind == AttributeProto.FLOATS:
        _change_list(held.floats, (0.0, -1.0, 1e38), dice)
    else:
        raise NotHere


def change_attribute_kind(model: ModelProto, dice: random.Random) -> None:
    node, held = an_attribute(model, dice)
    name = held.name
    value = dice.choice((1, 1.5, "text", [1, 2], [1.5], ["a", "b"], helper.make_tensor("t", TensorProto.FLOAT, [2], [1, 2]), a_body(dice)))
    node.attribute.remove(held)
    node.attribute.append(helper.make_attribute(name, value))


def declare_attribute_kind(model: ModelProto, dice: random.Random) -> None:
    """The kind that is declared and the field that is filled disagree."""
    _, held = an_attribute(model, dice)
    held.type = dice.choice(AttributeProto.AttributeType.values())


def refer_outside_function(model: ModelProto, dice: random.Random) -> None:
    _, held = an_attribute(model, dice)
    held.ref_attr_name = dice.choice(("alpha", held.name, "\x00"))


def rename_attribute(model: ModelProto, dice: random.Random) -> None:
    _, held = an_attribute(model, dice)
    held.name = dice.choice(("", "axis", "body", "to", "value", "nothing_of_this_kind", "\x1b[2J"))


def constant_both_ways(model: ModelProto, dice: random.Random) -> None:
    """A tensor that is empty, or of another size than what reads it expects."""
    tensor = a_tensor(model, dice)
    tensor.Clear()
    tensor.data_type, tensor.name = TensorProto.FLOAT, dice.choice(("", a_name(model, dice)))


def _change_list(values: object, pool: tuple[object, ...], dice: random.Random) -> None:
    held = list(values)  # type: ignore[call-overload]
    match dice.randrange(4):
        case 0:
            held = held[:-1]
        case 1:
            held.append(dice.choice(pool))
        case 2 if held:
            held[dice.randrange(len(held))] = dice.choice(pool)
        case _:
            held = [dice.choice(pool)] * dice.choice((0, 1, 3, 1000))
    del values[:]  # type: ignore[attr-defined]
    values.extend(held)  # type: ignore[attr-defined]


def _insert(graph: object, before: NodeProto, made: list[NodeProto]) -> None:
    at = list(graph.node).index(before)  # type: ignore[attr-defined]
    nodes = [*list(graph.node)[:at], *made, *list(graph.node)[at:]]  # type: ignore[attr-defined]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]  # type: ignore[attr-defined]
    graph.node.extend(copies)  # type: ignore[attr-defined]


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    drop, repeat, shuffle, empty_graph, swap_inputs, change_input, fewer_inputs, more_inputs, change_output, fewer_outputs, more_outputs,
    change_operator, change_domain, change_name, rename_everywhere, between, endless, drop_attribute, repeat_attribute, change_attribute,
    change_attribute_kind, declare_attribute_kind, refer_outside_function, rename_attribute, constant_both_ways,
)  # fmt: skip

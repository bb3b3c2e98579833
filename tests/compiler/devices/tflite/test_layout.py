"""The division into nodes that work channels last and nodes that do not, against all divisions of small graphs."""

from __future__ import annotations

import itertools
import math

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from autoglmc.compiler.devices.tflite.layout import LAUNCH, GraphFacts, decide_layout

SHAPE = (1, 8, 4, 4)
COST = LAUNCH + math.prod(SHAPE)


@st.composite
def graphs(draw: st.DrawFn) -> GraphFacts:
    """Nodes of one or two operands of one shape: some need channels last, some need ONNX's order, most take either."""
    names, nodes = ["x"], []
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["Relu", "Relu", "Add", "Add", "Conv", "MatMul"]))
        reads = [draw(st.sampled_from(names)) for _ in range(2 if kind in ("Add", "MatMul") else 1)]
        nodes.append(helper.make_node(kind, [*reads, "w"] if kind == "Conv" else reads, [f"t{number}"]))
        names.append(f"t{number}")
    outputs = draw(st.lists(st.sampled_from(names[1:]), min_size=1, max_size=2, unique=True))
    ports = draw(st.sets(st.sampled_from(["x", *outputs])))
    shapes = dict.fromkeys(names, SHAPE)
    return GraphFacts(nodes=nodes, inputs=["x"], outputs=outputs, shapes=shapes, constants={"w": None}, ports_last=ports)


def cost(graph: GraphFacts, last: frozenset[int]) -> int:
    """A tensor is turned once where its writer and any reader differ."""
    wrote = {"x": "x" in graph.ports_last} | {node.output[0]: number in last for number, node in enumerate(graph.nodes)}
    turned = {name for number, node in enumerate(graph.nodes) for name in node.input if name in wrote and wrote[name] != (number in last)}
    turned |= {name for name in graph.outputs if wrote[name] != (name in graph.ports_last)}
    return COST * len(turned)


@given(graphs())
def test_no_division_is_cheaper(graph: GraphFacts) -> None:
    found = decide_layout(graph).last
    fixed = {number for number, node in enumerate(graph.nodes) if node.op_type == "Conv"}
    free = [number for number, node in enumerate(graph.nodes) if node.op_type in ("Relu", "Add")]
    assert fixed <= found and found <= fixed | set(free)
    joined = _joined(graph, fixed)
    choices = [number for number in free if number in joined]
    best = min(
        cost(graph, frozenset(fixed | set(chosen))) for n in range(len(choices) + 1) for chosen in itertools.combinations(choices, n)
    )
    assert cost(graph, found) == best


def _joined(graph: GraphFacts, fixed: set[int]) -> set[int]:
    """Nodes that a way of others that take either leads to from one that needs channels last: the rest stays as ONNX has it."""
    writers = {node.output[0]: number for number, node in enumerate(graph.nodes)}
    pairs = [
        (writers[name], number)
        for number, node in enumerate(graph.nodes)
        for name in node.input
        if name in writers and "MatMul" not in (node.op_type, graph.nodes[writers[name]].op_type)
    ]
    found = set(fixed)
    while more := {b for a, b in [*pairs, *((b, a) for a, b in pairs)] if a in found} - found:
        found |= more
    return found


def test_a_transpose_in_between_costs_nothing_where_it_undoes_the_order() -> None:
    nodes: list[onnx.NodeProto] = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["b", "v"], ["y"]),
    ]
    shapes = {"x": SHAPE, "a": SHAPE, "b": (1, 4, 4, 8), "y": (1, 4, 4, 8)}
    facts = GraphFacts(nodes=nodes, inputs=["x"], outputs=["y"], shapes=shapes, constants={"w": None, "v": None})
    assert decide_layout(facts).last == {0, 1} or decide_layout(facts).last == {0}

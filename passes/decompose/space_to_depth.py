"""SpaceToDepth and DepthToSpace as Reshape, Transpose, Reshape, with as few axes as the shape allows (devices have a highest rank).

One extent may be unknown. See shuffle.py for the orders.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite
from ..rule.shuffle import canonical, depth_to_space, space_to_depth


def match(graph: Graph, node: Node) -> Bindings | None:
    shape, block = graph.tensor(node.inputs[0]).shape, graph.attribute(node, "blocksize")
    if shape is None or not isinstance(block, int) or sum(extent is None for extent in shape) > 1 or 0 in shape:
        return None
    mode = graph.attribute(node, "mode")
    movement = space_to_depth if node.operator == "SpaceToDepth" else depth_to_space
    spelled = movement(shape, block, mode if isinstance(mode, str) else "DCR")
    result = graph.tensor(node.outputs[0]).shape
    if spelled is None or result is None or sum(extent is None for extent in result) > 1:
        return None
    short = canonical(spelled.shape, spelled.order)
    return Bindings(node, {"split": _operand(short.shape), "order": short.order, "result": _operand(result)})


def _operand(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if extent is None else extent for extent in shape)


def build(b: Builder, found: Bindings) -> str:
    split = b.reshape(found.root.inputs[0], found.integers("split"))
    return b.reshape(b.op("Transpose", split, perm=found.integers("order")), found.integers("result"))


def _rule(name: str, operator: str) -> Rewrite:
    return Rewrite(
        name=name,
        summary=f"{operator}(x) -> Reshape(Transpose(Reshape(x)))",
        operators=(operator,),
        emits=("Reshape", "Transpose"),
        contract=Contract("exact"),
        match=match,
        build=build,
    )


SHUFFLES = (_rule("space_to_depth_transpose", "SpaceToDepth"), _rule("depth_to_space_transpose", "DepthToSpace"))

"""Folds a Pad of zeros into the operator after it that can pad by itself.

Conv(Pad(x; p), W; q)                                     ->  Conv(x, W; p + q)
AveragePool(Pad(x; p); count_include_pad, no padding)     ->  AveragePool(x; p, count_include_pad)
MaxPool(Pad(x; p, -∞); q)                                 ->  MaxPool(x; p + q)
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

POOLS = ("AveragePool", "MaxPool")


def match(graph: Graph, node: Node) -> Bindings | None:
    pad = graph.producer(node.inputs[0])
    return Bindings(node, {"padded": node.inputs[0]}) if pad is not None and pad.kind == "Pad" else None


def unless(graph: Graph, found: Bindings) -> str | None:
    root, pad = found.root, graph.producer(found["padded"])
    assert pad is not None, "match() has seen it"
    before, after = graph.tensor(pad.inputs[0]).shape, _widths(graph, pad)
    if before is None or after is None or graph.attribute(pad, "mode") != "constant":
        return "the Pad's widths are not known, or its mode is not constant"
    if any(width < 0 for width in after) or any(after[:2]) or any(after[len(before) : len(before) + 2]):
        return "the Pad crops, or pads batch or channels"
    if graph.attribute(root, "auto_pad") not in ("NOTSET", "VALID") or any(graph.uses(name) for name in root.writes[1:]):
        return "the operator has auto_pad, or its output of indices is used"
    value = _value(graph, pad)
    if value != (-np.inf if root.kind == "MaxPool" else 0.0):
        return f"{root.kind} does not pad with the value of the Pad, {value}"
    if root.kind == "AveragePool" and not _counts_all(graph, root):
        return "the AveragePool does not count its own padding"
    if root.kind in POOLS and graph.attribute(root, "ceil_mode"):
        return "with ceil_mode, the last windows may lie entirely in the padding"
    if root.kind in POOLS and not _inside(graph.attribute(root, "kernel_shape"), _sum(graph, root, pad)):
        return "a window may lie entirely in the padding, which onnxruntime rejects"
    return None


def _inside(kernel: object, pads: tuple[int, ...]) -> bool:
    return isinstance(kernel, tuple) and all(width < extent for width, extent in zip(pads, (*kernel, *kernel), strict=True))


def _sum(graph: Graph, root: Node, pad: Node) -> tuple[int, ...]:
    """Spatial pads of both: starts, then ends."""
    widths, rank = _widths(graph, pad) or (), len(graph.tensor(pad.inputs[0]).shape or ())
    own = _own(graph, root, rank - 2)
    return tuple(a + b for a, b in zip((*widths[2:rank], *widths[rank + 2 :]), own, strict=True))


def build(b: Builder, found: Bindings) -> str:
    root, pad = found.root, b.graph.producer(found["padded"])
    assert pad is not None, "match() has seen it"
    operands, pads = (pad.inputs[0], *root.inputs[1:]), _sum(b.graph, root, pad)
    if root.kind == "AveragePool":
        return b.like(root, *operands, without=("auto_pad",), changed={"pads": pads, "count_include_pad": 1})
    return b.like(root, *operands, without=("auto_pad",), changed={"pads": pads})


def _own(graph: Graph, node: Node, dims: int) -> tuple[int, ...]:
    """The operator's pads: starts, then ends."""
    given = graph.attribute(node, "pads")
    return tuple(int(width) for width in given) if isinstance(given, tuple) and given else (0,) * (2 * dims)


def _counts_all(graph: Graph, node: Node) -> bool:
    return bool(graph.attribute(node, "count_include_pad")) or not any(_own(graph, node, 1))


def _widths(graph: Graph, pad: Node) -> tuple[int, ...] | None:
    """Starts of all axes, then ends; None where not known, or where only some axes are named."""
    given = pad.attribute("pads")
    if isinstance(given, tuple):
        return tuple(int(width) for width in given)
    if len(pad.inputs) > 3 and pad.inputs[3]:
        return None
    value = graph.value(pad.inputs[1]) if len(pad.inputs) > 1 else None
    return None if value is None else tuple(int(width) for width in value.reshape(-1))


def _value(graph: Graph, pad: Node) -> float | None:
    if len(pad.inputs) > 2 and pad.inputs[2]:
        return graph.scalar(pad.inputs[2])
    value = graph.attribute(pad, "value")
    return value if isinstance(value, float) else 0.0


FOLD_PAD = Rewrite(
    name="fold_pad",
    summary="Conv(Pad(x; p), W; q) -> Conv(x, W; p + q)",
    operators=("Conv", *POOLS),
    emits=("Conv", *POOLS),
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)

"""Shape operators and reductions in terms of Reshape, Slice and ReduceMean. Shapes must be static but for one extent."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..formula.reading import reduced_axes
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Build, Contract, Rewrite

EXACT, REASSOCIATES = Contract("exact"), Contract("reassociates")


def reshape_to(shape: tuple[int | None, ...] | None) -> tuple[int, ...] | None:
    """The shape operand of a Reshape to this shape: -1 for the one unknown extent; None if there are several, or an empty one."""
    if shape is None or sum(extent is None for extent in shape) > 1 or 0 in shape:
        return None
    return tuple(-1 if extent is None else extent for extent in shape)


def match_reshape(graph: Graph, node: Node) -> Bindings | None:
    shape = reshape_to(graph.tensor(node.outputs[0]).shape)
    return None if shape is None else Bindings(node, {"shape": shape})


def build_reshape(b: Builder, found: Bindings) -> str:
    return b.reshape(found.root.inputs[0], found.integers("shape"))


def match_split(graph: Graph, node: Node) -> Bindings | None:
    axis, shape = graph.attribute(node, "axis"), graph.tensor(node.inputs[0]).shape
    if shape is None or not isinstance(axis, int) or graph.opset < 10:
        return None
    ends, position = [], 0
    for name in node.outputs:
        piece = graph.tensor(name).shape if name else None
        if piece is None or piece[axis] is None:
            return None
        position += piece[axis] or 0
        ends.append(position)
    return Bindings(node, {"axis": axis % len(shape), "ends": tuple(ends)})


def build_split(b: Builder, found: Bindings) -> tuple[str, ...]:
    x, axis, ends = found.root.inputs[0], b.integers([int(found.number("axis"))]), found.integers("ends")
    return tuple(b.op("Slice", x, b.integers([start]), b.integers([end]), axis) for start, end in zip((0, *ends), ends, strict=False))


def match_pool(graph: Graph, node: Node) -> Bindings | None:
    view = graph.tensor(node.inputs[0])
    fits = view.shape is not None and len(view.shape) >= 3 and view.dtype in COMPUTED
    return Bindings(node, {"axes": tuple(range(2, len(view.shape or ())))}) if fits else None


def build_pool_mean(b: Builder, found: Bindings) -> str:
    return b.with_axes("ReduceMean", found.root.inputs[0], found.integers("axes"), keepdims=1)


def match_reduction(graph: Graph, node: Node) -> Bindings | None:
    """A reduction of floats over known axes with known extents."""
    view, axes = graph.tensor(node.inputs[0]), reduced_axes(graph, node)
    if axes is None or not axes or view.shape is None or view.dtype not in COMPUTED:
        return None
    extents = [view.shape[axis] for axis in axes]
    count = prod(extent for extent in extents if extent is not None)
    known = None not in extents and count > 0
    positive = tuple(axis + len(view.shape) for axis in axes)
    return Bindings(node, {"axes": positive, "count": float(count)}) if known else None


def build_sum(b: Builder, found: Bindings) -> str:
    """Sum as mean times count, or mean as sum over count."""
    root = found.root
    other, factor = ("ReduceMean", found.number("count")) if root.operator == "ReduceSum" else ("ReduceSum", 1 / found.number("count"))
    keep = b.graph.attribute(root, "keepdims")
    kept = keep if isinstance(keep, int) else 1
    return b.mul(b.with_axes(other, root.inputs[0], found.integers("axes"), keepdims=kept), factor)


def match_planes(graph: Graph, node: Node) -> Bindings | None:
    """A mean over all axes from the third on."""
    found, shape = match_reduction(graph, node), graph.tensor(node.inputs[0]).shape
    if found is None or shape is None or len(shape) < 3 or found.integers("axes") != tuple(range(2, len(shape))):
        return None
    target = reshape_to(graph.tensor(node.outputs[0]).shape)
    return None if target is None else Bindings(node, {"shape": target})


def build_pool(b: Builder, found: Bindings) -> str:
    root = found.root
    result = b.op("GlobalAveragePool", root.inputs[0])
    return result if b.graph.attribute(root, "keepdims") else b.reshape(result, found.integers("shape"))


def match_dropping(graph: Graph, node: Node) -> Bindings | None:
    """A reduction that drops its axes."""
    found = match_reduction(graph, node)
    target = reshape_to(graph.tensor(node.outputs[0]).shape)
    if found is None or target is None or graph.attribute(node, "keepdims"):
        return None
    return Bindings(node, {"axes": found.integers("axes"), "shape": target})


def build_kept(b: Builder, found: Bindings) -> str:
    root = found.root
    kept = b.with_axes(root.operator, root.inputs[0], found.integers("axes"), keepdims=1)
    return b.reshape(kept, found.integers("shape"))


def _rule(
    name: str,
    summary: str,
    operators: tuple[str, ...],
    emits: tuple[str, ...],
    contract: Contract,
    match: Callable[[Graph, Node], Bindings | None],
    build: Build,
) -> Rewrite:
    return Rewrite(name=name, summary=summary, operators=operators, emits=emits, contract=contract, match=match, build=build)


MEAN, SUM, POOL = ("ReduceMean",), ("ReduceSum",), ("GlobalAveragePool",)
SHAPES = (
    _rule("squeeze_reshape", "Squeeze(x) -> Reshape(x)", ("Squeeze",), ("Reshape",), EXACT, match_reshape, build_reshape),
    _rule("unsqueeze_reshape", "Unsqueeze(x) -> Reshape(x)", ("Unsqueeze",), ("Reshape",), EXACT, match_reshape, build_reshape),
    _rule("flatten_reshape", "Flatten(x) -> Reshape(x)", ("Flatten",), ("Reshape",), EXACT, match_reshape, build_reshape),
    _rule("split_slice", "Split(x) -> Slice(x), Slice(x), …", ("Split",), ("Slice",), EXACT, match_split, build_split),
    _rule("pool_mean", "GlobalAveragePool(x) -> ReduceMean(x)", POOL, MEAN, REASSOCIATES, match_pool, build_pool_mean),
    _rule("mean_pool", "ReduceMean(x; 2, 3) -> GlobalAveragePool(x)", MEAN, (*POOL, "Reshape"), REASSOCIATES, match_planes, build_pool),
    _rule("sum_mean", "ReduceSum(x) -> n·ReduceMean(x)", SUM, (*MEAN, "Mul"), REASSOCIATES, match_reduction, build_sum),
    _rule("mean_sum", "ReduceMean(x) -> ReduceSum(x)/n", MEAN, (*SUM, "Mul"), REASSOCIATES, match_reduction, build_sum),
    _rule(
        "mean_keepdims", "ReduceMean(x) -> Reshape(ReduceMean(x; keepdims))", MEAN, (*MEAN, "Reshape"), EXACT, match_dropping, build_kept
    ),
    _rule("sum_keepdims", "ReduceSum(x) -> Reshape(ReduceSum(x; keepdims))", SUM, (*SUM, "Reshape"), EXACT, match_dropping, build_kept),
)

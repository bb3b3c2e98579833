"""Lets a segment of onnxruntime work on rows: leading axes are one axis from the first matrix product to the last.

onnxruntime computes x[…, K]·W + b as Reshape, Gemm, Reshape, one pair for every product, and fuses Add and LayerNormalization of three
axes to SkipLayerNormalization, whose kernel
takes 2 to 7 times as long as the two (measured, 1.32). With the reshapes taken along,
a block of a transformer has them only where heads are split.

    x[…, K]·W[K, N] + b[N]               ->  Reshape(Gemm(Reshape(x), W, b))
    LayerNormalization(u + v)            ->  Reshape(LayerNormalization(Reshape(u + v)))
    f(Reshape(r))                        ->  Reshape(f(r))            r a matrix of rows, f by rows: elementwise, or along the last axis
    f(Reshape(r), t), t of equal shape   ->  Reshape(f(r, Reshape(t)))
"""

from __future__ import annotations

from math import prod

from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import ELEMENTWISE
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")
NORMS = ("LayerNormalization", "RMSNormalization")
ALONG_LAST = (*NORMS, "Softmax", "LogSoftmax")
BY_ROW = (*BINARY, *ALONG_LAST, "MatMul", *ELEMENTWISE)
WIDE_FLOATS = ("fp32", "fp16", "bf16")


def extents(graph: Graph, tensor: str) -> tuple[int, ...] | None:
    """A shape without unknown or empty extents."""
    shape = graph.tensor(tensor).shape
    return None if shape is None or None in shape or 0 in shape else tuple(extent for extent in shape if extent is not None)


def match_product(graph: Graph, node: Node) -> Bindings | None:
    for product, bias in (node.inputs, reversed(node.inputs)):
        matmul = graph.producer(product)
        if matmul is not None and matmul.kind == "MatMul" and graph.tensor(bias).const and graph.uses(product) == 1:
            return Bindings(node, {"x": matmul.inputs[0], "weight": matmul.inputs[1], "bias": bias})
    return None


def unless_product(graph: Graph, found: Bindings) -> str | None:
    x, w, b = (extents(graph, found[name]) for name in ("x", "weight", "bias"))
    if x is None or w is None or b is None or len(x) < 3 or len(w) != 2:
        return "x has no leading axes, or they are not known"
    if len(b) > len(x) or b[-1:] != w[1:] or prod(b) != w[1]:
        return "the bias is not one value per column"
    return None if graph.tensor(found["x"]).dtype in WIDE_FLOATS else "onnxruntime has no Gemm for the dtype"


def build_product(b: Builder, found: Bindings) -> str:
    x = extents(b.graph, found["x"]) or ()
    bias = found["bias"]
    if len(b.graph.tensor(bias).shape or ()) != 1:
        value = b.graph.value(bias)
        assert value is not None, "match() has seen that it is constant"
        bias = b.array(value.reshape(-1))
    result = b.op("Gemm", b.reshape(found["x"], (prod(x[:-1]), x[-1])), found["weight"], bias)
    return b.reshape(result, extents(b.graph, found.root.outputs[0]) or ())


def match_norm(graph: Graph, node: Node) -> Bindings | None:
    """What onnxruntime would fuse: the sum of two tensors of one shape with three axes, read here only."""
    add = graph.producer(node.inputs[0])
    if add is None or add.kind != "Add" or graph.uses(node.inputs[0]) != 1 or len(node.writes) != 1:
        return None
    shapes = [extents(graph, name) for name in add.inputs]
    alike = shapes[0] is not None and shapes[0] == shapes[1] and len(shapes[0]) == 3
    return Bindings(node, {"x": node.inputs[0]}) if alike and graph.attribute(node, "axis") in (-1, 2) else None


def unless_norm(graph: Graph, found: Bindings) -> str | None:
    return _unlike_columns(graph, found.root, extents(graph, found["x"]) or ())


def _unlike_columns(graph: Graph, node: Node, shape: tuple[int, ...]) -> str | None:
    """Why scale or bias of a normalisation of rows cannot be those of the rows alone."""
    for name in filter(None, node.inputs[1:]):
        own = extents(graph, name)
        if own is None or len(own) > len(shape) or prod(own[:-1]) != 1 or own[-1:] not in ((), (1,), shape[-1:]):
            return f"{name} is not one value per column"
    return None


def build_norm(b: Builder, found: Bindings) -> str:
    shape, root = extents(b.graph, found["x"]) or (), found.root
    rows = b.reshape(found["x"], (prod(shape[:-1]), shape[-1]))
    weights = [_as_column(b, name) for name in root.inputs[1:]]
    return b.reshape(b.like(root, rows, *weights, changed={"axis": -1}), shape)


def _as_column(b: Builder, tensor: str) -> str:
    """Scale or bias without leading axes."""
    own, value = extents(b.graph, tensor) if tensor else None, b.graph.value(tensor) if tensor else None
    if own is None or len(own) < 2:
        return tensor
    return b.reshape(tensor, own[-1:]) if value is None else b.array(value.reshape(-1), b.graph.tensor(tensor).dtype)


def split_rows(graph: Graph, tensor: str) -> str | None:
    """The matrix whose rows a Reshape arranges along leading axes, if the tensor is such a Reshape's result."""
    node = graph.producer(tensor)
    if node is None or node.kind != "Reshape":
        return None
    before, after = extents(graph, node.inputs[0]), extents(graph, tensor)
    wider = before is not None and after is not None and len(before) == 2 < len(after) and before[1] == after[-1]
    return node.inputs[0] if wider else None


def match_rows(graph: Graph, node: Node) -> Bindings | None:
    """Exactly one way: the first operand that is split rows."""
    if len(node.writes) != 1:
        return None
    for name in node.inputs[: 2 if node.kind in BINARY else 1]:
        rows = split_rows(graph, name)
        if rows is not None:
            return Bindings(node, {"split": name, "rows": rows})
    return None


def unless_rows(graph: Graph, found: Bindings) -> str | None:
    root, shape, result = found.root, extents(graph, found["split"]), extents(graph, found.root.outputs[0])
    if shape is None or result is None or result[:-1] != shape[:-1]:
        return "the result does not have the rows of the operand"
    if any(not _goes_along(graph, user, found["split"]) for user in graph.users(found["split"])) or graph.is_output(found["split"]):
        return f"{found['split']} has a reader that needs its leading axes"
    if root.kind in NORMS:
        return _unlike_columns(graph, root, shape)
    if root.kind in BINARY:
        others = [name for name in root.inputs if name != found["split"]]
        if any(not _fits(graph, name, shape) for name in others):
            return "the other operand is neither of the same shape nor one value per column"
    return None


def _goes_along(graph: Graph, node: Node, tensor: str) -> bool:
    """Whether a reader of split rows can read the rows instead."""
    if tensor in node.captures:
        return False
    rank = len(graph.tensor(tensor).shape or ())
    if node.kind == "Reshape":
        return node.inputs[0] == tensor
    if node.kind == "MatMul":
        return node.inputs[0] == tensor and len(graph.tensor(node.inputs[1]).shape or ()) == 2
    if node.kind in ALONG_LAST:
        axis = graph.attribute(node, "axis")
        return node.inputs[0] == tensor and isinstance(axis, int) and axis in (-1, rank - 1)
    return node.kind in BINARY or (node.kind in ELEMENTWISE and node.inputs[0] == tensor)


def _fits(graph: Graph, tensor: str, shape: tuple[int, ...]) -> bool:
    other = extents(graph, tensor)
    return other is not None and (other == shape or (graph.tensor(tensor).const and len(other) <= len(shape) and prod(other[:-1]) == 1))


def build_rows(b: Builder, found: Bindings) -> str:
    root, shape = found.root, extents(b.graph, found["split"]) or ()
    if root.kind in BINARY:
        inputs = [_as_rows(b, name, shape) for name in root.inputs]
    else:
        inputs = [found["rows"], *(_as_column(b, name) if root.kind in NORMS else name for name in root.inputs[1:])]
    along = {"axis": -1} if "axis" in root.attributes or root.kind in ALONG_LAST else {}
    return b.reshape(b.like(root, *inputs, changed=along), extents(b.graph, root.outputs[0]) or ())


def _as_rows(b: Builder, tensor: str, shape: tuple[int, ...]) -> str:
    """An operand of the wide operator as one of the operator on rows."""
    graph, own = b.graph, extents(b.graph, tensor)
    rows = split_rows(graph, tensor)
    if rows is not None and own == shape:
        return rows
    if own == shape:
        return b.reshape(tensor, (prod(shape[:-1]), shape[-1]))
    value = graph.value(tensor)
    if value is None or value.ndim <= 1:
        return tensor
    return b.array(value.reshape(-1), graph.tensor(tensor).dtype)


FLATTEN_PRODUCT = Rewrite(
    name="flatten_product",
    summary="x[…, K]·W + b -> Reshape(Gemm(Reshape(x), W, b))",
    operators=("Add",),
    emits=("Reshape", "Gemm"),
    contract=Contract("reassociates"),
    match=match_product,
    unless=unless_product,
    build=build_product,
)
FLATTEN_ROWS = Rewrite(
    name="flatten_rows",
    summary="f(Reshape(r)) -> Reshape(f(r)), r a matrix, f by rows",
    operators=BY_ROW,
    emits=("Reshape",),  # and f, which is in the graph already
    contract=Contract("exact"),
    match=match_rows,
    unless=unless_rows,
    build=build_rows,
)
FLATTEN_NORM = Rewrite(
    name="flatten_layernorm",
    summary="LayerNormalization(u + v) -> Reshape(LayerNormalization(Reshape(u + v)))",
    operators=("LayerNormalization",),
    emits=("Reshape", "LayerNormalization"),
    contract=Contract("exact"),
    match=match_norm,
    unless=unless_norm,
    build=build_norm,
)
FLATTEN = (FLATTEN_PRODUCT, FLATTEN_NORM, FLATTEN_ROWS)

"""A matrix product and a 1×1 convolution are the same sums: each written as the other, for devices that have only one of them fast.

x[…, K]·W[K, N]          ->  Conv of an image of K channels, height 1 and one pixel per row, with W' as 1×1 kernel
α·A'·B' + β·C            ->  the same, α in the kernel, β·C as its bias
Conv(x[B, C, …], W, b)   ->  Reshape(W·Reshape(x, [B, C, S]) + b)                                   by MatMul
                         ->  Transpose(Reshape(Gemm(Reshape(Transpose(x), [B·S, C]), W', b)))       by Gemm, whose B is then constant
Conv(x[B, C, S], W[N, C, S], b)  ->  Reshape(Reshape(x, [B, C·S])·W' + b)                           a kernel as large as the image

W must be constant. One extent of the result may be unknown.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings
from ..rule.rewrite import reassociating as rule

TURNED = (0, 3, 2, 1)
"""[1, K, 1, M] from [1, M, 1, K], and back."""


def _operand(extents: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if extent is None else extent for extent in extents)


def _count(extents: tuple[int | None, ...]) -> int:
    """Their product, -1 where one is unknown."""
    known = [extent for extent in extents if extent is not None]
    return prod(known) if len(known) == len(extents) else -1


def _known(graph: Graph, node: Node) -> bool:
    """Floats, of which all shapes are known but for one extent, and none is empty."""
    shapes = [graph.tensor(name).shape for name in (node.inputs[0], node.outputs[0])]
    fits = all(shape is not None and 0 not in shape and sum(extent is None for extent in shape) < 2 for shape in shapes)
    return fits and graph.tensor(node.inputs[0]).dtype in COMPUTED


def match_product(graph: Graph, node: Node) -> Bindings | None:
    x, y, w = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape, graph.tensor(node.inputs[1])
    if not _known(graph, node) or x is None or y is None or not w.const or len(w.shape or ()) != 2 or len(x) < 2:
        return None
    return None if x[-1] is None else Bindings(node, {"rows": (_count(x[:-1]),), "result": _operand(y)})


def match_gemm(graph: Graph, node: Node) -> Bindings | None:
    """C, where there is one, must be a constant with the same value in every row."""
    numbers = {name: graph.attribute(node, name) for name in ("alpha", "beta")}
    y, bias = graph.tensor(node.outputs[0]).shape, graph.value(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    known = _known(graph, node) and y is not None and graph.tensor(node.inputs[1]).const
    if not known or y is None or y[1] is None or not all(isinstance(number, float) for number in numbers.values()):
        return None
    if len(node.inputs) > 2 and node.inputs[2] and (bias is None or bias.size > y[1] or (bias.ndim == 2 and bias.shape[0] != 1)):
        return None
    found = {name: number for name, number in numbers.items() if isinstance(number, float)}
    return Bindings(node, {**found, "rows": (_count(y[:1]),), "result": _operand(y)})


def match_pointwise(graph: Graph, node: Node) -> Bindings | None:
    """A convolution of one pixel, in one group, without stride and padding."""
    x, y, w = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape, graph.tensor(node.inputs[1])
    if not _known(graph, node) or x is None or y is None or not w.const or w.shape is None or len(x) < 3:
        return None
    strides, pads = graph.attribute(node, "strides") or (1,), graph.attribute(node, "pads") or (0,)
    alone = isinstance(strides, tuple) and set(strides) == {1} and isinstance(pads, tuple) and set(pads) == {0}
    if set(w.shape[2:]) != {1} or graph.attribute(node, "group") != 1 or not alone:
        return None
    return Bindings(node, {"shape": _operand(x), "result": _operand(y), "pixels": (_count(x[2:]),), "rows": (_count((x[0], *x[2:])),)})


def match_covering(graph: Graph, node: Node) -> Bindings | None:
    """A convolution whose kernel is as large as the image, in one group, without padding: one result for each image, as encoders of images
    cut them into patches."""
    x, y, w = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape, graph.tensor(node.inputs[1])
    if not _known(graph, node) or x is None or y is None or not w.const or w.shape is None or len(x) < 3:
        return None
    pads, fill = graph.attribute(node, "pads") or (0,), graph.attribute(node, "auto_pad")
    alone = graph.attribute(node, "group") == 1 and isinstance(pads, tuple) and set(pads) == {0} and fill in ("NOTSET", "VALID")
    if not alone or w.shape[2:] != x[2:] or set(y[2:]) != {1} or set(w.shape[2:]) == {1}:
        return None
    return Bindings(node, {"rows": (_count(x[:1]),), "result": _operand(y)})


def _convolved(b: Builder, found: Bindings, kernel: np.ndarray, bias: str, columns: bool = False) -> str:
    """kernel: [N, K]. The rows of the root's first operand as pixels; with `columns`, its columns."""
    (rows,), x = found.integers("rows"), found.root.inputs[0]
    inner = kernel.shape[1]
    image = b.reshape(x, (1, inner, 1, rows)) if columns else b.op("Transpose", b.reshape(x, (1, rows, 1, inner)), perm=TURNED)
    result = b.op("Conv", image, b.array(kernel[:, :, None, None]), *([bias] if bias else []))
    return b.reshape(b.op("Transpose", result, perm=TURNED), found.integers("result"))


def product_as_convolution(b: Builder, found: Bindings) -> str:
    weights = b.graph.value(found.root.inputs[1])
    assert weights is not None, "match() has seen it"
    return _convolved(b, found, weights.T, "")


def gemm_as_convolution(b: Builder, found: Bindings) -> str:
    root, alpha, beta = found.root, found.number("alpha"), found.number("beta")
    weights = b.graph.value(root.inputs[1])
    offset = b.graph.value(root.inputs[2]) if len(root.inputs) > 2 and root.inputs[2] else None
    assert weights is not None, "match() has seen it"
    kernel = weights if b.graph.attribute(root, "transB") else weights.T
    kernel = kernel if alpha == 1.0 else kernel.astype(np.float64) * alpha
    bias = ""
    if offset is not None and beta:
        row = np.broadcast_to(offset.reshape(-1), (kernel.shape[0],))
        bias = b.array(row if beta == 1.0 else row.astype(np.float64) * beta)
    return _convolved(b, found, kernel, bias, bool(b.graph.attribute(root, "transA")))


def _kernel(graph: Graph, root: Node) -> tuple[np.ndarray, str]:
    """The 1×1 kernel as a matrix [N, C], and the bias's name, "" without one."""
    weights = graph.value(root.inputs[1])
    assert weights is not None, "match() has seen it"
    return weights.reshape(weights.shape[:2]), root.inputs[2] if len(root.inputs) > 2 else ""


def convolution_as_product(b: Builder, found: Bindings) -> str:
    shape = found.integers("shape")
    weights, bias = _kernel(b.graph, found.root)
    result = b.op("MatMul", b.array(weights), b.reshape(found.root.inputs[0], (*shape[:2], *found.integers("pixels"))))
    if bias:
        value = b.graph.value(bias)
        column = b.reshape(bias, (len(weights), 1)) if value is None else b.array(value.reshape(-1, 1))
        result = b.add(result, column)
    return b.reshape(result, found.integers("result"))


def convolution_as_gemm(b: Builder, found: Bindings) -> str:
    result = found.integers("result")
    weights, bias = _kernel(b.graph, found.root)
    (rows,) = found.integers("rows")
    last = b.op("Transpose", found.root.inputs[0], perm=(0, *range(2, len(result)), 1))
    flat = b.op("Gemm", b.reshape(last, (rows, weights.shape[1])), b.array(weights.T), *([bias] if bias else []))
    wide = b.reshape(flat, (result[0], *result[2:], len(weights)))
    return b.op("Transpose", wide, perm=(0, len(result) - 1, *range(1, len(result) - 1)))


def covering_as_product(b: Builder, found: Bindings) -> str:
    (rows,), root, weights = found.integers("rows"), found.root, b.graph.value(found.root.inputs[1])
    assert weights is not None, "match() has seen it"
    matrix = weights.reshape(len(weights), -1).T
    flat = b.op("MatMul", b.reshape(root.inputs[0], (rows, len(matrix))), b.array(matrix))
    biased = b.add(flat, root.inputs[2]) if len(root.inputs) > 2 and root.inputs[2] else flat
    return b.reshape(biased, found.integers("result"))


IMAGE = ("Reshape", "Transpose", "Conv")
PRODUCT = ("Reshape", "MatMul", "Add")
CONVOLUTION = (
    rule("matmul_conv", "MatMul(x, W) -> Conv(xᵀ; W as 1×1 kernel)ᵀ", "MatMul", IMAGE, match_product, product_as_convolution),
    rule("gemm_conv", "Gemm(A, B, C) -> Conv(Aᵀ; αB as 1×1 kernel, βC)ᵀ", "Gemm", IMAGE, match_gemm, gemm_as_convolution),
    rule("conv_matmul", "Conv(x; W 1×1, b) -> W·x + b", "Conv", PRODUCT, match_pointwise, convolution_as_product),
    rule("conv_whole", "Conv(x; W as large as x, b) -> x·Wᵀ + b", "Conv", PRODUCT, match_covering, covering_as_product),
    rule(
        "conv_gemm", "Conv(x; W 1×1, b) -> Gemm(xᵀ, Wᵀ, b)ᵀ", "Conv", ("Reshape", "Transpose", "Gemm"), match_pointwise, convolution_as_gemm
    ),
)

"""Matrix products in the shapes that device tables take.

x[…, K]·W[K, N]   ->  Reshape(Reshape(x, [M, K])·W, […, N])     the product as MatMul or as Gemm
A·B, both 2-D     ->  Gemm(A, B)
Gemm(A, B, C)     ->  MatMul(A, α·B') + β·C
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Build
from ..rule.rewrite import reassociating as rule


def match_wide(graph: Graph, node: Node) -> Bindings | None:
    """x of rank 3 or more times a matrix, with at most one extent unknown."""
    x, w, y = (graph.tensor(name).shape for name in (*node.inputs, node.outputs[0]))
    if x is None or w is None or y is None or len(x) < 3 or len(w) != 2 or graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    if x[-1] is None or sum(extent is None for extent in y) > 1 or 0 in y or 0 in x:
        return None
    return Bindings(node, {"inner": x[-1], "shape": tuple(-1 if extent is None else extent for extent in y)})


def match_flat(graph: Graph, node: Node) -> Bindings | None:
    a, b = (graph.tensor(name).shape for name in node.inputs)
    fits = a is not None and b is not None and len(a) == len(b) == 2 and graph.tensor(node.inputs[0]).dtype in COMPUTED
    return Bindings(node, {}) if fits else None


def _wide(operator: str) -> Build:
    def build(b: Builder, found: Bindings) -> str:
        shape, rows = found.integers("shape"), -1
        if -1 not in shape:
            rows = int(np.prod(shape[:-1]))
        flat = b.reshape(found.root.inputs[0], (rows, int(found.number("inner"))))
        return b.reshape(b.op(operator, flat, found.root.inputs[1]), shape)

    return build


def build_flat(b: Builder, found: Bindings) -> str:
    return b.op("Gemm", *found.root.inputs)


def match_gemm(graph: Graph, node: Node) -> Bindings | None:
    numbers = {name: graph.attribute(node, name) for name in ("alpha", "beta")}
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    return Bindings(node, {name: value for name, value in numbers.items() if isinstance(value, float)})


def build_gemm(b: Builder, found: Bindings) -> str:
    """A constant B takes the transposition and alpha into itself."""
    root, alpha, beta = found.root, found.number("alpha"), found.number("beta")
    left, right = root.inputs[:2]
    if b.graph.attribute(root, "transA"):
        left = b.op("Transpose", left, perm=(1, 0))
    value, flip = b.graph.value(right), b.graph.attribute(root, "transB")
    if value is not None and (flip or alpha != 1.0):
        turned = value.T if flip else value
        right, alpha = b.array(turned if alpha == 1.0 else turned.astype(np.float64) * alpha), 1.0
    elif flip:
        right = b.op("Transpose", right, perm=(1, 0))
    result = b.op("MatMul", left, right)
    result = result if alpha == 1.0 else b.mul(result, alpha)
    if len(root.inputs) > 2 and root.inputs[2] and beta:
        offset = root.inputs[2] if beta == 1.0 else b.mul(root.inputs[2], beta)
        result = b.add(result, offset)
    return result


RESHAPED = "Reshape(Reshape(x)·W)"
MATRIX = (
    rule("matmul_2d", f"MatMul(x, W) -> {RESHAPED}", "MatMul", ("Reshape", "MatMul"), match_wide, _wide("MatMul")),
    rule("matmul_2d_gemm", f"MatMul(x, W) -> {RESHAPED}, by Gemm", "MatMul", ("Reshape", "Gemm"), match_wide, _wide("Gemm")),
    rule("matmul_gemm", "MatMul(A, B) -> Gemm(A, B)", "MatMul", ("Gemm",), match_flat, build_flat),
    rule("gemm_matmul", "Gemm(A, B, C) -> MatMul(A, αB) + βC", "Gemm", ("MatMul", "Add", "Mul", "Transpose"), match_gemm, build_gemm),
)

"""Matrix products as Core AI's operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from .api import CoreValue
from .movement import as_shape, transposed
from .tensor import like, tensor


def _matmul(node: OnnxNode) -> Any:
    """Vectors as a row and a column."""
    x, y = tensor(node, 0), tensor(node, 1)
    row, column = len(x.shape) == 1, len(y.shape) == 1
    x = as_shape(node, x, (1, *x.shape)) if row else x
    y = as_shape(node, y, (*y.shape, 1)) if column else y
    made = node.api.broadcasting_batch_matmul(x, y)
    shape = list(made.shape)
    if column:
        shape.pop()
    if row:
        shape.pop(-1 if column else -2)
    return as_shape(node, made, shape)


def _gemm(node: OnnxNode) -> Any:
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    x, y = (_matrix(node, index, bool(node.attribute(name, 0))) for index, name in ((0, "transA"), (1, "transB")))
    product = node.api.broadcasting_batch_matmul(x, y)
    if alpha != 1.0:
        product = node.api.broadcasting_mul(product, like(product, alpha))
    if not node.has(2):
        return product
    added: Any = tensor(node, 2)
    if beta != 1.0:
        added = node.api.broadcasting_mul(added, like(added, beta))
    return node.api.broadcasting_add(product, added)


def _matrix(node: OnnxNode, index: int, turn: bool) -> CoreValue:
    """A constant is turned here."""
    if turn and node.is_constant(index):
        made: CoreValue = node.api.value(node.constant(index).T)
        return made
    return transposed(node, tensor(node, index), (1, 0)) if turn else tensor(node, index)


PRODUCTS: Mapping[str, Converter] = {"Gemm": _gemm, "MatMul": _matmul}

"""Attention in primitives, for devices that lack it.

    Attention(Q, K, V, mask; c)  ->  softmax(c·Q·Kᵀ + mask)·V

Covered: operands of rank 3 and 4, groups of heads (the rows of a group's heads are stacked: K and V are not repeated), softcap, masks of
numbers and of booleans, causal masks, past and present keys and values, and another precision for the softmax; not the scores as an
output, windows, or padding given as a number of rows. A row that booleans close entirely becomes 0, as the standard has it; where
numbers (-inf) close it, it becomes NaN.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from ...targets.dtypes import DTYPE
from ..formula.closed_rows import closes_a_row, opens_each_row
from ..formula.pattern import Value
from ..formula.trace import Extents, broadcasts, extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder, largest
from ..rule.rewrite import Bindings, Contract, Rewrite

COVERED = frozenset({"is_causal", "kv_num_heads", "q_num_heads", "qk_matmul_output_mode", "scale", "softcap", "softmax_precision"})
"""Attributes up to opset 24."""
MOST_CAUSAL = 1 << 22
"""Elements that the constant of a causal mask may have."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """The sizes: batch, heads of Q, heads of K and V, rows of Q, rows of the past, of all, width of K, width of V."""
    q, k, v = (extents(graph, name) for name in node.inputs[:3])
    if q is None or k is None or v is None or len({len(q), len(k), len(v)}) > 1 or graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    if len(q) == 3:
        heads, groups = graph.attribute(node, "q_num_heads"), graph.attribute(node, "kv_num_heads")
        if not isinstance(heads, int) or not isinstance(groups, int) or not heads or not groups:
            return None
        q, k, v = _split(q, heads), _split(k, groups), _split(v, groups)
    past = extents(graph, node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] else (0, 0, 0, 0)
    scale = node.attribute("scale")
    if past is None or len(q) != 4 or len(past) != 4 or q[1] % k[1] or (q[0], q[3], v[1]) != (k[0], k[3], k[1]) or k[2] != v[2]:
        return None
    sizes = (q[0], q[1], k[1], q[2], past[2], past[2] + k[2], q[3], v[3])
    values: dict[str, Value] = {"sizes": sizes, "scale": scale if isinstance(scale, float) else 1.0 / sqrt(q[3])}
    return Bindings(node, values)


def _split(shape: Extents, heads: int) -> Extents:
    return shape[0], heads, shape[1], shape[2] // heads


def unless(graph: Graph, found: Bindings) -> str | None:
    root = found.root
    batch, heads, _, rows, _, total, *_ = found.integers("sizes")
    if more := sorted(root.attributes.keys() - COVERED):
        return f"the attribute {more[0]} is not covered"
    if len(root.outputs) > 3 and root.outputs[3] and graph.uses(root.outputs[3]):
        return "the output of scores is used"
    if len(root.inputs) > 6 and root.inputs[6]:
        return "the number of rows that are not padding is an input"
    if found.number("scale") < 0:
        return "the scale is negative"
    if len({graph.tensor(name).dtype for name in root.inputs[:3]}) > 1:
        return "Q, K and V have different dtypes"
    if (len(root.inputs) > 4 and bool(root.inputs[4])) != (len(root.inputs) > 5 and bool(root.inputs[5])):
        return "only one of past key and past value is given"
    mask = _operand(root, 3)
    shape, dtype = graph.tensor(mask).shape if mask else (), graph.tensor(mask).dtype if mask else "bool"
    if mask and (not broadcasts(shape, (batch, heads, rows, total)) or not shape or shape[-1] != total):
        return "the mask does not have the shape of the scores"
    if dtype not in ("bool", graph.tensor(root.inputs[0]).dtype):
        return f"the mask is {dtype}"
    value = graph.value(mask) if mask and dtype != "bool" else None
    causal = [~_causal(found)] if graph.attribute(root, "is_causal") and rows * total <= MOST_CAUSAL else []
    if value is not None and closes_a_row((batch, heads, rows, total), [value], causal):
        return "a constant mask of numbers closes a whole row"
    if graph.attribute(root, "is_causal") and rows * total > MOST_CAUSAL:
        return f"the causal mask has more than {MOST_CAUSAL} elements"
    return None


def _operand(node: Node, index: int) -> str:
    return node.inputs[index] if len(node.inputs) > index else ""


def build(b: Builder, found: Bindings) -> tuple[str, ...]:
    root = found.root
    batch, heads, groups, rows, _, total, width, depth = found.integers("sizes")
    wide = len(b.graph.tensor(root.inputs[0]).shape or ()) == 4
    q, k, v = root.inputs[:3] if wide else (_by_heads(b, name, n) for name, n in zip(root.inputs, (heads, groups, groups), strict=False))
    k, v = (b.op("Concat", past, now, axis=2) if (past := _operand(root, n)) else now for now, n in ((k, 4), (v, 5)))
    scaled = q if found.number("scale") == 1.0 else b.mul(q, found.number("scale"))
    stacked = b.reshape(scaled, (batch, groups, heads // groups * rows, width)) if groups != heads else scaled
    scores = b.op("MatMul", stacked, b.op("Transpose", k, perm=(0, 1, 3, 2)))
    scores = b.reshape(scores, (batch, heads, rows, total)) if groups != heads else scores
    weights = _weights(b, found, scores)
    weights = b.reshape(weights, (batch, groups, heads // groups * rows, total)) if groups != heads else weights
    result = b.op("MatMul", weights, v)
    if groups != heads:
        result = b.reshape(result, (batch, heads, rows, depth))
    if not wide:
        result = b.reshape(b.op("Transpose", result, perm=(0, 2, 1, 3)), (batch, rows, heads * depth))
    return result, k, v


def _by_heads(b: Builder, tensor: str, heads: int) -> str:
    """[batch, rows, heads · width] as [batch, heads, rows, width]."""
    shape = extents(b.graph, tensor) or (1, 1, 1)
    split = b.reshape(tensor, (shape[0], shape[1], heads, shape[2] // heads))
    return b.op("Transpose", split, perm=(0, 2, 1, 3))


def _weights(b: Builder, found: Bindings, scores: str) -> str:
    """softmax(scores), capped and masked before."""
    graph, root = b.graph, found.root
    cap, mask = graph.attribute(root, "softcap"), _operand(root, 3)
    if isinstance(cap, float) and cap:
        scores = b.mul(b.op("Tanh", b.mul(scores, 1.0 / cap)), cap)
    closes = bool(mask) and graph.tensor(mask).dtype == "bool"
    causal = _causal(found) if graph.attribute(root, "is_causal") else None
    shut = -largest(b.dtype)
    if closes:
        scores = b.op("Where", mask, scores, shut)
    elif mask:
        scores = b.add(scores, mask)
    if causal is not None:
        scores = b.op("Where", b.array(causal, "bool"), scores, shut)
    weights = _softmax(b, root, scores)
    if not closes or (causal is None and opens_each_row(graph, mask)):
        return weights
    if causal is not None:
        mask = b.op("And", mask, b.array(causal, "bool"))
    return b.mul(weights, b.cast(mask, b.dtype))


def _causal(found: Bindings) -> np.ndarray:
    _, _, _, rows, past, total, _, _ = found.integers("sizes")
    return np.arange(total)[None, :] <= np.arange(rows)[:, None] + past


def _softmax(b: Builder, root: Node, scores: str) -> str:
    precision = root.attribute("softmax_precision")
    wanted = DTYPE[precision] if isinstance(precision, int) and precision else b.dtype
    if wanted == b.dtype:
        return b.op("Softmax", scores, axis=-1)
    return b.cast(b.op("Softmax", b.cast(scores, wanted), axis=-1), b.dtype)


ATTENTION_SOFTMAX = Rewrite(
    name="attention_softmax",
    summary="Attention(Q, K, V, mask; c) -> softmax(c·Q·Kᵀ + mask)·V",
    operators=("Attention",),
    emits=("Mul", "Transpose", "MatMul", "Reshape", "Softmax", "Add", "Where", "And", "Tanh", "Cast", "Concat"),
    contract=Contract("reassociates", over="numeric masks that leave at least one position of every row open"),
    match=match,
    unless=unless,
    build=build,
)

"""Writes operators that extend a cache by themselves as the steps that they are: rotation, Concat(past, new), attention with a mask.

com.microsoft GroupQueryAttention(q, k, v, past_k, past_v, lengths, total, cos, sin)
    ->  Attention(R(q), Concat(past_k, R(k)), Concat(past_v, v), mask)
com.microsoft MultiHeadAttention(q, k, v, bias, -, scores, past_k, past_v)   ->  the same without R, its bias added first
Attention(q, k, v, mask, past_k, past_v), from opset 23 on                   ->  the same

GroupQueryAttention with a score of no key for each head (head_sink, or 0 by smooth_softmax), which the standard's Attention does not have:

    W = Softmax(Concat(q · kᵀ · scale + mask, sinks)) without its last column;  W · v

All shapes have to be known, and the past full: a cache with room behind its rows is left alone, and so is one of which `lengths` or `total`
say, or may say, that fewer rows are filled. q may hold k and v too. Only for graphs that are edited (passes/state): whoever runs these
operators is as fast with them, or faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

MICROSOFT = "com.microsoft"
HEADS_FIRST = (0, 2, 1, 3)
CLOSED = {"fp16": -6e4}
GROUPED, MANY, STANDARD = f"{MICROSOFT}::GroupQueryAttention", f"{MICROSOFT}::MultiHeadAttention", "Attention"
PASTS = {GROUPED: (3, 4), MANY: (6, 7), STANDARD: (4, 5)}
"""Operands that are caches."""
ADDED = {GROUPED: 10, MANY: 5, STANDARD: 3}
"""The operand that is added to scores."""
SINKS = 11
"""The operand of GroupQueryAttention that is a score of no key for each head."""
TAKEN = {
    GROUPED: frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}),
    MANY: frozenset({0, 1, 2, 3, 5, 6, 7}),
    STANDARD: frozenset({0, 1, 2, 3, 4, 5}),
}
"""Operands that are understood."""
PLAIN = {
    GROUPED: frozenset("num_heads kv_num_heads scale softcap local_window_size do_rotary rotary_interleaved causal smooth_softmax".split()),
    MANY: frozenset({"num_heads", "scale", "unidirectional", "mask_filter_value"}),
    STANDARD: frozenset({"q_num_heads", "kv_num_heads", "scale", "softcap", "is_causal"}),
}
"""Attributes that are understood; others may be there at 0, or -1. mask_filter_value is of the padding mask, which is no operand that is
understood."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    heads: int
    groups: int
    tokens: int
    past: int
    width: int
    """Of keys."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """A node that has caches."""
    operands = PASTS[node.kind]
    if len(node.inputs) <= max(operands) or not all(node.inputs[k] for k in operands) or len(node.writes) != 3:
        return None
    return Bindings(node, {"q": node.inputs[0]})


def unless(graph: Graph, found: Bindings) -> str | None:
    node = found.root
    extra = next((k for k, name in enumerate(node.inputs) if name and k not in TAKEN[node.kind]), None)
    if extra is not None:
        return f"its operand {node.inputs[extra]!r} (number {extra}) has no form of its own here"
    unknown = next((a for a in node.attributes if a not in PLAIN[node.kind] and node.attribute(a) not in (0, -1, 0.0, "NONE")), None)
    if unknown == "sliding_window_cache":
        return "its cache holds the rows of a window alone: onnxruntime-genai's builder keeps all with windowed_kv_cache=false"
    if unknown is not None:
        return f"its attribute {unknown} has no form of its own here"
    sizes = _sizes(graph, node)
    if sizes is None:
        return "the shapes of its operands are not known, or its batch is not 1"
    if reason := _unfit(graph, node, sizes):
        return reason
    if node.kind != GROUPED:
        return None
    return _unfilled(graph, node, sizes) or (_unturned(graph, node, sizes) if node.attribute("do_rotary") else None)


def _unfit(graph: Graph, node: Node, sizes: _Sizes) -> str | None:
    """What of operands and attributes that are understood is none of the forms that they have here."""
    for name in node.inputs[1:3] if node.inputs[1] or node.inputs[2] else []:
        shape = _shape(graph, name) if name else ()
        if len(shape) not in (3, 4) or shape[-2 if len(shape) == 4 else 1] != sizes.tokens:
            return f"its new keys and values are not as many rows as its queries, or not known apart: {name!r}"
        if len(shape) == 4 and node.kind == MANY and node.inputs[3]:
            return f"its bias is added to heads that are apart already: {name!r}"
    mask = _operand(node, ADDED[node.kind])
    shape = _shape(graph, mask) if mask else ()
    if shape and shape[-1] != sizes.past + sizes.tokens:
        return f"its mask does not have a column for each row of the cache: {mask!r}"
    return None


def _unfilled(graph: Graph, node: Node, sizes: _Sizes) -> str | None:
    """GroupQueryAttention reads as many rows as its operands say, whatever the shape of the cache."""
    for operand, expected in ((6, sizes.past + sizes.tokens), (5, sizes.past + sizes.tokens - 1)):
        name = _operand(node, operand)
        value = graph.value(name) if name else None
        if value is None or value.reshape(-1).tolist() != [expected]:
            return f"its cache has room behind its rows, or how many are filled is not known: {name!r}"
    return None


def _unturned(graph: Graph, node: Node, sizes: _Sizes) -> str | None:
    names = [_operand(node, k) for k in (7, 8)]
    if not all(names):
        return "it rotates by tables that it does not have"
    places = [name] if (name := _operand(node, 9)) else []
    odd = next((name for name in (*names, *places) if graph.value(name) is None), None)
    if odd is not None:
        return f"what it turns by is computed: {odd!r}"
    positions = _positions(graph, node, sizes)
    if positions.size != sizes.tokens:
        return f"it has another number of positions than of tokens: {places[0]!r}"
    if not sizes.past and np.any(np.diff(positions) != 1):
        return f"behind no past it turns by the first position and those that follow it, which are others: {places[0]!r}"
    short = next((name for name in names if not 0 <= positions.min() <= positions.max() < _shape(graph, name)[0]), None)
    return None if short is None else f"{short!r} has {_shape(graph, short)[0]} rows, and it turns by row {positions.max()}"


def _positions(graph: Graph, node: Node, sizes: _Sizes) -> np.ndarray:
    """Where the tokens of the step stand."""
    name = _operand(node, 9)
    given = graph.value(name) if name else None
    return np.arange(sizes.past, sizes.past + sizes.tokens) if given is None else given.reshape(-1)


def _operand(node: Node, number: int) -> str:
    """Its name; "" for one that is left out."""
    return node.inputs[number] if len(node.inputs) > number else ""


def _sizes(graph: Graph, node: Node) -> _Sizes | None:
    q, k, v = (_shape(graph, node.inputs[k]) for k in (0, *PASTS[node.kind]))
    if not q or len(k) != 4 or len(v) != 4 or q[0] != 1 or k[:3] != v[:3]:
        return None
    groups, width = k[1], k[3]
    if len(q) == 4:
        return _Sizes(q[1], groups, q[2], k[2], width)
    heads = node.attribute("q_num_heads" if node.kind == STANDARD else "num_heads")
    return _Sizes(heads, groups, q[1], k[2], width) if isinstance(heads, int) and len(q) == 3 else None


def _shape(graph: Graph, tensor: str) -> tuple[int, ...]:
    """Its extents, of which one may be 0; () where they are not known."""
    shape = graph.tensor(tensor).shape
    return () if shape is None or None in shape else tuple(extent or 0 for extent in shape)


def build(b: Builder, found: Bindings) -> tuple[str, ...]:
    node, graph = found.root, b.graph
    sizes = _sizes(graph, node)
    assert sizes is not None, "unless() has seen it"
    q, k, v = _operands(b, node, sizes)
    if node.kind == GROUPED and node.attribute("do_rotary"):
        q, k = _turned(b, node, (q, k), sizes)
    pasts = [node.inputs[index] for index in PASTS[node.kind]]
    keys, values = (b.op("Concat", past, new, axis=2) for past, new in zip(pasts, (k, v), strict=True))
    attributes = {name: float(value) for name in ("scale", "softcap") if isinstance(value := node.attribute(name), int | float) and value}
    mask = _mask(b, node, sizes)
    if node.kind == GROUPED and (_operand(node, SINKS) or node.attribute("smooth_softmax") == 1):
        result = _with_sinks(b, node, (q, keys, values, mask), sizes, **attributes)
    else:
        result = b.op("Attention", q, keys, values, *([mask] if mask else []), **attributes)
    if len(_shape(graph, node.inputs[0])) == 4:
        return result, keys, values
    width = _shape(graph, pasts[1])[3]
    return b.reshape(b.op("Transpose", result, perm=HEADS_FIRST), (1, sizes.tokens, sizes.heads * width)), keys, values


def _operands(b: Builder, node: Node, sizes: _Sizes) -> tuple[str, str, str]:
    """Queries, keys and values of the step, [1, heads, tokens, width] each."""
    names = [name if name else "" for name in (*node.inputs[:3], "", "")[:3]]
    if not names[1]:  # all three side by side
        ends = np.cumsum([0, sizes.heads, sizes.groups, sizes.groups]) * sizes.width
        cuts = [(b.integers([begin]), b.integers([end]), b.integers([-1])) for begin, end in pairwise(ends.tolist())]
        names = [b.op("Slice", names[0], *cut) for cut in cuts]
    bias = node.inputs[3] if node.kind == MANY and node.inputs[3] else ""
    made, begin = [], 0
    for name, heads in zip(names, (sizes.heads, sizes.groups, sizes.groups), strict=True):
        shape = _shape(b.graph, name)  # of a part of q it is not known yet
        width = sizes.width if not shape else shape[-1] // (1 if len(shape) == 4 else heads)
        if bias:
            name = b.add(name, b.op("Slice", bias, b.integers([begin]), b.integers([begin + heads * width]), b.integers([0])))
            begin += heads * width
        apart = name if len(shape) == 4 else b.op("Transpose", b.reshape(name, (1, sizes.tokens, heads, width)), perm=HEADS_FIRST)
        made.append(apart)
    return made[0], made[1], made[2]


def _turned(b: Builder, node: Node, both: tuple[str, str], sizes: _Sizes) -> tuple[str, str]:
    """Rotated by where their tokens stand."""
    positions = _positions(b.graph, node, sizes)
    tables = [b.array(table[positions][None]) for k in (7, 8) if (table := b.graph.value(node.inputs[k])) is not None]
    turned = 2 * _shape(b.graph, node.inputs[7])[1]
    attributes = {"interleaved": 1} if node.attribute("rotary_interleaved") else {}
    made = []
    for name, heads in zip(both, (sizes.heads, sizes.groups), strict=True):
        partial = {"rotary_embedding_dim": turned, "num_heads": heads} if turned != sizes.width else {}
        made.append(b.op("RotaryEmbedding", name, *tables, **attributes, **partial))
    return made[0], made[1]


def _with_sinks(
    b: Builder, node: Node, operands: tuple[str, str, str, str], sizes: _Sizes, *, scale: float = 0.0, softcap: float = 0.0
) -> str:
    """operands: queries, keys, values and mask (or ""). [1, heads, tokens, width]."""
    q, keys, values, mask = operands
    heads, groups, tokens, total = sizes.heads, sizes.groups, sizes.tokens, sizes.past + sizes.tokens
    shared, width = heads // groups, _shape(b.graph, node.inputs[PASTS[node.kind][1]])[3]
    turned = b.reshape(b.op("Transpose", keys, perm=(0, 1, 3, 2)), (1, groups, 1, sizes.width, total))
    products = b.op("MatMul", b.reshape(q, (1, groups, shared, tokens, sizes.width)), turned)
    scores = b.reshape(b.mul(products, scale or sizes.width**-0.5), (1, heads, tokens, total))
    if softcap:
        scores = b.mul(b.op("Tanh", b.mul(scores, 1 / softcap)), softcap)
    if mask:
        scores = b.add(scores, mask)
    sink = _operand(node, SINKS)
    one = b.reshape(sink, (1, heads, 1, 1)) if sink else b.array(np.zeros((1, heads, 1, 1)))
    sinks = b.op("Expand", one, b.integers((1, heads, tokens, 1)))
    weights = b.op("Softmax", b.op("Concat", scores, sinks, axis=-1), axis=-1)
    kept = b.op("Slice", weights, b.integers([0]), b.integers([-1]), b.integers([3]))
    each = b.reshape(kept, (1, groups, shared, tokens, total))
    return b.reshape(b.op("MatMul", each, b.reshape(values, (1, groups, 1, total, width))), (1, heads, tokens, width))


def _mask(b: Builder, node: Node, sizes: _Sizes) -> str:
    """What the operator closes by itself, and the numbers that it adds; "" for nothing."""
    distance = sizes.past + np.arange(sizes.tokens)[:, None] - np.arange(sizes.past + sizes.tokens)
    causal = {
        GROUPED: node.attribute("causal") != 0,
        MANY: bool(node.attribute("unidirectional")),
        STANDARD: bool(node.attribute("is_causal")),
    }
    window = node.attribute("local_window_size")
    seen = (distance >= 0) | (not causal[node.kind])
    if isinstance(window, int) and window > 0:
        seen &= distance < window
    added = _operand(node, ADDED[node.kind])
    if not causal[node.kind] and seen.all():
        return added
    closed = np.where(seen, 0.0, CLOSED.get(b.dtype, -1e9))  # for one token too, which sees all: its graph is then that of several
    if not added:
        return b.array(closed)
    if b.graph.tensor(added).dtype == "bool":
        return b.op("And", added, b.array(seen, "bool"))
    return b.add(added, b.array(closed))


WRITE_PAST = Rewrite(
    name="write_past",
    summary="GroupQueryAttention, MultiHeadAttention, Attention with caches -> RotaryEmbedding, Concat, Attention",
    operators=(GROUPED, MANY, STANDARD),
    emits=tuple("Attention RotaryEmbedding Concat Transpose Reshape Slice Add And MatMul Mul Tanh Expand Softmax".split()),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)

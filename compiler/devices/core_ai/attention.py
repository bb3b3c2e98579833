"""Attention over a cache of fixed length, and the rotation before it, as Core AI's operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from .api import CoreValue
from .indices import taken_rows
from .movement import as_shape, sliced, transposed
from .tensor import like, tensor, whole

HEADS_FIRST = (0, 2, 1, 3)
ROWS_AXIS = 2
"""Of a cache: [batch, heads, rows, width]."""
MOST_OPERANDS = 7
"""Of GroupQueryAttention as a decoder's steps have it: queries, keys, values, two caches, the last row filled, rows filled."""
KNOWN = {"num_heads", "kv_num_heads", "scale", "softcap", "local_window_size"}


def _group_query(node: OnnxNode) -> Any:
    """New rows are put behind those that a cache has; what lies behind them has no influence, whatever it is.

    keys, values = the caches with k, v in rows last - tokens + 1 … last
    y            = softmax(mask(scale · q · keysᵀ)) · values
    """
    import numpy

    _check_group_query(node)
    api, heads, groups = node.api, node.attribute("num_heads"), node.attribute("kv_num_heads")
    q, k, v = (_heads_apart(node, tensor(node, index), count) for index, count in ((0, heads), (1, groups), (2, groups)))
    tokens, width, rows = q.shape[2], q.shape[3], node.shape(3)[ROWS_AXIS]
    last = as_shape(node, tensor(node, 5), (1,))
    begin = api.broadcasting_sub(last, whole([tokens - 1]))
    keys, values = (_with_rows(node, tensor(node, index), begin, new) for index, new in ((3, k), (4, v)))
    grouped = as_shape(node, q, (1, groups, heads // groups * tokens, width))
    scores = api.broadcasting_batch_matmul(grouped, transposed(node, keys, (0, 1, 3, 2)))
    scores = api.broadcasting_mul(scores, like(scores, node.attribute("scale", 0.0) or width**-0.5))
    if cap := node.attribute("softcap", 0.0):
        scores = api.broadcasting_mul(api.tanh(api.broadcasting_mul(scores, like(scores, 1 / cap))), like(scores, cap))
    scores = as_shape(node, scores, (1, heads, tokens, rows))
    lowest = like(scores, float(numpy.finfo(scores.dtype).min))
    weights = api.softmax(api.broadcasting_where(_seen(node, begin, tokens, rows), scores, lowest), numpy.array(3, numpy.int32))
    filled = api.broadcasting_where(_up_to(node, last, rows), values, like(values, 0))
    made = api.broadcasting_batch_matmul(as_shape(node, weights, (1, groups, heads // groups * tokens, rows)), filled)
    apart = transposed(node, as_shape(node, made, (1, heads, tokens, width)), HEADS_FIRST)
    return [as_shape(node, apart, (1, tokens, heads * width)), keys, values][: len(node.proto.output)]


def _check_group_query(node: OnnxNode) -> None:
    """Raises Refused for what fix_length (passes/state) does not write."""
    odd = sorted({attribute.name for attribute in node.proto.attribute} - KNOWN)
    if odd or len(node.operands) > MOST_OPERANDS or not all(node.has(index) for index in range(6)):
        what = f"the attribute {odd[0]}" if odd else "operands other than queries, keys, values, their caches and how many rows are filled"
        raise node.refuse(f"{what}: only attention over the caches of --state is converted")
    if node.shape(0)[0] != 1:
        raise node.refuse("the batch must be 1")


def _heads_apart(node: OnnxNode, x: CoreValue, heads: int) -> CoreValue:
    """[1, tokens, heads · width] as [1, heads, tokens, width]."""
    return transposed(node, as_shape(node, x, (1, x.shape[1], heads, x.shape[2] // heads)), HEADS_FIRST)


def _with_rows(node: OnnxNode, cache: CoreValue, begin: CoreValue, new: CoreValue) -> CoreValue:
    """The cache with `new` in its rows from `begin` (int32 [1]) on."""
    api, tokens = node.api, new.shape[ROWS_AXIS]
    end = api.broadcasting_add(begin, whole([tokens]))
    first = api.concat(0, [api.value(whole([0, 0])), begin, api.value(whole([0]))])
    behind = api.concat(0, [api.value(whole(list(cache.shape[:2]))), end, api.value(whole([cache.shape[3]]))])
    made: CoreValue = api.slice_update(cache, first, behind, whole([1, 1, 1, 1]), new)
    return made


def _seen(node: OnnxNode, begin: CoreValue, tokens: int, rows: int) -> CoreValue:
    """bool [tokens, rows]: which rows each token attends to."""
    import numpy

    api, window = node.api, node.attribute("local_window_size", -1)
    own = api.broadcasting_add(begin, numpy.arange(tokens, dtype=numpy.int32)[:, None])
    places = numpy.arange(rows, dtype=numpy.int32)[None]
    behind = api.broadcasting_greater(api.broadcasting_add(own, whole([1])), places)
    if window < 0:
        return behind  # type: ignore[no-any-return]
    near = api.broadcasting_greater(places, api.broadcasting_sub(own, whole([window])))
    return api.broadcasting_and(behind, near)  # type: ignore[no-any-return]


def _up_to(node: OnnxNode, last: CoreValue, rows: int) -> CoreValue:
    """bool [rows, 1]: which rows are filled."""
    import numpy

    places = numpy.arange(rows, dtype=numpy.int32)[:, None]
    made: CoreValue = node.api.broadcasting_greater(node.api.broadcasting_add(last, whole([1])), places)
    return made


def _rotary(node: OnnxNode) -> Any:
    """concat(x₁·cos - x₂·sin, x₁·sin + x₂·cos, rest of x), x₁ and x₂ being halves, or even and odd elements."""
    x, heads = tensor(node, 0), node.attribute("num_heads", 0)
    flat = len(x.shape) == 3
    if flat and not heads:
        raise node.refuse("num_heads is missing")
    apart = as_shape(node, x, (*x.shape[:2], heads, x.shape[2] // heads)) if flat else transposed(node, x, HEADS_FIRST)
    width = apart.shape[3]
    turned = node.attribute("rotary_embedding_dim", 0) or width
    cos, sin = (_angles(node, index) for index in (1, 2))
    interleaved = bool(node.attribute("interleaved", 0))
    halves = (range(0, turned, 2), range(1, turned, 2)) if interleaved else (range(turned // 2), range(turned // 2, turned))
    first, second = (sliced(node, apart, [*map(range, apart.shape[:3]), half]) for half in halves)
    api = node.api
    parts = [
        api.broadcasting_sub(api.broadcasting_mul(first, cos), api.broadcasting_mul(second, sin)),
        api.broadcasting_add(api.broadcasting_mul(first, sin), api.broadcasting_mul(second, cos)),
    ]
    if interleaved:
        pairs = [as_shape(node, part, (*part.shape, 1)) for part in parts]
        parts = [as_shape(node, api.concat(4, pairs), (*apart.shape[:3], turned))]
    if turned < width:
        parts.append(sliced(node, apart, [*map(range, apart.shape[:3]), range(turned, width)]))
    made = api.concat(3, parts) if len(parts) > 1 else parts[0]
    return as_shape(node, made, x.shape) if flat else transposed(node, made, HEADS_FIRST)


def _angles(node: OnnxNode, index: int) -> CoreValue:
    """[batch, tokens, 1, width / 2], rows of the table at the positions of the operand 3 where it is there."""
    found = taken_rows(node, index, 3) if node.has(3) else tensor(node, index)
    return as_shape(node, found, (*found.shape[:2], 1, found.shape[2]))


ATTENTION: Mapping[str, Converter] = {"RotaryEmbedding": _rotary}
MICROSOFT: Mapping[str, Converter] = {"GroupQueryAttention": _group_query}
"""Operators of com.microsoft."""

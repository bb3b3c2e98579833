"""Attention operators of onnxruntime: with the projection of Q, K and V (Attention), without (MultiHeadAttention), grouped with a cache."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from ..activation import softmax_of
from ..attention import heads_apart, heads_together, rotated, shared
from ..call import Call, Kernel, Value
from ..operands import number

_LOWEST = float(np.finfo(np.float32).min)
"""What onnxruntime adds where a causal mask closes: a row of nothing else is uniform, not NaN."""


def _key_mask(mask: Value, batch: int, rows: int, columns: int, fill: float) -> Value:
    """What a mask of integers adds to the scores [batch, 1, rows, columns]: per key, per query and key, or by end (and start) positions."""
    if mask is None:
        return np.zeros((1, 1, 1, 1))
    mask, keys = np.asarray(mask), np.arange(columns)
    if mask.ndim == 1:
        mask = (keys < mask[:batch, None]) & ((keys >= mask[batch : 2 * batch, None]) if mask.size >= 2 * batch else True)
    if mask.ndim == 4:
        mask = mask[:, :, columns - rows : columns, :columns]
    else:
        mask = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
    return np.where(mask > 0, 0.0, fill)


def _attended(call: Call, q: Value, k: Value, v: Value, mask: Value, bias: Value) -> tuple[Value, Value]:
    """The result [batch, time, heads · size] and the scores after the masks."""
    scale = float(call.attributes.get("scale", 0.0)) or 1 / sqrt(q.shape[-1])
    scores = scale * (q @ k.swapaxes(-1, -2)) + _key_mask(mask, q.shape[0], q.shape[2], k.shape[2], number(call, "mask_filter_value", -1e4))
    if bias is not None:
        scores = scores + bias
    if call.attributes.get("unidirectional", 0):
        closed = np.arange(k.shape[2]) > np.arange(q.shape[2])[:, None] + k.shape[2] - q.shape[2]
        scores = np.where(closed, _LOWEST, scores)
    return heads_together(softmax_of(scores, 3) @ v), scores


def attention(call: Call) -> tuple[Value, ...]:
    """input [batch, time, in], weights [in, q + k + v], bias, mask, past [2, batch, heads, past, size], attention bias."""
    if call.attributes.get("do_rotary", 0) or call.attributes.get("past_present_share_buffer", 0):
        raise NotImplementedError("com.microsoft Attention with do_rotary or a shared cache")
    heads = int(call.attributes["num_heads"])
    merged = call.inputs[0] @ call.inputs[1]
    merged = merged if call.input(2) is None else merged + call.input(2)
    sizes = call.attributes.get("qkv_hidden_sizes") or [merged.shape[2] // 3] * 3
    q, k, v = (heads_apart(part, heads) for part in np.split(merged, np.cumsum(sizes)[:-1], axis=2))
    past = call.input(4)
    if past is not None:
        k, v = np.concatenate([past[0], k], axis=2), np.concatenate([past[1], v], axis=2)
    y, _ = _attended(call, q, k, v, call.input(3), call.input(5))
    return y, np.stack([k, v]) if call.outputs > 1 else None


def _parts(call: Call, heads: int) -> tuple[Value, Value, Value]:
    """Q, K and V of a MultiHeadAttention with heads apart, from whichever packing, the bias added."""
    q, k, v, bias = call.inputs[0], call.input(1), call.input(2), call.input(3)
    if q.ndim == 5:
        q, k, v = (q[:, :, :, i].reshape(*q.shape[:2], -1) for i in range(3))
    elif k is not None and k.ndim == 5:
        k, v = (k[:, :, :, i].reshape(*k.shape[:2], -1) for i in range(2))
    if bias is not None:
        of_q, of_k, of_v = np.split(bias, [q.shape[2], 2 * q.shape[2]])
        q = q + of_q
        k, v = (k + of_k, v + of_v) if k.ndim == 3 else (k, v)
    return heads_apart(q, heads), heads_apart(k, heads), heads_apart(v, heads)


def multi_head(call: Call) -> tuple[Value, ...]:
    """query, key, value, bias, key padding mask, attention bias, past key and value; also the present key and value."""
    if call.input(8) is not None or call.input(9) is not None:
        raise NotImplementedError("com.microsoft MultiHeadAttention with a shared cache")
    q, k, v = _parts(call, int(call.attributes["num_heads"]))
    if call.input(6) is not None:
        k, v = np.concatenate([call.input(6), k], axis=2), np.concatenate([call.input(7), v], axis=2)
    y, scores = _attended(call, q, k, v, call.input(4), call.input(5))
    return y, k, v, scores


def rotary(call: Call) -> tuple[Value, ...]:
    """input, position_ids ([1]: where the sequence starts; or [batch, time]), caches [positions, width / 2]."""
    x, positions, cos, sin = call.inputs
    heads = int(call.attributes.get("num_heads", 0)) or x.shape[-1] // (2 * cos.shape[1])
    apart = heads_apart(x, heads)
    places = positions.reshape(-1)[0] + np.arange(apart.shape[2])[None] if positions.size == 1 and positions.ndim == 1 else positions
    y = rotated(apart, cos[places][:, None], sin[places][:, None], bool(call.attributes.get("interleaved", 0)))
    scale = number(call, "scale", 1.0)
    return (scale * (y if x.ndim == 4 else heads_together(y)),)


def group_query(call: Call) -> tuple[Value, ...]:
    """query (or packed QKV), key, value, past key and value, seqlens_k, total length, cos, sin, positions, attention bias, head sink.

    Each batch's new keys follow the seqlens_k + 1 - time that its cache holds (none in a first prompt); rows beyond its length attend
    to what is there. Also the present key and value, zero where nothing was written.
    """
    if any(call.input(i) is not None for i in range(12, 17)) or call.attributes.get("sliding_window_cache", 0):
        raise NotImplementedError("com.microsoft GroupQueryAttention with a quantised or windowed cache, norms of Q and K or padded chunks")
    q, k, v = _grouped(call)
    lengths, total = np.asarray(call.inputs[5]).ravel() + 1, int(np.asarray(call.inputs[6]).ravel()[0])
    time = q.shape[2]
    before = np.zeros_like(lengths) if time == total else lengths - time
    q, k = _turned(call, q, k, before)
    room = max(total, 0 if call.input(3) is None else call.input(3).shape[2])
    keys, values = np.zeros((*k.shape[:2], room, k.shape[3])), np.zeros((*v.shape[:2], room, v.shape[3]))
    y = np.zeros((*q.shape[:3], v.shape[3]))
    for b, start in enumerate(int(n) for n in before):
        for cache, past, new in ((keys, call.input(3), k), (values, call.input(4), v)):
            if past is not None:
                cache[b, :, :start] = past[b, :, :start]
            cache[b, :, start : start + time] = new[b, :, : room - start]
        y[b] = _grouped_row(call, q[b : b + 1], keys[b : b + 1], values[b : b + 1], b, start)[0]
    return heads_together(y), keys, values


def _grouped(call: Call) -> tuple[Value, Value, Value]:
    heads, groups = int(call.attributes["num_heads"]), int(call.attributes["kv_num_heads"])
    q, k, v = call.inputs[0], call.input(1), call.input(2)
    if k is None:
        size = q.shape[2] // (heads + 2 * groups)
        q, k, v = np.split(q, [heads * size, (heads + groups) * size], axis=2)
    return heads_apart(q, heads), heads_apart(k, groups), heads_apart(v, groups)


def _turned(call: Call, q: Value, k: Value, before: Value) -> tuple[Value, Value]:
    if not call.attributes.get("do_rotary", 0):
        return q, k
    places = before[:, None] + np.arange(q.shape[2]) if call.input(9) is None else call.input(9)
    cos, sin = (cache[places][:, None] for cache in (call.input(7), call.input(8)))
    interleaved = bool(call.attributes.get("rotary_interleaved", 0))
    return rotated(q, cos, sin, interleaved), rotated(k, cos, sin, interleaved)


def _grouped_row(call: Call, q: Value, k: Value, v: Value, b: int, start: int) -> Value:
    """One batch. A head sink (or smooth_softmax: 0) joins the denominator of the softmax."""
    scale = float(call.attributes.get("scale", 0.0)) or 1 / sqrt(q.shape[-1])
    end = start + q.shape[2]
    k, v = shared(k[:, :, :end], q.shape[1]), shared(v[:, :, :end], q.shape[1])
    scores: Any = scale * (q @ k.swapaxes(-1, -2))
    cap, window = number(call, "softcap", 0.0), int(call.attributes.get("local_window_size", -1))
    scores = cap * np.tanh(scores / cap) if cap else scores
    if call.input(10) is not None:
        bias = call.input(10)
        scores = scores + bias[min(b, len(bias) - 1)][None, :, :, :end]
    distance = start + np.arange(q.shape[2])[:, None] - np.arange(end)
    if call.attributes.get("causal", 1):
        scores = np.where((distance >= 0) & ((distance < window) | (window < 0)), scores, -np.inf)
    sink = call.input(11)
    sink = np.zeros(q.shape[1]) if sink is None and call.attributes.get("smooth_softmax", 0) else sink
    if sink is None:
        return softmax_of(scores, 3) @ v
    wide = np.concatenate([scores, np.broadcast_to(sink.reshape(1, -1, 1, 1), (*scores.shape[:3], 1))], axis=3)
    return softmax_of(wide, 3)[..., :-1] @ v


KERNELS: Mapping[str, Kernel] = {
    "Attention": attention,
    "MultiHeadAttention": multi_head,
    "RotaryEmbedding": rotary,
    "GroupQueryAttention": group_query,
}

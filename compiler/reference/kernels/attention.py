"""Attention of the standard, rotary embeddings, linear attention."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from .activation import softmax_of
from .call import Call, Kernel, Value


def heads_apart(x: Value, heads: int) -> Value:
    """[batch, time, heads · size] as [batch, heads, time, size]; a 4-D tensor is so already."""
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def heads_together(x: Value) -> Value:
    """[batch, heads, time, size] as [batch, time, heads · size]."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def shared(x: Value, heads: int) -> Value:
    """Each key or value head repeated for the query heads that share it."""
    return x if x.shape[1] == heads else np.repeat(x, heads // x.shape[1], axis=1)


def guarded_softmax(scores: Value) -> Value:
    """A row of nothing but -inf gives zeros, not NaN."""
    closed = np.isneginf(scores).all(-1, keepdims=True)
    return np.where(closed, 0.0, softmax_of(np.where(closed, 0.0, scores), scores.ndim - 1))


def _cached(call: Call, k: Value, v: Value) -> tuple[Value, Value]:
    past_k, past_v = call.input(4), call.input(5)
    if past_k is None:
        return k, v
    return np.concatenate([past_k, k], axis=2), np.concatenate([past_v, v], axis=2)


def _bias(call: Call, rows: int, columns: int) -> Value:
    """What the masks add to the scores: -inf at a closed place. [batch or 1, heads or 1, rows, columns]."""
    mask, past, valid = call.input(3), call.input(4), call.input(6)
    bias: Any = np.zeros((1, 1, rows, columns))
    if mask is not None:
        if mask.shape[-1] < columns:
            widths = [(0, 0)] * (mask.ndim - 1) + [(0, columns - mask.shape[-1])]
            mask = np.pad(mask, widths, constant_values=False if mask.dtype == bool else -np.inf)
        bias = bias + (np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask)
    offset: Any = 0 if past is None else past.shape[2]
    keys, queries = np.arange(columns), np.arange(rows)[:, None]
    if valid is not None:
        valid = np.asarray(valid).reshape(-1, 1, 1, 1)
        bias = np.where(keys < valid, bias, -np.inf)
        offset = valid - rows if past is None else offset
    here = queries + offset
    left, right = int(call.attributes.get("left_window_size", -1)), int(call.attributes.get("right_window_size", -1))
    if call.attributes.get("is_causal", 0):
        bias = np.where(keys <= here, bias, -np.inf)
    if left >= 0:
        bias = np.where(keys >= here - left, bias, -np.inf)
    return np.where(keys <= here + right, bias, -np.inf) if right >= 0 else bias


def _stages(call: Call, q: Value, k: Value, v: Value, bias: Value) -> tuple[Value, list[Value]]:
    """The result, and the scores raw, capped, masked and as probabilities."""
    scale = float(call.attributes.get("scale", 0.0)) or 1 / sqrt(q.shape[-1])
    cap = float(call.attributes.get("softcap", 0.0))
    raw = q * scale @ k.swapaxes(-1, -2)
    capped = cap * np.tanh(raw / cap) if cap else raw
    masked = capped + bias
    probabilities = guarded_softmax(masked)
    return probabilities @ v, [raw, capped, masked, probabilities]


def attention(call: Call) -> tuple[Value, ...]:
    """Y, present key and value, and, where asked for, the scores at the stage that qk_matmul_output_mode names."""
    q, k, v = call.inputs[:3]
    packed = q.ndim == 3
    query_heads, key_heads = int(call.attributes.get("q_num_heads", 0)), int(call.attributes.get("kv_num_heads", 0))
    q, k, v = heads_apart(q, query_heads), heads_apart(k, key_heads), heads_apart(v, key_heads)
    k, v = _cached(call, k, v)
    bias = _bias(call, q.shape[2], k.shape[2])
    if call.outputs > 3:
        y, stages = _stages(call, q, shared(k, q.shape[1]), shared(v, q.shape[1]), bias)
        return heads_together(y) if packed else y, k, v, stages[int(call.attributes.get("qk_matmul_output_mode", 0))]
    y = np.zeros((*q.shape[:3], v.shape[3]))
    for b, h in np.ndindex(*q.shape[:2]):  # the scores of all heads at once may fill the memory
        group = h * k.shape[1] // q.shape[1]
        y[b, h], _ = _stages(call, q[b, h], k[b, group], v[b, group], bias[min(b, len(bias) - 1), min(h, bias.shape[1] - 1)])
    return heads_together(y) if packed else y, k, v


def rotated(x: Value, cos: Value, sin: Value, interleaved: bool) -> Value:
    """The first 2 · cos.shape[-1] numbers of the last axis turned pairwise: neighbours if interleaved, else the halves."""
    width = 2 * cos.shape[-1]
    part, rest = x[..., :width], x[..., width:]
    first, second = (part[..., 0::2], part[..., 1::2]) if interleaved else (part[..., : width // 2], part[..., width // 2 :])
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    turned = np.stack([real, imaginary], -1).reshape(part.shape) if interleaved else np.concatenate([real, imaginary], -1)
    return np.concatenate([turned, rest], -1)


def rotary(call: Call) -> tuple[Value, ...]:
    """X [batch, heads, time, size] or [batch, time, heads · size], caches [positions, width / 2] by position_ids or [batch, time, …]."""
    x, cos, sin, positions = call.inputs[0], call.inputs[1], call.inputs[2], call.input(3)
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    y = rotated(
        heads_apart(x, int(call.attributes.get("num_heads", 0))), cos[:, None], sin[:, None], bool(call.attributes.get("interleaved", 0))
    )
    return (y if x.ndim == 4 else heads_together(y),)


def linear_attention(call: Call) -> tuple[Value, ...]:
    """The recurrence of the update rule, one time step after the other; also the last state [batch, heads, key size, value size]."""
    key_heads, query_heads = int(call.attributes["kv_num_heads"]), int(call.attributes["q_num_heads"])
    rule = call.attributes.get("update_rule", "gated_delta")
    q, k, v = (heads_apart(x, n) for x, n in zip(call.inputs[:3], (query_heads, key_heads, key_heads), strict=True))
    scale = float(call.attributes.get("scale", 0.0)) or 1 / sqrt(q.shape[-1])
    state, decay, beta = call.input(3), call.input(4), call.input(5)
    state = np.zeros((k.shape[0], key_heads, k.shape[-1], v.shape[-1])) if state is None else state
    decay = heads_apart(decay, key_heads) if decay is not None and "gated" in rule else None
    beta = heads_apart(beta, beta.shape[-1]) if beta is not None and "delta" in rule else None
    y = np.zeros((*q.shape[:3], v.shape[-1]))
    for t in range(q.shape[2]):
        key, new = k[:, :, t, :, None], v[:, :, t, None, :]
        if decay is not None:
            state = np.exp(decay[:, :, t, :, None]) * state
        if "delta" in rule:
            new = new - (state * key).sum(2, keepdims=True)
            new = new if beta is None else beta[:, :, t, :, None] * new
        state = state + key * new
        y[:, :, t] = scale * (q[:, :, t, None, :] @ shared(state, query_heads))[:, :, 0]
    return heads_together(y), state


KERNELS: Mapping[str, Kernel] = {"Attention": attention, "RotaryEmbedding": rotary, "LinearAttention": linear_attention}

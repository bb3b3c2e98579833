"""Small decoders whose caches or scores are of other forms than keys and values of [batch, heads, rows, width] under a causal mask; random
weights. Any layout of the caches goes with any kind of scores; operators that extend caches by themselves are nets of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper
from small_decoders import Decoder, Writer

SPEC = Decoder(mask_input=False, width=16)
HEADS, GROUPS, WIDTH, HIDDEN = SPEC.heads, SPEC.groups, SPEC.width, SPEC.hidden
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MICROSOFT = "com.microsoft"
LATENT = 12


@dataclass(frozen=True)
class Layout:
    """How keys and values lie in caches."""

    caches: Mapping[str, tuple[int | str, ...]]
    """Their shapes by name; "past" are their rows."""
    read: Callable[[Writer, str], tuple[str, str, str]]
    """From hidden rows to queries, keys [1, heads, width, rows] and values [1, heads, rows, width]."""


Scored = Callable[[Writer, str, str], str]
"""From scores and positions [tokens] to weights of the values."""
Attend = Callable[[Writer, str, str], str]
"""From hidden rows and positions to [1, tokens, HIDDEN]."""


def formed(caches: Mapping[str, tuple[int | str, ...]], attend: Attend, opset: int = 17) -> onnx.ModelProto:
    """input_ids and past.* to logits and present.*."""
    w = Writer()
    name, shape = next(iter(caches.items()))
    past = w("Gather", w("Shape", f"past.{name}"), [shape.index("past")])
    total = w("Add", past, w("Gather", w("Shape", "input_ids"), [1]))
    positions = w("Range", *(w("Squeeze", end, [0]) for end in (past, total)), 1)
    x = w("Gather", w.constant(w.draw.standard_normal((SPEC.vocabulary, HIDDEN)).astype(np.float32)), "input_ids")
    x = w("Add", x, w("MatMul", attend(w, x, positions), w.weight(HIDDEN, HIDDEN)))
    w("MatMul", x, w.weight(HIDDEN, SPEC.vocabulary), name="logits")
    inputs = [helper.make_tensor_value_info("input_ids", INT64, [1, "seq"])]
    inputs += [helper.make_tensor_value_info(f"past.{key}", FLOAT, shape) for key, shape in caches.items()]
    outputs = [helper.make_tensor_value_info("logits", FLOAT, [1, "seq", SPEC.vocabulary])]
    outputs += [
        helper.make_tensor_value_info(f"present.{key}", FLOAT, ["total" if extent == "past" else extent for extent in shape])
        for key, shape in caches.items()
    ]
    graph = helper.make_graph(w.nodes, "decoder", inputs, outputs, w.constants)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    return model


def laid_out(layout: Layout, scored: Scored) -> onnx.ModelProto:
    def attend(w: Writer, x: str, positions: str) -> str:
        q, k, v = layout.read(w, x)
        scores = w("Mul", w("MatMul", q, k), float(WIDTH**-0.5))
        return w("Reshape", _turned(w, w("MatMul", scored(w, scores, positions), v)), [0, 0, HIDDEN])

    return formed(layout.caches, attend)


def _projected(w: Writer, x: str, heads: int = HEADS) -> str:
    """[1, tokens, heads, width]."""
    return w("Reshape", w("MatMul", x, w.weight(HIDDEN, heads * WIDTH)), [0, 0, heads, WIDTH])


def _turned(w: Writer, x: str, order: tuple[int, ...] = (0, 2, 1, 3)) -> str:
    return w("Transpose", x, perm=order)


def _three(w: Writer, x: str) -> tuple[str, str, str]:
    q, k, v = (_turned(w, _projected(w, x)) for _ in range(3))
    return q, k, v


def _joined(w: Writer, name: str, new: str, axis: int) -> str:
    return w("Concat", f"past.{name}", new, axis=axis, name=f"present.{name}")


def heads_first(w: Writer, x: str) -> tuple[str, str, str]:
    q, k, v = _three(w, x)
    return q, _turned(w, _joined(w, "k", k, 2), (0, 1, 3, 2)), _joined(w, "v", v, 2)


def rows_first(w: Writer, x: str) -> tuple[str, str, str]:
    q, k, v = (_projected(w, x) for _ in range(3))
    return _turned(w, q), _turned(w, _joined(w, "k", k, 1), (0, 2, 3, 1)), _turned(w, _joined(w, "v", v, 1))


def keys_turned(w: Writer, x: str) -> tuple[str, str, str]:
    q, k, v = _three(w, x)
    return q, _joined(w, "k", _turned(w, k, (0, 1, 3, 2)), 3), _joined(w, "v", v, 2)


def side_by_side(w: Writer, x: str) -> tuple[str, str, str]:
    q, k, v = _three(w, x)
    pasts = w("Gather", "past.kv", 0, axis=0), w("Squeeze", w("Slice", "past.kv", [1], [2], [0]), [0])
    both = [w("Concat", past, new, axis=2) for past, new in zip(pasts, (k, v), strict=True)]
    w("Concat", *(w("Unsqueeze", one, [0]) for one in both), axis=0, name="present.kv")
    return q, _turned(w, both[0], (0, 1, 3, 2)), both[1]


def in_one_row(w: Writer, x: str) -> tuple[str, str, str]:
    q, rows = _turned(w, _projected(w, x)), _joined(w, "kv", w("MatMul", x, w.weight(HIDDEN, 2 * WIDTH)), 1)
    k, v = (w("Unsqueeze", w("Slice", rows, [begin], [begin + WIDTH], [2]), [1]) for begin in (0, WIDTH))
    return q, _turned(w, k, (0, 1, 3, 2)), v


def computed(w: Writer, x: str) -> tuple[str, str, str]:
    q, rows = _turned(w, _projected(w, x)), _joined(w, "c", w("MatMul", x, w.weight(HIDDEN, LATENT)), 1)
    k, v = (w("Reshape", w("MatMul", rows, w.weight(LATENT, HIDDEN)), [0, -1, HEADS, WIDTH]) for _ in range(2))
    return q, _turned(w, k, (0, 2, 3, 1)), _turned(w, v)


def _distance(w: Writer, positions: str) -> str:
    """Of tokens from what they see, [tokens, total]; negative for what is behind them."""
    total = w("Add", w("ReduceMax", positions, keepdims=0), 1)
    return w("Sub", w("Unsqueeze", positions, [1]), w("Range", 0, total, 1))


def causal(w: Writer, scores: str, positions: str) -> str:
    closed = w("Where", w("GreaterOrEqual", _distance(w, positions), 0), 0.0, -1e9)
    return w("Softmax", w("Add", scores, closed), axis=-1)


def _slopes() -> np.ndarray:
    return (2.0 ** -np.arange(1, HEADS + 1)).reshape(1, HEADS, 1, 1).astype(np.float32)


def by_column(w: Writer, scores: str, positions: str) -> str:
    columns = w("Range", 0, w("Add", w("ReduceMax", positions, keepdims=0), 1), 1)
    return causal(w, w("Add", scores, w("Mul", w("Cast", columns, to=FLOAT), _slopes())), positions)


def by_distance(w: Writer, scores: str, positions: str) -> str:
    bias = w("Mul", w("Cast", w("Neg", _distance(w, positions)), to=FLOAT), _slopes())
    return causal(w, w("Add", scores, bias), positions)


def by_bucket(w: Writer, scores: str, positions: str) -> str:
    bucket = w("Min", w("Max", _distance(w, positions), [0]), [7])
    bias = w("Unsqueeze", _turned(w, w("Gather", w.weight(8, HEADS), bucket), (2, 0, 1)), [0])
    return causal(w, w("Add", scores, bias), positions)


def filled(w: Writer, scores: str, positions: str) -> str:
    return w("Softmax", w("Where", w("Less", _distance(w, positions), 0), -1e9, scores), axis=-1)


def capped(w: Writer, scores: str, positions: str) -> str:
    return by_distance(w, w("Mul", w("Tanh", w("Div", scores, 2.0)), 2.0), positions)


def guarded(w: Writer, scores: str, positions: str) -> str:
    weights = causal(w, scores, positions)
    return w("Where", w("IsNaN", weights), 0.0, weights)


def from_the_last(w: Writer, scores: str, positions: str) -> str:
    last = w("ReduceMax", positions, keepdims=1)
    columns = w("Sub", w("Range", 0, w("Add", w("Squeeze", last, [0]), 1), 1), last)
    return causal(w, w("Add", scores, w("Mul", w("Cast", columns, to=FLOAT), _slopes())), positions)


def with_sinks(w: Writer, scores: str, positions: str) -> str:
    closed = w("Where", w("GreaterOrEqual", _distance(w, positions), 0), 0.0, -1e9)
    shape = w("Concat", [1, HEADS], w("Shape", positions), [1], axis=0)
    sinks = w("Expand", w.constant(w.draw.standard_normal((1, HEADS, 1, 1)).astype(np.float32)), shape)
    weights = w("Softmax", w("Concat", w("Add", scores, closed), sinks, axis=-1), axis=-1)
    return w("Slice", weights, [0], [-1], [3])


def grouped(w: Writer, x: str, positions: str, **attributes: float) -> str:
    """onnxruntime's operator, which turns queries and keys, as its model builder and many exports have it."""
    packed = w("MatMul", x, w.weight(HIDDEN, (HEADS + 2 * GROUPS) * WIDTH))
    total = w("Cast", w("Add", w("ReduceMax", positions, keepdims=1), 1), to=TensorProto.INT32)
    last = w("Sub", total, w.constant(np.array([1], np.int32)))
    angles = np.arange(256)[:, None] * 10.0 ** -np.linspace(0, 2, WIDTH // 2)[None]
    inputs = [packed, "", "", "past.k", "past.v", last, w("Squeeze", total, [0]), w.constant(np.cos(angles)), w.constant(np.sin(angles))]
    heads = {"num_heads": HEADS, "kv_num_heads": GROUPS, "do_rotary": 1}
    return _extending(w, "GroupQueryAttention", inputs, domain=MICROSOFT, **heads, **attributes)


def windowed(w: Writer, x: str, positions: str) -> str:
    return grouped(w, x, positions, local_window_size=5)


def with_scores_of_no_key(w: Writer, x: str, positions: str) -> str:
    """As onnxruntime-genai's builder has gpt-oss."""
    made = grouped(w, x, positions, local_window_size=5)
    sinks = w.constant(w.draw.standard_normal(HEADS).astype(np.float32))
    w.nodes[-1].input.extend(["", "", sinks])
    return made


def smoothed(w: Writer, x: str, positions: str) -> str:
    return grouped(w, x, positions, smooth_softmax=1, softcap=2.0)


def many_heads(w: Writer, x: str, positions: str) -> str:
    q, k, v = (w("MatMul", x, w.weight(HIDDEN, HIDDEN)) for _ in range(3))
    closed = w("Unsqueeze", w("Where", w("GreaterOrEqual", _distance(w, positions), 0), 0.0, -1e9), [0, 1])
    inputs = [q, k, v, w.weight(3 * HIDDEN), "", closed, "past.k", "past.v"]
    return _extending(w, "MultiHeadAttention", inputs, domain=MICROSOFT, num_heads=HEADS)


def standard(w: Writer, x: str, positions: str) -> str:
    q, k, v = (w("MatMul", x, w.weight(HIDDEN, heads * WIDTH)) for heads in (HEADS, GROUPS, GROUPS))
    inputs = [q, k, v, w("GreaterOrEqual", _distance(w, positions), 0), "past.k", "past.v"]
    return _extending(w, "Attention", inputs, q_num_heads=HEADS, kv_num_heads=GROUPS)


def _extending(w: Writer, operator: str, inputs: list[str], **attributes: object) -> str:
    w.nodes.append(helper.make_node(operator, inputs, ["attended", "present.k", "present.v"], name=operator, **attributes))
    return "attended"


def _pair(heads: int = HEADS) -> Mapping[str, tuple[int | str, ...]]:
    return {name: (1, heads, "past", WIDTH) for name in "kv"}


PAIR = _pair()
"""Keys and values of every head."""
LAYOUTS = {
    "heads before rows": Layout(_pair(), heads_first),
    "rows before heads": Layout({name: (1, "past", HEADS, WIDTH) for name in "kv"}, rows_first),
    "keys turned": Layout({"k": (1, HEADS, WIDTH, "past"), "v": (1, HEADS, "past", WIDTH)}, keys_turned),
    "keys beside values": Layout({"kv": (2, 1, HEADS, "past", WIDTH)}, side_by_side),
    "both in one row": Layout({"kv": (1, "past", 2 * WIDTH)}, in_one_row),
    "what both are computed from": Layout({"c": (1, "past", LATENT)}, computed),
}
SCORES: Mapping[str, Scored] = {
    "causal": causal,
    "causal, by Where": filled,
    "causal, 0 for NaN": guarded,
    "a number for each key": by_column,
    "a number for each key, from the last back": from_the_last,
    "a number for each distance": by_distance,
    "a learned number for each distance": by_bucket,
    "capped": capped,
    "a score of no key": with_sinks,
}
"""As in Llama; in GPT-2; as PyTorch's exporters write scaled_dot_product_attention; BLOOM; MPT; Falcon; T5; Gemma2; gpt-oss."""
EXTENDING = {
    "GroupQueryAttention": lambda: formed(_pair(GROUPS), grouped),
    "GroupQueryAttention with a window": lambda: formed(_pair(GROUPS), windowed),
    "GroupQueryAttention with scores of no key": lambda: formed(_pair(GROUPS), with_scores_of_no_key),
    "GroupQueryAttention, smoothed and capped": lambda: formed(_pair(GROUPS), smoothed),
    "MultiHeadAttention": lambda: formed(_pair(), many_heads),
    "Attention": lambda: formed(_pair(GROUPS), standard, opset=23),
}
"""Operators that have their caches as operands."""

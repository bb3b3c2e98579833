"""Small decoders that have, beside keys and values, states that every step replaces: what a convolution has seen last, and the state of a
GRU, as LFM2, Jamba and Granite 4 have them; random weights."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from decoder_forms import HIDDEN, LAYOUTS, PAIR, WIDTH, causal, formed
from small_decoders import Writer

SEEN = 2
FAR = 2**63 - 1
SHAPES: dict[str, tuple[int | str, ...]] = {"conv": (1, HIDDEN, SEEN), "gru": (1, 1, HIDDEN)}


def hybrid(states: Collection[str] = SHAPES) -> onnx.ModelProto:
    """input_ids, past.k, past.v and a past of each state to logits and presents."""

    def attend(w: Writer, x: str, positions: str) -> str:
        q, k, v = LAYOUTS["heads before rows"].read(w, x)
        weights = causal(w, w("Mul", w("MatMul", q, k), float(WIDTH**-0.5)), positions)
        made = w("Reshape", w("Transpose", w("MatMul", weights, v), perm=(0, 2, 1, 3)), [0, 0, HIDDEN])
        for name in states:
            made = w("Add", made, {"conv": _convolved, "gru": _remembered}[name](w, made))
        return made

    return formed({**PAIR, **{name: SHAPES[name] for name in states}}, attend)


def _convolved(w: Writer, x: str) -> str:
    seen = w("Concat", "past.conv", w("Transpose", x, perm=(0, 2, 1)), axis=2)
    w("Slice", seen, [-SEEN], [FAR], [2], name="present.conv")
    return w("Transpose", w("Conv", seen, w.weight(HIDDEN, 1, SEEN + 1), group=HIDDEN), perm=(0, 2, 1))


def _remembered(w: Writer, x: str) -> str:
    weights = [w.constant((w.draw.standard_normal((1, 3 * HIDDEN, HIDDEN)) / HIDDEN**0.5).astype(np.float32)) for _ in range(2)]
    steps = w("Transpose", x, perm=(1, 0, 2))
    inputs = [steps, *weights, "", "", "past.gru"]
    w.nodes.append(onnx.helper.make_node("GRU", inputs, ["heard", "present.gru"], name="GRU", hidden_size=HIDDEN))
    return w("Transpose", w("Squeeze", "heard", [1]), perm=(1, 0, 2))

"""Quantised values that are quantised again, as they are or behind a Gelu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from .entry import Entry
from .sketch import Sketch

SCALES = (0.03125, 0.05, 0.1)


def grid(s: Sketch) -> tuple[str, ...]:
    """Scale and zero point, which says whether the integers have a sign."""
    zero = np.array(s.integer(0, 20), s.pick(np.int8, np.uint8))
    return s.constant(np.array(s.pick(*SCALES), s.dtype)), s.constant(zero)


def quantised(s: Sketch, tensor: str, *onto: str) -> str:
    name = str(s.op("QuantizeLinear", tensor, *onto))
    s.hidden.add(name)
    return name


def again(s: Sketch) -> str:
    shape, onto = s.shape(), grid(s)
    inner = s.op("DequantizeLinear", quantised(s, s.input(shape, free=range(len(shape))), *onto), *onto)
    same = onto if s.flip() else [s.constant(_array(s, name)) for name in onto]
    return str(s.op("DequantizeLinear", quantised(s, inner, *same), *same))


def _array(s: Sketch, name: str) -> np.ndarray:
    return np.asarray(next(onnx.numpy_helper.to_array(tensor) for tensor in s.constants if tensor.name == name))


def through_gelu(s: Sketch) -> str:
    shape, onto, after = s.shape(), grid(s), grid(s)
    inner = s.op("DequantizeLinear", quantised(s, s.input(shape, free=range(len(shape))), *onto), *onto)
    mode = {"approximate": s.pick("none", "tanh")} if s.flip() else {}
    return str(s.op("DequantizeLinear", quantised(s, s.once(s.op("Gelu", inner, **mode)), *after), *after))


QUANTISED: Mapping[str, Entry] = {
    "remove_requantize": Entry(spell=again, dtypes=("float16", "float32"), opsets=(21, 24)),
    "gelu_table": Entry(spell=through_gelu, dtypes=("float32",), opsets=(21, 24)),
}

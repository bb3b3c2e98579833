"""Quantised values that are quantised again, as they are or behind a Gelu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from .entry import Entry
from .sketch import Sketch

SCALES = (0.03125, 0.05, 0.1)


def grid(s: Sketch) -> tuple[str, ...]:
    """Scale and zero point, which says whether the integers have a sign."""
    zero = np.array(s.integer(0, 20), s.pick(np.int8, np.uint8))
    return s.constant(np.array(s.pick(*SCALES), s.dtype)), s.constant(zero)


def quantised(s: Sketch, tensor: str, *onto: str, **axis: int) -> str:
    name = str(s.op("QuantizeLinear", tensor, *onto, **axis))
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


def axes(s: Sketch, shape: tuple[int, ...], kind: type[np.integer[Any]]) -> tuple[list[str], dict[str, int]]:
    """Scale, perhaps with a zero point, for the whole tensor or along one axis (by its number or from the end), and that axis."""
    along = s.integer(0, len(shape) - 1) if shape and s.flip() else None
    count = () if along is None else (shape[along],)
    scale = s.constant(np.random.default_rng(s.integer(0, 9)).uniform(0.02, 0.1, count).astype(s.dtype))
    zero = [s.constant(np.full(count, s.integer(0, 20), kind))] if kind != np.uint8 or s.flip() else []
    return [scale, *zero], {} if along is None or (along == 1 and s.flip()) else {"axis": s.pick(along, along - len(shape))}


def stored(s: Sketch) -> tuple[str, str]:
    """A dequantised constant, and what an input times it is: the constant alone depends on nothing."""
    shape, kind = s.shape(1, 4), s.pick(np.int8, np.uint8, *([np.int16, np.uint16] if s.dtype == "float32" else []))
    onto, axis = axes(s, shape, kind)
    limits = np.iinfo(kind)
    values = np.random.default_rng(s.integer(0, 9)).integers(limits.min, limits.max + 1, shape).astype(kind)
    weight = str(s.op("DequantizeLinear", s.constant(values), *onto, **axis))
    return str(s.op("Mul", s.input(shape), weight)), weight


def convolved(s: Sketch) -> tuple[str, str]:
    """A convolution in floats whose weight is a dequantised constant."""
    kind = s.pick(np.int8, np.uint8)
    shape = (s.integer(1, 3), 2, s.pick(1, 3), s.pick(1, 3))
    onto, axis = axes(s, shape, kind)
    limits = np.iinfo(kind)
    values = np.random.default_rng(s.integer(0, 9)).integers(limits.min, limits.max + 1, shape).astype(kind)
    weight = str(s.op("DequantizeLinear", s.constant(values), *onto, **axis))
    return str(s.op("Conv", s.input((1, 2, 4, 4), free=(0,)), weight)), weight


def rounded_to_grid(s: Sketch) -> str:
    """Some of the values lie beyond the grid."""
    shape, kind = s.shape(0, 4), s.pick(np.int8, np.uint8, np.int16, np.uint16)
    onto, axis = axes(s, shape, kind)
    inner = quantised(s, s.input(shape, free=range(len(shape))), *onto, **axis)
    same = onto if s.flip() else [s.constant(_array(s, name)) for name in onto]
    return str(s.op("DequantizeLinear", inner, *same, **axis))


QUANTISED: Mapping[str, Entry] = {
    "remove_requantize": Entry(spell=again, dtypes=("float16", "float32"), opsets=(21, 24)),
    "gelu_table": Entry(spell=through_gelu, dtypes=("float32",), opsets=(21, 24)),
    "dequantize_weight": Entry(spell=stored, dtypes=("float16", "float32"), opsets=(21, 24), may_end=False),
    "plain_weights": Entry(spell=convolved, dtypes=("float32",), opsets=(21, 24), may_end=False),
    "quantize_in_floats": Entry(spell=rounded_to_grid, dtypes=("float32",), opsets=(21, 24)),
}

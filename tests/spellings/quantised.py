"""Quantised values that are quantised again, as they are or behind a Gelu."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
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


def in_blocks(s: Sketch) -> str:
    """A product with a matrix of 4 bits, of which the last block may be shorter; as a Gemm also with the matrix or the operand
    turned, scaled, and with a bias."""
    block, n, gemm = s.pick(16, 32), s.integer(2, 5), s.flip()
    k, random, turned = block * s.integer(1, 2) + s.pick(0, 4), np.random.default_rng(s.integer(0, 9)), gemm and s.flip()
    blocks = -(-k // block)
    scale = random.uniform(-0.1, 0.1, (blocks, n)).astype(s.dtype)
    low, kind = s.pick((-8, ml_dtypes.int4), (0, ml_dtypes.uint4))
    values, zeros = (random.integers(low, low + 16, (rows, n)).astype(kind) for rows in (k, blocks))
    given = [s.constant(array.T if turned else array) for array in (values, scale, *([zeros] if s.flip() else []))]
    weight = s.once(s.op("DequantizeLinear", *given, axis=s.pick(1, -1) if turned else s.pick(0, -2), block_size=block))
    if not gemm:
        return str(s.op("MatMul", s.input((*s.shape(0, 2), 2, k)), weight))
    shape = s.pick((n,), (1, n), (1,), (), (2, 1), (2, n))
    bias = [s.constant(random.normal(size=shape).astype(s.dtype)) if s.flip() else s.input(shape)] if s.flip() else []
    across = s.flip()
    scaled = {name: s.pick(0.5, -2.0, 0.0) for name in ("alpha", "beta") if s.flip()}
    attributes = {**({"transB": 1} if turned else {}), **({"transA": 1} if across else {}), **scaled}
    return str(s.op("Gemm", s.input((k, 2) if across else (2, k)), weight, *bias, **attributes))


def quantised_on_the_run(s: Sketch) -> str:
    """A product of what DynamicQuantizeLinear makes of an input, scaled back, the factors in any order."""
    convolved = s.flip()
    n, k, m = s.integer(1, 3), s.integer(1, 4), s.integer(1, 3)
    x = s.input((n, k, 5, 4) if convolved else (*s.shape(0, 2), n, k))
    integers, scale, zero = s.op("DynamicQuantizeLinear", x, outputs=3)
    kind, columns = s.pick(np.int8, np.uint8), not convolved and s.flip()
    values = np.random.default_rng(s.integer(0, 9)).integers(0, 100, (m, k, 3, 3) if convolved else (k, m))
    count = (m,) if columns else s.pick((), (1,))
    zeros = [s.constant(np.full(count, s.integer(0, 20), kind))] if columns or s.flip() else []
    sums = s.op("ConvInteger" if convolved else "MatMulInteger", integers, s.constant(values.astype(kind)), zero, *zeros)
    steps = s.constant(np.random.default_rng(s.integer(0, 9)).uniform(10, 20, count).astype(s.dtype))
    both = str(s.op("Mul", *((scale, steps) if s.flip() else (steps, scale))))
    s.hidden.update((integers, zero, sums))
    real = s.once(str(s.op("Cast", s.once(sums), to=1)))
    return str(s.op("Mul", *((real, both) if s.flip() else (both, real))))


def gathered_table(s: Sketch) -> tuple[str, str]:
    """Rows of a table in integers, dequantised, and what an input times them is."""
    shape, kind = (s.integer(2, 5), s.integer(1, 3)), s.pick(np.int8, np.uint8)
    values = np.random.default_rng(s.integer(0, 9)).integers(0, 120, shape).astype(kind)
    rows = s.ints(*(s.integer(-shape[0], shape[0] - 1) for _ in range(3)))
    gathered = s.once(str(s.op("Gather", s.constant(values), rows, axis=0)))
    s.hidden.add(gathered)
    found = str(s.op("DequantizeLinear", gathered, *grid_of(s, kind)))
    return str(s.op("Mul", s.input((3, shape[1])), found)), found


def masked_with_its_fill(s: Sketch) -> tuple[str, str]:
    """Attention as onnxruntime's quantiser leaves it: scores and mask on the grid of the mask's fill."""
    rows, columns = s.integer(1, 3), s.integer(2, 4)
    scores = grid_of(s, s.pick(np.int8, np.uint8))
    x = s.op("DequantizeLinear", quantised(s, s.input((rows, columns)), *scores), *scores)
    fill = s.pick(3.4028235e38, 3.0e38, 1e9)
    coarse = s.constant(np.array(fill / 255, np.float32)), s.constant(np.array(255, np.uint8))
    seen = s.constant(np.tril(np.ones((rows, columns), bool)))
    masked = s.op("Where", seen, s.constant(np.array(0, np.float32)), s.constant(np.array(-fill, np.float32)))
    m = s.op("DequantizeLinear", quantised(s, masked, *coarse), *coarse)
    both = s.op("Add", *((x, m) if s.flip() else (m, x)))
    found = str(s.op("Softmax", s.op("DequantizeLinear", quantised(s, both, *coarse), *coarse), axis=-1))
    return str(s.op("Mul", s.input((rows, columns)), found)), found


def scaled_in_another_sign(s: Sketch) -> tuple[str, str]:
    """A LayerNormalization of bytes whose scale is in bytes of the other sign, its zero point 0 or left out where that is 0."""
    rows, width = s.integer(1, 3), s.integer(2, 5)
    kind, other = s.pick((np.uint8, np.int8), (np.int8, np.uint8))
    step = grid_of(s, kind)
    x = s.op("DequantizeLinear", quantised(s, s.input((rows, width)), *step), *step)
    weights = np.random.default_rng(s.integer(0, 9)).integers(np.iinfo(other).min, np.iinfo(other).max + 1, width).astype(other)
    scale = s.op("DequantizeLinear", s.constant(weights), *grid_of(s, other)[: s.integer(1, 2)])
    s.hidden.add(str(scale))
    found = str(s.op("LayerNormalization", x, scale, axis=-1))
    return str(s.op("Mul", s.input((rows, width)), found)), found


def grid_of(s: Sketch, kind: type[np.integer[Any]]) -> tuple[str, ...]:
    return s.constant(np.array(s.pick(*SCALES), s.dtype)), s.constant(np.array(s.integer(0, 20), kind))


QUANTISED: Mapping[str, Entry] = {
    "remove_requantize": Entry(spell=again, dtypes=("float16", "float32"), opsets=(21, 24)),
    "gelu_table": Entry(spell=through_gelu, dtypes=("float32",), opsets=(21, 24)),
    "dequantize_weight": Entry(spell=stored, dtypes=("float16", "float32"), opsets=(21, 24), may_end=False),
    "matmul_nbits": Entry(spell=in_blocks, dtypes=("float32",), opsets=(21, 24), roundings=64),
    "plain_weights": Entry(spell=convolved, dtypes=("float32",), opsets=(21, 24), may_end=False),
    "quantize_in_floats": Entry(spell=rounded_to_grid, dtypes=("float32",), opsets=(21, 24)),
    # in each term of the sums off by half a step of what DynamicQuantizeLinear rounds to
    "keep_in_floats": Entry(spell=quantised_on_the_run, dtypes=("float32",), opsets=(18, 21, 24), roundings=1 << 17),
    "coarse_masks": Entry(spell=masked_with_its_fill, dtypes=("float32",), opsets=(18, 21, 24)),
    "sign_of_scale": Entry(spell=scaled_in_another_sign, dtypes=("float32",), opsets=(18, 21, 24)),
    "dequantize_table": Entry(spell=gathered_table, dtypes=("float16", "float32"), opsets=(21, 24), may_end=False),
}

"""Patterns that rules match, every operand in any shape that broadcasts: the shapes that rules expect, and those that they do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st

from .entry import Spelling
from .sketch import Sketch

EXTENTS = (1, 2, 3)
"""Few, so that axes often have the same extent: then an operand along the wrong one still fits."""


def operand(s: Sketch, shape: tuple[int, ...], wider: bool = True) -> str:
    """A constant or an input that broadcasts with `shape`; with `wider`, the result may have more axes, or more where an extent is 1."""
    kept = list(s.within(shape))
    if wider and s.integer(0, 4) == 0:
        kept = [1] * (len(shape) - len(kept)) + kept
        place = s.integer(0, len(kept))
        if place == len(kept):
            kept = [s.pick(1, 2), *kept]
        elif shape[place] == 1:
            kept[place] = s.pick(*EXTENTS)
    return s.floats(kept, 0.5, 2.0) if s.integer(0, 3) else s.input(tuple(kept))


def image(s: Sketch, low: int = 3, high: int = 4) -> tuple[str, tuple[int, ...]]:
    shape = s.shape(low, high)
    return s.input(shape), shape


def joined(s: Sketch, kind: str, tensor: str, shape: tuple[int, ...], wider: bool = True) -> str:
    """The tensor and an operand, in either order."""
    operands = [tensor, operand(s, shape, wider)]
    return str(s.op(kind, *(s.draw(st.permutations(operands)) if kind in ("Add", "Mul") else operands)))


def several(s: Sketch, kinds: tuple[str, ...], tensor: str, shape: tuple[int, ...]) -> str:
    """One to three operators in a row; only the last operand may make the result larger."""
    for _ in range(s.integer(0, 2)):
        tensor = joined(s, s.pick(*kinds), tensor, shape, False)
    return joined(s, s.pick(*kinds), tensor, shape)


def layer_normalization(s: Sketch) -> str:
    """The operator, of a sum or of rows split into axes, with scale and bias of different shapes."""
    x, shape = image(s)
    if s.flip():
        x = s.op("Add", x, s.input(shape))
    else:
        x = s.op("Reshape", s.input((int(np.prod(shape[:-1])), shape[-1])), s.ints(*shape))
    kind = s.pick("LayerNormalization", "LayerNormalization", *(["RMSNormalization"] if s.opset >= 23 else []))
    axis = s.pick(-1, len(shape) - 1, -2)
    weights = [operand(s, shape, False) for _ in range(1 if kind.startswith("RMS") else s.integer(1, 2))]
    return str(s.op(kind, x, *weights, axis=axis, epsilon=0.25))


def written_norm(s: Sketch) -> str:
    """Layer, instance and RMS normalisation in primitives, over any axes."""
    x, shape = image(s)
    axes = s.ints(*s.pick([-1], [-2], [-2, -1], list(range(2, len(shape)))))
    d = x if s.integer(0, 2) == 0 else s.op("Sub", x, s.op("ReduceMean", x, axes))
    spread = s.op("Sqrt", s.op("Add", s.op("ReduceMean", s.op("Mul", d, d), axes), s.number(s.pick(0.25, 0.5 if 1 in shape else 0.0), 4)))
    result = s.op("Div", d, spread)
    kinds = s.pick((), ("Mul",), ("Add",), ("Mul", "Add"), ("Mul", "Mul", "Add", "Add"))
    for kind in kinds[:-1]:
        result = joined(s, kind, result, shape, False)
    return joined(s, kinds[-1], result, shape) if kinds else str(result)


def group_norm(s: Sketch) -> str:
    groups, each, rest = s.integer(1, 2), s.integer(1, 2), s.shape(1, 2)
    shape = (s.integer(1, 3), groups * each, *rest)
    split = s.op("Reshape", s.input(shape), s.ints(0, groups, -1))
    ones = [s.constant(np.full(groups, value, s.dtype)) for value in (1, 0)]
    back = s.op("Reshape", s.op("InstanceNormalization", split, *ones, epsilon=0.25), s.ints(*shape))
    return joined(s, "Add", joined(s, "Mul", back, shape, False), shape)


def after_convolution(s: Sketch) -> str:
    """Factors and offsets, and a BatchNormalization, behind a convolution or what transposes it."""
    channels, dims = s.integer(1, 3), s.integer(1, 2)
    kind, size = s.pick("Conv", "ConvTranspose"), s.integer(1, 2)
    weight = s.floats((*((channels, 2) if kind == "Conv" else (2, channels)), *[size] * dims))
    bias = [s.floats((channels,))] if s.flip() else []
    batch, extent = s.integer(1, 3), s.integer(2, 3)
    result = s.op(kind, s.input((batch, 2, *[extent] * dims)), weight, *bias)
    out = extent + (1 - size if kind == "Conv" else size - 1)
    shape = (batch, channels, *[out] * dims)
    if s.integer(0, 2) == 0:
        order = s.draw(st.permutations(range(len(shape))))
        result, shape = s.op("Transpose", result, perm=order), tuple(shape[k] for k in order)
    return several(s, ("Add", "Sub", "Mul", "Div"), result, shape)


def after_gemm(s: Sketch) -> str:
    """C of any shape, then factors, offsets, a BatchNormalization, or a Reshape before them."""
    m, k, n = s.pick(1, 2, 3), s.integer(1, 3), s.integer(1, 3)
    scales = {name: s.pick(0.5, 2.0, 0.0) for name in ("alpha", "beta") if s.integer(0, 2) == 0}
    offset = [operand(s, (m, n), False)] if s.flip() else []
    turned = int(s.flip())
    result = s.op("Gemm", s.input((m, k)), s.floats((n, k) if turned else (k, n)), *offset, transB=turned, **scales)
    shape: tuple[int, ...] = (m, n)
    if s.integer(0, 2) == 0:
        return str(s.op("BatchNormalization", result, *(s.floats((n,), 0.5, 2.0) for _ in range(4))))
    if s.integer(0, 2) == 0:
        shape = s.pick((1, m, n), (m, 1, n), (n, m), (m * n,))
        result = s.op("Reshape", result, s.ints(*shape))
    return several(s, ("Add", "Sub", "Mul", "Div"), result, shape)


def after_matmul(s: Sketch) -> str:
    shape, columns = s.shape(1, 4), s.integer(1, 3)
    result, after = s.op("MatMul", s.input(shape), s.floats((shape[-1], columns))), (*shape[:-1], columns)
    return several(s, ("Add", "Mul", "Div", "Add"), result, after)


def rectified(s: Sketch) -> str:
    """PRelu, as an operator and spelled out."""
    x, shape = image(s, 1)
    if s.integer(0, 2) == 0:
        return str(s.op("PRelu", x, operand(s, shape, False)))
    below = joined(s, "Mul", s.op("Relu", s.op("Neg", x)), shape)
    return str(s.op("Sub", s.op("Relu", x), below))


def on_rows(s: Sketch) -> str:
    """Functions of two operands where rows are split into axes."""
    shape = s.shape(3, 4)
    x = s.op("Reshape", s.input((int(np.prod(shape[:-1])), shape[-1])), s.ints(*shape))
    return joined(s, s.pick("Add", "Sub", "Mul", "Div", "Max", "Min"), x, shape)


def formula(s: Sketch) -> str:
    """Activations with each number of its own shape, which may have more axes than x."""
    x, shape = image(s, 1, 3)

    def number(value: float) -> str:
        return s.number(value, len(shape) + 1)

    match s.pick("gelu", "swish", "hardswish", "leaky", "lp"):
        case "gelu":
            half = s.op("Add", s.op("Erf", s.op("Div", x, number(2**0.5))), number(1.0))
            return str(s.op("Mul", s.op("Mul", x, half), number(0.5)))
        case "swish":
            return str(s.op("Mul", x, s.op("Sigmoid", s.op("Mul", x, number(1.5)))))
        case "hardswish":
            inner = s.op("Clip", s.op("Add", x, number(3.0)), s.number(0.0), s.number(6.0))
            return str(s.op("Mul", x, s.op("Div", inner, number(6.0))))
        case "leaky":
            return str(s.op("Add", s.op("Relu", x), s.op("Mul", s.op("Min", x, number(0.0)), number(0.3))))
    return str(s.op("Div", x, s.op("Sqrt", s.op("ReduceSum", s.op("Mul", x, x), s.ints(s.pick(-1, 0))))))


def extremes(s: Sketch) -> str:
    """Bounds and exponents, of any shape, equal, crossed, infinite or no number."""
    x, shape = image(s, 1, 3)
    values = (0.0, -0.0, 0.5, -0.5, 6.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-45)
    match s.pick("Clip", "Max", "Min", "Pow", "Div", "Mul"):
        case "Clip":
            ends = [s.number(s.pick(*values[:7])) if s.integer(0, 3) else "" for _ in range(2)]
            return str(s.op("Clip", x, *ends))
        case "Pow":
            return str(s.op("Pow", s.positive(x), s.number(s.pick(2.0, 3.0, 0.5, -0.5, 1.0, 0.0, -1.0), len(shape) + 1)))
        case kind:
            other = s.number(s.pick(*values), len(shape) + 1)
            return str(s.op(kind, *([x, other] if s.flip() or kind == "Div" else [other, x])))


def attention(s: Sketch) -> str:
    """Factors and constant masks of any shape; the masks close anything, whole rows too."""
    batch, heads, rows, keys, width = (s.integer(1, 3) for _ in range(5))
    q, k, v = (s.op("Tanh", s.input((batch, heads, n, width))) for n in (rows, keys, keys))
    shape = (batch, heads, rows, keys)
    q = joined(s, "Mul", q, (batch, heads, rows, width), False) if s.flip() else s.op("Mul", q, s.number(0.5, 5))
    scores = s.op("MatMul", q, s.op("Transpose", k, perm=[0, 1, 3, 2]))
    for _ in range(s.integer(0, 2)):
        closed = np.random.default_rng(s.integer(0, 99)).random(s.within(shape)) < s.pick(0.3, 0.7, 1.0)
        fill = s.pick(-np.inf, -3.4e38, -1e9, -2e4, -1e4, -3.0)
        if s.flip():
            scores = s.op("Add", scores, s.constant(np.where(closed, fill, 0).astype(s.dtype)))
        elif s.flip():
            scores = s.op("Where", s.constant(closed), s.constant(np.array(fill, s.dtype)), scores)
        else:
            scores = s.op("Where", s.constant(~closed), scores, s.constant(np.array(fill, s.dtype)))
    return str(s.op("MatMul", s.op("Softmax", scores, axis=-1), v))


def attention_operator(s: Sketch) -> str:
    """The operator with a constant mask that closes anything."""
    batch, heads, rows, keys, width = (s.integer(1, 3) for _ in range(5))
    q, k, v = (s.input((batch, heads, n, width)) for n in (rows, keys, keys))
    closed = np.random.default_rng(s.integer(0, 99)).random((*s.pick((), (1,), (batch, 1), (batch, heads)), rows, keys)) < s.pick(
        0.3, 0.7, 1.0
    )
    mask = ~closed if s.flip() else np.where(closed, s.pick(-np.inf, -3.4e38, -1e9, -1e4), 0).astype(s.dtype)
    return str(s.op("Attention", q, k, v, s.constant(mask), is_causal=s.pick(0, 1)))


OPERANDS: Mapping[str, Spelling] = {
    f.__name__: f
    for f in (
        layer_normalization, written_norm, group_norm, after_convolution, after_gemm, after_matmul, rectified, on_rows, formula, extremes,
        attention, attention_operator,
    )
}  # fmt: skip

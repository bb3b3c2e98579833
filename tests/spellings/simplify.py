"""What the simplifying and tuning rules take together, in random shapes and orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from hypothesis import strategies as st

from .decompose import signed
from .entry import Entry, Spelling
from .sketch import ELEMENT, Sketch

NHWC = (0, 2, 3, 1)


def nothing(kind: str) -> Spelling:
    """Identity, Dropout without training, a Cast to the same dtype."""

    def spell(s: Sketch) -> str:
        shape = s.shape()
        x = s.input(shape, free=range(len(shape)))
        return str(s.op(kind, x, **({"to": ELEMENT[s.dtype]} if kind == "Cast" else {})))

    return spell


def of_one(s: Sketch) -> str:
    """Split into one piece, or Concat, Sum … of one."""
    shape = s.shape(1, 5)
    x, axis = s.input(shape, free=range(len(shape))), s.pick(*range(len(shape)))
    kind = s.pick("Concat", "Split", "Sum", "Max")
    if kind == "Split":
        return str(s.op(kind, x, s.ints(shape[axis]), axis=axis))
    return str(s.op(kind, x, **({"axis": axis} if kind == "Concat" else {})))


def same_shape(s: Sketch) -> str:
    shape = s.shape(1, 5)
    x = s.input(shape)
    if s.flip():
        return str(s.op("Expand", x, s.ints(*(s.pick(1, extent) for extent in shape))))
    wanted = list(shape)
    hidden = s.integer(0, len(shape) - 1)
    wanted[hidden] = s.pick(0, -1, shape[hidden])
    return str(s.op("Reshape", x, s.ints(*wanted)))


def same_order(s: Sketch) -> str:
    shape = s.shape(1, 5)
    return str(s.op("Transpose", s.input(shape, free=range(len(shape))), perm=range(len(shape))))


def factors(s: Sketch, count: int) -> tuple[int, ...]:
    """A random shape of so many elements."""
    shape: list[int] = []
    while count > 1 and len(shape) < 4:
        divisor = s.pick(*(d for d in range(1, count + 1) if count % d == 0))
        shape.append(divisor)
        count //= divisor
    return (*shape, count)


def shaped(s: Sketch, x: str, shape: tuple[int, ...], kinds: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """One operator that only gives another shape."""
    units = [axis for axis, extent in enumerate(shape) if extent == 1]
    kind = s.pick(*(k for k in kinds if k != "Squeeze" or units))
    match kind:
        case "Reshape":
            wanted = factors(s, prod(shape))
            return s.op("Reshape", x, s.ints(*wanted)), wanted
        case "Flatten":
            axis = s.integer(0, len(shape))
            return s.op("Flatten", x, axis=axis), (prod(shape[:axis]), prod(shape[axis:]))
        case "Squeeze":
            axis = s.pick(*units)
            return s.op("Squeeze", x, s.ints(signed(s, axis, len(shape)))), (*shape[:axis], *shape[axis + 1 :])
    axis = s.integer(0, len(shape))
    return s.op("Unsqueeze", x, s.ints(axis)), (*shape[:axis], 1, *shape[axis:])


SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def reshaped_twice(last: Sequence[str]) -> Spelling:
    def spell(s: Sketch) -> str:
        shape = s.shape(1, 4)
        inner, between = shaped(s, s.input(shape), shape, SHAPING)
        return str(shaped(s, inner, between, last)[0])

    return spell


def reshaped_with_units(s: Sketch) -> str:
    """Ends in Flatten, Squeeze or Unsqueeze of what has a unit axis."""
    shape = (1, *s.shape(1, 3))
    inner, between = shaped(s, s.input(shape), shape, ("Reshape", "Unsqueeze"))
    return str(shaped(s, inner, between, ("Flatten", "Squeeze", "Unsqueeze"))[0])


def undone(s: Sketch) -> str:
    shape = s.shape(1, 4)
    x = s.input(shape)
    if s.flip():
        axis = s.integer(0, len(shape))
        return str(s.op("Squeeze", s.op("Unsqueeze", x, s.ints(axis)), s.ints(axis)))
    return str(s.op("Reshape", shaped(s, x, shape, SHAPING)[0], s.ints(*shape)))


def orders(s: Sketch, rank: int) -> list[int]:
    return list(s.draw(st.permutations(range(rank))))


def transposed(s: Sketch, x: str, rank: int) -> str:
    """Without an order the axes are reversed."""
    return str(s.op("Transpose", x, **({"perm": orders(s, rank)} if s.integer(0, 3) else {})))


def transposed_twice(s: Sketch) -> str:
    shape = s.shape(1, 5)
    return transposed(s, transposed(s, s.input(shape, free=range(len(shape))), len(shape)), len(shape))


def transposed_around(s: Sketch) -> str:
    shape = s.shape(2, 5)
    inner = transposed(s, s.input(shape, free=range(len(shape))), len(shape))
    kind = s.pick("Tanh", "Neg", "Abs", "Sigmoid", "Clip", "Relu", "LeakyRelu")
    ends = [s.number(-1.5), s.number(1.5)] if kind == "Clip" else []
    f = s.once(s.op(kind, inner, *ends, **({"alpha": 0.3} if kind == "LeakyRelu" else {})))
    return transposed(s, f, len(shape))


def linear(s: Sketch) -> tuple[str, int, int]:
    """Conv, ConvTranspose or Gemm, its channels and its rank. onnxruntime's ConvTranspose has single precision, onnx's has no groups."""
    group, each = s.integer(1, 2), s.integer(1, 3)
    channels, kind = group * each, s.pick("Conv", "Gemm", *(["ConvTranspose"] if s.dtype == "float32" else []))
    if kind == "Gemm":
        turned = int(s.flip())
        scales = {"alpha": s.pick(1.0, 2.0)} | ({"beta": 0.5} if s.flip() else {})
        bias = [s.floats(s.pick((channels,), (1, channels), (1,)))] if s.flip() else []
        weight = s.floats((channels, 3) if turned else (3, channels))
        return s.once(s.op("Gemm", s.input((2, 3), free=(0,)), weight, *bias, transB=turned, **scales)), channels, 2
    dims, inner = s.integer(1, 2), 2
    weight = s.floats((*((channels, inner) if kind == "Conv" else (group * inner, each)), *[2] * dims))
    x, bias = s.input((2, group * inner, *[4] * dims), free=(0,)), [s.floats((channels,))] if s.flip() else []
    return s.once(s.op(kind, x, weight, *bias, group=group, strides=[s.integer(1, 2)] * dims)), channels, dims + 2


def normalised(s: Sketch) -> str:
    h, channels, _ = linear(s)
    statistics = [s.floats((channels,), 0.5, 2.0) for _ in range(4)]
    return str(s.op("BatchNormalization", h, *statistics, **({"epsilon": 1e-2} if s.flip() else {})))


def mapped(s: Sketch) -> str:
    """One number, or one per channel, with all axes of the result or without the batch."""
    h, channels, rank = linear(s)
    kind = s.pick("Add", "Sub", "Mul", "Div")
    shape = s.pick((), (1,), (*[1] * s.integer(0, 1), channels, *[1] * (rank - 2)))
    operands = [h, s.floats(shape, 0.5, 2.0)]
    return str(s.op(kind, *(s.draw(st.permutations(operands)) if kind in ("Add", "Mul") else operands)))


def channels_last(s: Sketch) -> str:
    channels = s.integer(1, 3)
    h = s.once(s.op("Conv", s.input((1, 2, 3, 3), free=(0,)), s.floats((channels, 2, 2, 2))))
    turned = s.once(s.op("Transpose", h, perm=NHWC))
    kind = s.pick("Add", "Sub", "Mul", "Div")
    operands = [turned, s.floats(s.pick((), (channels,), (1, channels), (1, 1, 1, channels)), 0.5, 2.0)]
    return str(s.op(kind, *(s.draw(st.permutations(operands)) if kind in ("Add", "Mul") else operands)))


def scaled_product(s: Sketch) -> str:
    shape, columns = s.shape(2, 5), s.integer(1, 3)
    product = s.once(s.op("MatMul", s.input(shape, free=[0]), s.floats((shape[-1], columns))))
    if s.flip():
        operands = [product, s.floats(s.pick((), (columns,), (1, columns)))]
        product = s.once(s.op("Add", *s.draw(st.permutations(operands))))
    factor = s.floats(s.pick((), (1,), (columns,), (1, columns)), 0.5, 2.0)
    if s.flip():
        return str(s.op("Div", product, factor))
    return str(s.op("Mul", *s.draw(st.permutations([product, factor]))))


def padded(s: Sketch) -> str:
    """Windows wider than all pads together, so that none lies in the padding only."""
    dims = s.integer(1, 2)
    widths = [s.integer(0, 1) for _ in range(2 * dims)]
    ends = s.ints(0, 0, *widths[:dims], 0, 0, *widths[dims:])
    # onnxruntime's pools have single precision, and onnx's own are wrong in one dimension
    pools = ("AveragePool", "MaxPool") if s.dtype == "float32" else ()
    x, kind, own = s.input((1, 2, *[5] * dims)), s.pick("Conv", *pools), {}
    if s.flip():
        own = {"pads": [s.integer(0, 1) for _ in range(2 * dims)]}
    value = [s.number(-np.inf)] if kind == "MaxPool" else ([s.number(0.0)] if s.flip() else [])
    inside = s.op("Pad", x, ends, *value)
    if kind == "Conv":
        return str(s.op("Conv", inside, s.floats((2, 2, *[2] * dims)), **own))
    counted = {"count_include_pad": 1} if kind == "AveragePool" and (own or s.flip()) else {}
    return str(s.op(kind, inside, kernel_shape=[5] * dims, **own, **counted))


def pooled_whole(kind: str) -> Spelling:
    """One window that holds the plane: by padding, by SAME, by ceil_mode, with what it divides by stated or not."""

    def spell(s: Sketch) -> str:
        extents = [s.integer(1, 4) for _ in range(s.integer(1, 2))]
        begins = [s.integer(0, 2) for _ in extents]
        how = s.pick("plain", "padded", "same", "ceil")
        kernel, attributes = list(extents), {}
        if how == "padded":
            ends = [s.integer(0, 2) for _ in extents]
            kernel = [extent + a + b for extent, a, b in zip(extents, begins, ends, strict=True)]
            attributes = {"pads": [*begins, *ends]}
        elif how == "same":
            kernel = [2 * extent + s.integer(1, 9) for extent in extents]
            attributes = {"auto_pad": s.pick("SAME_UPPER", "SAME_LOWER"), "strides": [k + 1 for k in kernel]}
        elif how == "ceil":
            attributes = {"ceil_mode": 1, "strides": [extent + 1 for extent in extents]}
        counted = {"count_include_pad": s.integer(0, 1)} if kind == "AveragePool" and s.flip() else {}
        return str(s.op(kind, s.input((s.integer(1, 2), 2, *extents), free=(0,)), kernel_shape=kernel, **attributes, **counted))

    return spell


def biased_product(s: Sketch) -> str:
    shape, columns = s.shape(3, 5), s.integer(1, 3)
    weight = s.floats((shape[-1], columns)) if s.flip() else s.input((shape[-1], columns))
    product = s.once(s.op("MatMul", s.input(shape), weight))
    bias = s.floats(s.pick((columns,), (1, columns), (1, 1, columns)))
    return str(s.op("Add", *s.draw(st.permutations([product, bias]))))


def normalised_sum(s: Sketch) -> str:
    shape = s.shape(3, 3, 2)
    total = s.once(s.op("Add", s.input(shape), s.input(shape)))
    weights = [s.floats(shape[-1:]) for _ in range(s.integer(1, 2))]
    given = {"axis": s.pick(-1, 2)} if s.flip() else {}
    return str(s.op("LayerNormalization", total, *weights, **given, **({"epsilon": 1e-2} if s.flip() else {})))


def split_rows(s: Sketch) -> str:
    """A function by rows of a matrix whose rows are arranged along leading axes."""
    leading, width = s.shape(2, 4), s.integer(1, 3)
    shape = (*leading, width)
    rows = s.input((prod(leading), width))
    a = s.inner(s.op("Reshape", rows, s.ints(*shape)))
    kind = s.pick("Gelu", "Tanh", "Softmax", "LogSoftmax", "LayerNormalization", "Add", "Sub", "Mul", "Max", "MatMul")
    match kind:
        case "LayerNormalization":
            return str(s.op(kind, a, s.floats((width,)), axis=s.pick(-1, len(shape) - 1), epsilon=0.25))
        case "MatMul":
            return str(s.op(kind, a, s.floats((width, s.integer(1, 3)))))
        case "Add" | "Sub" | "Mul" | "Max":
            other = s.floats(s.pick((width,), (1, width))) if s.flip() else s.input(shape)
            return str(s.op(kind, *s.draw(st.permutations([a, other]))))
    return str(s.op(kind, a, **({"axis": s.pick(-1, len(shape) - 1)} if kind.endswith("Softmax") else {})))


SIMPLIFY: Mapping[str, Entry] = {
    "remove_identity": Entry(spell=nothing("Identity"), may_end=False),
    "remove_dropout": Entry(spell=nothing("Dropout"), may_end=False),
    "remove_cast": Entry(spell=nothing("Cast"), may_end=False),
    "remove_reshape": Entry(spell=same_shape, may_end=False),
    "remove_whole": Entry(spell=of_one, may_end=False),
    "remove_transpose": Entry(spell=same_order, may_end=False),
    "undo_reshape": Entry(spell=undone, may_end=False),
    "merge_reshape": Entry(spell=reshaped_twice(("Reshape",))),
    "merge_transpose": Entry(spell=transposed_twice, may_end=False),
    "transpose_through": Entry(spell=transposed_around),
    "fold_batchnorm": Entry(spell=normalised),
    "fold_channelwise": Entry(spell=mapped),
    "fold_channels_last": Entry(spell=channels_last),
    "fold_product": Entry(spell=scaled_product),
    "fold_pad": Entry(spell=padded),
    # onnxruntime's pools have single precision
    "global_averagepool": Entry(spell=pooled_whole("AveragePool"), dtypes=("float32",)),
    "global_maxpool": Entry(spell=pooled_whole("MaxPool"), dtypes=("float32",)),
}
TUNE: Mapping[str, Entry] = {
    "merge_shaping": Entry(spell=reshaped_with_units),
    "flatten_product": Entry(spell=biased_product, declined=("float64",)),
    "flatten_layernorm": Entry(spell=normalised_sum),
    "flatten_rows": Entry(spell=split_rows, opsets=(20, 24)),
}

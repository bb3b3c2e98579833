"""Operators with random shapes, attributes and operands, for every rule that writes one in terms of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
import onnx
from hypothesis import strategies as st

from .entry import Entry, Spelling, operator
from .sketch import ELEMENT, Sketch

INTEGERS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.INT8)
NEW = (24,)
"""Swish and RMSNormalization exist, and everything else."""


def layernorm(kind: str, bias: bool) -> Spelling:
    def spell(s: Sketch) -> str:
        shape = s.shape(1, 5, 2)
        axis = s.integer(0, len(shape) - 1)
        weights = [s.floats(s.within(shape[axis:]) if s.flip() else shape[axis:]) for _ in range(1 + (bias and s.flip()))]
        given = {"axis": s.pick(axis, axis - len(shape))} | ({"epsilon": s.pick(1e-2, 1e-6)} if s.flip() else {})
        return str(s.op(kind, s.input(shape, free=range(axis)), *weights, **given))

    return spell


def padded_pool(s: Sketch) -> str:
    """An AveragePool with explicit padding, less than the window everywhere, that is left out of the count."""
    axes = s.integer(1, 2)
    kernel = [s.integer(2, 4) for _ in range(axes)]
    pads = [s.integer(0, size - 1) for size in kernel + kernel]
    pads[0] = max(pads[0], 1)
    shape = (s.integer(1, 2), s.integer(1, 3), *(s.integer(4, 6) for _ in range(axes)))
    given = {"strides": [s.integer(1, 3) for _ in range(axes)]} if s.flip() else {}
    return str(s.op("AveragePool", s.input(shape, free=(0,)), kernel_shape=kernel, pads=pads, **given))


def channelwise(kind: str, operands: int, low: int) -> Spelling:
    """InstanceNormalization (scale, bias) and BatchNormalization (scale, bias, mean, variance)."""

    def spell(s: Sketch) -> str:
        shape = s.shape(low, 5, 2)
        weights = [s.floats(shape[1:2], 0.5, 2.0) for _ in range(operands)]
        return str(s.op(kind, s.input(shape, free=(0,)), *weights, **({"epsilon": 1e-2} if s.flip() else {})))

    return spell


def groupnorm(s: Sketch) -> str:
    groups, each = s.integer(1, 3), s.integer(1, 3)
    shape = (s.integer(1, 2), groups * each, *s.shape(1, 3, 2))
    weights = [s.floats(shape[1:2]) for _ in range(2)]
    given = {"epsilon": 1e-2} if s.flip() else {}
    return s.typed(s.op("GroupNormalization", s.input(shape), *weights, num_groups=groups, **given), shape)


def along(kind: str, p: bool = False) -> Spelling:
    """An operator along one axis; any of the others may be symbolic."""

    def spell(s: Sketch) -> str:
        shape = s.shape(1, 5)
        axis = s.integer(0, len(shape) - 1)
        given = {"axis": s.pick(axis, axis - len(shape))} | ({"p": s.pick(1, 2)} if p and s.flip() else {})
        return str(s.op(kind, s.input(shape, free=set(range(len(shape))) - {axis}), **given))

    return spell


def prelu(s: Sketch) -> str:
    shape = s.shape()
    return str(s.op("PRelu", s.input(shape), s.floats(s.within(shape), 0.1, 0.5)))


def several(s: Sketch) -> str:
    shape = s.shape()
    operands = [s.input(shape, free=range(len(shape))) if k == 0 else s.input(s.within(shape)) for k in range(s.integer(1, 4))]
    return str(s.op("Sum", *s.draw(st.permutations(operands))))


def power(*exponents: float) -> Spelling:
    def spell(s: Sketch) -> str:
        shape = s.shape()
        x, exponent = s.input(shape, free=range(len(shape))), s.pick(*exponents)
        return str(s.op("Pow", x if exponent > 1 else s.positive(x), s.number(exponent, len(shape))))

    return spell


def binary(*kinds: str, positive: bool = False, constant: bool | None = None) -> Spelling:
    """Two operands, one of which broadcasts to the other; the second constant or not."""

    def spell(s: Sketch) -> str:
        shape = s.shape()
        x, other = s.input(shape, free=range(len(shape))), s.within(shape)
        if constant or (constant is None and s.flip()):
            y = s.floats(other, 0.5, 3.0)
        else:
            y = s.input(other)
            y = s.positive(y) if positive else y
        operands = (y, x) if s.flip() and not (positive or constant) else (x, y)
        return str(s.op(s.pick(*kinds), *operands))

    return spell


def extreme(s: Sketch) -> str:
    shape = s.shape()
    operands = [s.input(shape, free=range(len(shape))), s.number(s.pick(-0.5, 0.0, 0.7), len(shape))]
    return str(s.op(s.pick("Max", "Min"), *s.draw(st.permutations(operands))))


def clip(*bounds: tuple[float, float]) -> Spelling:
    """An infinite bound is left out, or the largest number of the dtype."""

    def spell(s: Sketch) -> str:
        shape, (low, high) = s.shape(), s.pick(*bounds)
        largest = float(np.finfo(s.dtype).max)
        x = s.input(shape, free=range(len(shape)))
        ends = [s.number(low) if low > -inf else ""]
        ends += [s.number(high)] if high < inf else ([s.number(largest)] if s.flip() and low == 0.0 else [])
        return str(s.op("Clip", x, *ends))

    return spell


def squeezed(s: Sketch) -> str:
    shape = list(s.shape(1, 5))
    axes = sorted(s.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    for axis in axes:
        shape[axis] = 1
    return str(s.op("Squeeze", s.input(tuple(shape), free=free_one(s, shape, axes)), s.ints(*(signed(s, a, len(shape)) for a in axes))))


def unsqueezed(s: Sketch) -> str:
    shape = s.shape(0, 4)
    rank = len(shape) + s.integer(1, 2)
    axes = sorted(s.draw(st.sets(st.integers(0, rank - 1), min_size=rank - len(shape), max_size=rank - len(shape))))
    return str(s.op("Unsqueeze", s.input(shape, free=free_one(s, shape)), s.ints(*(signed(s, axis, rank) for axis in axes))))


def flattened(s: Sketch) -> str:
    shape = s.shape(0, 5)
    axis = s.integer(0, len(shape))
    return str(s.op("Flatten", s.input(shape), axis=signed(s, axis, len(shape)) if axis < len(shape) else axis))


def free_one(s: Sketch, shape: Sequence[int], without: Sequence[int] = ()) -> list[int]:
    """One axis that may be symbolic: a Reshape can leave one extent open."""
    axes = [axis for axis in range(len(shape)) if axis not in without]
    return [s.pick(*axes)] if axes else []


def signed(s: Sketch, axis: int, rank: int) -> int:
    return axis - rank if s.flip() else axis


def truth_of_integers(s: Sketch) -> str:
    """Of either sign, some of them 0; cast back to floats."""
    shape = s.shape()
    integers = s.op("Cast", s.input(shape, free=range(len(shape))), to=s.pick(*INTEGERS))
    seen = s.op("Cast", integers, to=onnx.TensorProto.BOOL)
    s.hidden.update((integers, seen))
    return str(s.op("Cast", seen, to=ELEMENT[s.dtype]))


def gathered_rows(s: Sketch) -> str:
    """Rows of a table, by numbers that a search found and then counted from the end."""
    rows, width = s.integer(2, 5), s.integer(1, 3)
    table = s.constant(np.random.default_rng(s.integer(0, 9)).standard_normal((rows, width)).astype(s.dtype))
    found = str(s.op("ArgMax", s.input((3, rows)), axis=1, keepdims=0))
    index = str(s.op("Sub", found, s.ints(*(s.pick(0, rows) for _ in range(3)))))
    s.hidden.update((found, index))
    return str(s.op("Gather", table, index, axis=0))


def expanded(s: Sketch) -> str:
    """One axis grows; the shape says so for this axis, and 1 or the extent for the others."""
    shape = list(s.shape(1, 5))
    axis, count = s.integer(0, len(shape) - 1), s.integer(2, 16)
    shape[axis] = 1
    wanted = [count if k == axis else s.pick(1, extent) for k, extent in enumerate(shape)]
    return str(s.op("Expand", s.input(tuple(shape)), s.ints(*wanted)))


def grown(s: Sketch) -> str:
    """Any axes grow, and new ones come before them."""
    target = s.shape(0, 5)
    wanted = [s.integer(2, 3) for _ in range(s.integer(0, 5 - len(target)))] + list(target)
    return str(s.op("Expand", s.input(s.within(target)), s.ints(*wanted) if wanted else s.constant(np.zeros(0, np.int64))))


def split(s: Sketch) -> list[str]:
    lengths, shape = [s.integer(1, 3) for _ in range(s.integer(1, 3))], list(s.shape(1, 5))
    axis = s.integer(0, len(shape) - 1)
    equal = s.flip()
    shape[axis] = len(lengths) * 2 if equal else sum(lengths)
    x = s.input(tuple(shape), free=set(range(len(shape))) - {axis})
    given = {"axis": signed(s, axis, len(shape))} | ({"num_outputs": len(lengths)} if equal else {})
    return list(s.op("Split", x, *([] if equal else [s.ints(*lengths)]), outputs=len(lengths), **given))


def reduction(kind: str, keeping: tuple[int, ...] = (0, 1), planes: bool = False) -> Spelling:
    """Over known axes; the others may be symbolic where the result keeps its axes."""

    def spell(s: Sketch) -> str:
        shape = s.shape(3 if planes else 1, 5)
        some = st.sets(st.integers(0, len(shape) - 1), min_size=1)
        axes = set(range(2, len(shape))) if planes else s.draw(some)
        keep, others = s.pick(*keeping), [axis for axis in range(len(shape)) if axis not in axes]
        x = s.input(shape, free=[s.pick(*others)] if others else [])
        every = len(axes) == len(shape) and s.flip()
        given = {} if keep and s.flip() else {"keepdims": keep}
        return str(s.op(kind, x, *([] if every else [s.ints(*(signed(s, axis, len(shape)) for axis in axes))]), **given))

    return spell


def matmul(low: int, high: int) -> Spelling:
    def spell(s: Sketch) -> str:
        shape = s.shape(low, high)
        weight = (shape[-1], s.integer(1, 3))
        right = s.floats(weight) if s.flip() else s.input(weight)
        return str(s.op("MatMul", s.input(shape, free=[s.integer(0, len(shape) - 2)]), right))

    return spell


def gemm(s: Sketch) -> str:
    m, k, n = (s.integer(1, 3) for _ in range(3))
    flips = {"transA": int(s.flip()), "transB": int(s.flip())}
    left = s.input((k, m) if flips["transA"] else (m, k))
    wanted = (n, k) if flips["transB"] else (k, n)
    right = s.floats(wanted) if s.flip() else s.input(wanted)
    bias = [s.floats(s.pick((n,), (1, n), (m, 1), ()))] if s.flip() else []
    scales = {name: s.pick(0.5, 2.0) for name in ("alpha", "beta") if s.flip()}
    return str(s.op("Gemm", left, right, *bias, **flips, **scales))


EQUATIONS = (
    "ij,jk->ik", "ij,jk", "bij,bjk->bik", "bihd,bjhd->bhij", "btc,ech->bteh", "bteh,ehc->btec", "nkcv,kvw->ncw", "abc,ac->b", "ab->ba",
    "abc->b", "ai,bi->ab", "ab,ab->ab", "ab,cb->abc", "a,b->ab", "ab,cd->", "abc,dc->bad", "i,i->",
)  # fmt: skip


def einsum(s: Sketch) -> str:
    equation = s.pick(*EQUATIONS)
    sizes = {letter: s.integer(1, 3) for letter in equation if letter.isalpha()}
    operands = equation.partition("->")[0].split(",")
    shapes = [tuple(sizes[letter] for letter in letters) for letters in operands]
    right = [s.floats(shape) if s.flip() else s.input(shape) for shape in shapes[1:]]
    return str(s.op("Einsum", s.input(shapes[0]), *right, equation=equation))


def grid_sample(s: Sketch) -> str:
    """Places up to twice beyond the borders."""
    batch, sizes = s.integer(1, 2), [s.integer(1, 4) for _ in range(4)]
    given = {"padding_mode": s.pick("zeros", "border", "reflection"), "align_corners": int(s.flip())}
    image, grid = (batch, s.integer(1, 3), *sizes[:2]), (batch, *sizes[2:], 2)
    return str(s.op("GridSample", s.input(image), s.input(grid), mode=s.pick("linear", "nearest"), **given))


def scattered(s: Sketch) -> str:
    """Each place is named once, from the start or from the end, and not all are."""
    shape = s.shape(1, 3)
    axis, length = s.integer(0, len(shape) - 1), s.integer(3, 5)
    count = s.integer(1, 3)
    target, taken = (tuple(size if k == axis else other for k, other in enumerate(shape)) for size in (length, count))
    order = np.argsort(np.random.default_rng(s.integer(0, 99)).random(target), axis=axis)
    places = np.take(order, range(count), axis) - (length if s.flip() else 0)
    data = s.input(target) if s.flip() else s.constant(np.zeros(target, s.dtype))
    return str(s.op("ScatterElements", data, s.constant(places), s.input(taken), axis=axis, **({"reduction": "add"} if s.flip() else {})))


def shuffled_filters(s: Sketch) -> str:
    block, channels, inside = s.integer(2, 3), s.integer(2, 3), s.integer(1, 3)
    weights = s.floats((channels * block**2, inside, s.integer(1, 2), 1))
    bias = [s.floats((channels * block**2,))] if s.flip() else []
    made = s.once(s.op("Conv", s.input((s.integer(1, 2), inside, s.integer(2, 3), 2)), weights, *bias))
    return str(s.op("DepthToSpace", made, blocksize=block, mode="CRD"))


FINITE = ((-1.0, 0.5), (0.0, 1.25), (0.5, 0.75), (-2.0, -0.5))
OPEN = ((-inf, inf), (-0.5, inf), (-inf, 0.5))
DECOMPOSE: Mapping[str, Entry] = {
    "gelu_erf": Entry(spell=operator("Gelu", approximate=("none",)), opsets=NEW),
    **{f"layernorm_{way}": Entry(spell=layernorm("LayerNormalization", True), opsets=NEW) for way in ("div", "reciprocal", "pow")},
    **{f"rmsnorm_{way}": Entry(spell=layernorm("RMSNormalization", False), opsets=NEW) for way in ("div", "reciprocal", "pow")},
    **{f"instancenorm_{way}": Entry(spell=channelwise("InstanceNormalization", 2, 3), opsets=NEW) for way in ("div", "reciprocal", "pow")},
    "lpnorm_div": Entry(spell=along("LpNormalization", p=True), dtypes=("float32", "float64"), opsets=NEW),
    "batchnorm_affine": Entry(spell=channelwise("BatchNormalization", 4, 2), opsets=NEW),
    "groupnorm_instance": Entry(spell=groupnorm, opsets=NEW, single=True),
    "swish_sigmoid": Entry(spell=operator("Swish", alpha=(1.702, 0.5)), opsets=NEW, single=True),
    "hardswish_hardsigmoid": Entry(spell=operator("HardSwish"), single=True),
    "hardswish_clip": Entry(spell=operator("HardSwish"), single=True),
    "hardsigmoid_clip": Entry(spell=operator("HardSigmoid", alpha=(1.0, 0.3), beta=(0.0, 0.25)), single=True),
    "sigmoid_tanh": Entry(spell=operator("Sigmoid")),
    "leakyrelu_relu": Entry(spell=operator("LeakyRelu", alpha=(0.3, 0.125)), single=True),
    "softplus_log": Entry(spell=operator("Softplus")),
    "mish_softplus": Entry(spell=operator("Mish")),
    "logsoftmax_log": Entry(spell=along("LogSoftmax")),
    "prelu_relu": Entry(spell=prelu),
    "neg_mul": Entry(spell=operator("Neg")),
    "abs_relu": Entry(spell=operator("Abs")),
    "sum_add": Entry(spell=several),
    "pow_mul": Entry(spell=power(2.0, 3.0)),
    "pow_sqrt": Entry(spell=power(0.5, -0.5)),
    "sqrt_pow": Entry(spell=operator("Sqrt", positive=True)),
    "sub_add": Entry(spell=binary("Sub")),
    "div_mul": Entry(spell=binary("Div", constant=True)),
    "div_reciprocal": Entry(spell=binary("Div", positive=True)),
    "reciprocal_div": Entry(spell=operator("Reciprocal", positive=True)),
    "extreme_clip": Entry(spell=extreme),
    "extreme_relu": Entry(spell=binary("Max", "Min")),
    "clip_relu": Entry(spell=clip((0.0, inf))),
    "clip_minmax": Entry(spell=clip(*FINITE, *OPEN)),
    "clip_relus": Entry(spell=clip(*FINITE)),
    "cast_bool": Entry(spell=truth_of_integers),
    "einsum_matmul": Entry(spell=einsum),
    "grid_sample_gather": Entry(spell=grid_sample, dtypes=("float32",), opsets=(20, 22)),
    "scatter_where": Entry(spell=scattered),
    "shuffle_filters": Entry(spell=shuffled_filters),
    "gather_from_start": Entry(spell=gathered_rows),
    "expand_concat": Entry(spell=expanded),
    "expand_mul": Entry(spell=grown),
    "squeeze_reshape": Entry(spell=squeezed),
    "unsqueeze_reshape": Entry(spell=unsqueezed),
    "flatten_reshape": Entry(spell=flattened),
    "split_slice": Entry(spell=split),
    "averagepool_counted": Entry(spell=padded_pool),
    "pool_mean": Entry(spell=operator("GlobalAveragePool", 3, 5)),
    "mean_pool": Entry(spell=reduction("ReduceMean", planes=True)),
    "sum_mean": Entry(spell=reduction("ReduceSum")),
    "mean_sum": Entry(spell=reduction("ReduceMean")),
    "mean_keepdims": Entry(spell=reduction("ReduceMean", keeping=(0,))),
    "sum_keepdims": Entry(spell=reduction("ReduceSum", keeping=(0,))),
    "matmul_2d": Entry(spell=matmul(3, 5)),
    "matmul_2d_gemm": Entry(spell=matmul(3, 5)),
    "matmul_gemm": Entry(spell=matmul(2, 2)),
    "gemm_matmul": Entry(spell=gemm),
}

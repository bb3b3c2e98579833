"""Movements of elements, products as convolutions, and biases behind products."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from .entry import Entry
from .sketch import Sketch


def image(s: Sketch, block: int, *, deep: bool, open_batch: bool = False) -> tuple[str, tuple[int, ...]]:
    """An image whose height and width, or whose channels, are multiples of the block; its batch may be symbolic.
    None of its extents is 1: then a shuffle could be a mere Reshape."""
    channels, height, width = s.integer(2, 3), s.integer(2, 3), s.integer(2, 3)
    shape = (s.integer(1, 2), channels * block**2, height, width) if deep else (s.integer(1, 2), channels, height * block, width * block)
    return s.input(shape, free=(0,) if open_batch else ()), shape


def space_to_depth(s: Sketch) -> str:
    block = s.integer(2, 3)
    return str(s.op("SpaceToDepth", image(s, block, deep=False, open_batch=True)[0], blocksize=block))


def depth_to_space(s: Sketch) -> str:
    block = s.integer(2, 3)
    mode = {"mode": s.pick("DCR", "CRD")} if s.flip() else {}
    return str(s.op("DepthToSpace", image(s, block, deep=True, open_batch=True)[0], blocksize=block, **mode))


def spelled_depth(s: Sketch) -> str:
    block = s.integer(2, 3)
    x, (_, c, h, w) = image(s, block, deep=True)
    if s.flip():
        split, order = (-1, block, block, c // block**2, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (-1, c // block**2, block, block, h, w), (0, 1, 4, 2, 5, 3)
    turned = s.once(s.op("Transpose", s.op("Reshape", x, s.ints(*split)), perm=order))
    return str(s.op("Reshape", turned, s.ints(-1, c // block**2, h * block, w * block)))


def slices(s: Sketch, x: str, places: list[tuple[int, int]], block: int) -> list[str]:
    """In one Slice over both axes, or in two."""
    far, parts = 1 << 40, []
    for i, j in places:
        if s.flip():
            ends = [s.ints(far, far), s.ints(2, 3), s.ints(block, block)]
            parts.append(s.op("Slice", x, s.ints(i, j), *ends))
        else:
            rows = s.op("Slice", x, s.ints(i), s.ints(far), s.ints(2), s.ints(block))
            parts.append(s.op("Slice", rows, s.ints(j), s.ints(far), s.ints(s.pick(3, -1)), s.ints(block)))
    return parts


def spelled_space(s: Sketch) -> str:
    block = s.integer(2, 3)
    x, (_, c, h, w) = image(s, block, deep=False)
    if s.flip():
        places = [divmod(k, block) for k in range(block**2)]
        return str(s.op("Concat", *slices(s, x, places, block), axis=s.pick(1, -3)))
    split = s.op("Reshape", x, s.ints(-1, c, h // block, block, w // block, block))
    turned = s.once(s.op("Transpose", split, perm=(0, 3, 5, 1, 2, 4)))
    return str(s.op("Reshape", turned, s.ints(-1, c * block**2, h // block, w // block)))


def focus(s: Sketch) -> str:
    """Slices in any order but the rows' own, and a convolution."""
    x, (_, c, _, _) = image(s, 2, deep=False)
    rows = [divmod(k, 2) for k in range(4)]
    places = s.draw(st.permutations(rows).filter(lambda order: list(order) != rows))
    joined = s.once(s.op("Concat", *slices(s, x, places, 2), axis=1))
    bias = [s.floats((2,))] if s.flip() else []
    return str(s.op("Conv", joined, s.floats((2, 4 * c, 1, 1)), *bias))


def pointwise(s: Sketch) -> str:
    """A convolution of single points."""
    inner, outer, dims = s.integer(1, 3), s.integer(1, 3), s.integer(1, 2)
    bias = [s.floats((outer,))] if s.flip() else []
    x = s.input((s.integer(1, 2), inner, *(s.integer(1, 3) for _ in range(dims))))
    return str(s.op("Conv", x, s.floats((outer, inner, *[1] * dims)), *bias))


def covering(s: Sketch) -> str:
    """A convolution whose kernel is as large as the image."""
    inner, outer, size = s.integer(1, 3), s.integer(1, 3), tuple(s.integer(1, 3) for _ in range(s.integer(1, 3)))
    size = size if max(size) > 1 else (2, *size[1:])
    bias = [s.floats((outer,))] if s.flip() else []
    strides = {"strides": [s.integer(1, 3) for _ in size]} if s.flip() else {}
    x = s.input((s.integer(1, 3), inner, *size), free=(0,))
    return str(s.op("Conv", x, s.floats((outer, inner, *size)), *bias, **strides))


def product(s: Sketch) -> str:
    shape = s.shape(2, 5)
    return str(s.op("MatMul", s.input(shape, free=(0,)), s.floats((shape[-1], s.integer(1, 3)))))


def gemm(s: Sketch) -> str:
    """B constant, and C one row."""
    m, k, n = (s.integer(1, 3) for _ in range(3))
    flips = {"transA": int(s.flip()), "transB": int(s.flip())}
    right = s.floats((n, k) if flips["transB"] else (k, n))
    bias = [s.floats(s.pick((n,), (1, n), (1,), ()))] if s.flip() else []
    scales = {name: s.pick(0.5, 2.0) for name in ("alpha", "beta") if s.flip()}
    return str(s.op("Gemm", s.input((k, m) if flips["transA"] else (m, k)), right, *bias, **flips, **scales))


def biased(s: Sketch) -> str:
    """A Gemm without bias, perhaps reshaped, and one number or one per column."""
    m, k, n = s.pick(2, 4, 6), s.integer(1, 3), s.integer(2, 3)
    scales = {name: s.pick(0.5, 2.0) for name in ("alpha", "beta") if s.flip()}
    result = s.once(s.op("Gemm", s.input((m, k)), s.floats((k, n)), **scales))
    if s.flip():
        result = s.once(s.op("Reshape", result, s.ints(2, m // 2, n)))
    return str(s.op("Add", *s.draw(st.permutations([result, s.floats(s.pick((n,), (1, n)))]))))


def many_axes(s: Sketch) -> str:
    """Repeated, or interleaved, along a new fifth axis, which a Reshape or Flatten joins with others."""
    shape, axis = s.shape(4, 4), s.integer(0, 4)
    kind, count = s.pick("Concat", "Expand", "Tile"), s.integer(2, 3)
    wide = [s.op("Unsqueeze", s.input(shape), s.ints(axis)) for _ in range(count if kind == "Concat" else 1)]
    grown = (*shape[:axis], count, *shape[axis:])
    if kind == "Concat":
        f = s.op("Concat", *wide, axis=s.pick(axis, axis - 5))
    else:
        f = s.op(kind, *wide, s.ints(*(grown if kind == "Expand" else (count if k == axis else 1 for k in range(5)))))
    if s.flip():
        return str(s.op("Flatten", s.once(f), axis=s.integer(0, 5)))
    joined = s.integer(0, 3)
    return str(s.op("Reshape", s.once(f), s.ints(*grown[:joined], grown[joined] * grown[joined + 1], *grown[joined + 2 :])))


MOVEMENT: Mapping[str, Entry] = {
    "lower_rank": Entry(spell=many_axes),
    "recover_focus": Entry(spell=focus),
    "recover_space_to_depth": Entry(spell=spelled_space),
    "recover_depth_to_space": Entry(spell=spelled_depth),
    "space_to_depth_transpose": Entry(spell=space_to_depth),
    "depth_to_space_transpose": Entry(spell=depth_to_space),
    "matmul_conv": Entry(spell=product),
    "gemm_conv": Entry(spell=gemm),
    "fold_bias": Entry(spell=biased),
    "conv_matmul": Entry(spell=pointwise),
    "conv_whole": Entry(spell=covering),
    "conv_gemm": Entry(spell=pointwise),
}

"""Attention and rotary embeddings, as operators and written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .entry import Entry
from .sketch import Sketch

NEW = (24,)
BIG = -2e4
"""Closes a position in every dtype."""


def source(s: Sketch, shape: tuple[int, ...]) -> str:
    """An input behind a function: a factor would be taken for one of the scores'."""
    name = str(s.op("Tanh", s.input(shape)))
    s.before.add(name)
    return name


def repeated(s: Sketch, tensor: str, batch: int, groups: int, times: int, rows: int, width: int) -> str:
    """Every head so many times in a row."""
    one = s.op("Unsqueeze", tensor, s.ints(2)) if s.flip() else s.op("Reshape", tensor, s.ints(batch, groups, 1, rows, width))
    match s.pick("Expand", "Tile", "Concat"):
        case "Expand":
            wide = s.op("Expand", one, s.ints(batch, groups, times, rows, width))
        case "Tile":
            wide = s.op("Tile", one, s.ints(1, 1, times, 1, 1))
        case _:
            wide = s.op("Concat", *[one] * times, axis=2)
    return str(s.op("Reshape", wide, s.ints(batch, groups * times, rows, width)))


def scaled(s: Sketch, tensor: str) -> str:
    """The tensor times a positive number, or as it is."""
    match s.pick("", "", "Mul", "Div"):
        case "Mul":
            operands = [tensor, s.number(s.pick(0.5, 0.35), 2)]
            return str(s.op("Mul", *(operands if s.flip() else operands[::-1])))
        case "Div":
            return str(s.op("Div", tensor, s.number(s.pick(2.0, 1.5), 2)))
    return tensor


def masked(s: Sketch, scores: str, shape: tuple[int, ...]) -> str:
    """With a mask that leaves the first position of every row open; none is wider than the scores."""
    kind = s.pick("none", "input", "added", "where", "where not")
    if kind == "none":
        return scores
    small = s.within(shape)[-2 if len(shape) == 3 else 0 :]
    if kind in ("input", "added"):
        mask = s.input(small) if kind == "input" else s.floats(small)
        return s.once(s.op("Add", *((scores, mask) if s.flip() else (mask, scores))))
    is_open = np.array(np.random.default_rng(s.integer(0, 99)).random(small) < 0.6)
    if small:
        is_open[..., 0] = True
    else:
        is_open[()] = True
    if kind == "where":
        return s.once(s.op("Where", s.constant(is_open), scores, s.number(BIG)))
    return s.once(s.op("Where", s.constant(~is_open), s.number(BIG), scores))


def softmax(s: Sketch, scores: str, shape: tuple[int, ...]) -> str:
    """Over the last axis, the rows before it flattened or not."""
    if s.flip():
        return s.once(s.op("Softmax", scores, axis=s.pick(-1, len(shape) - 1)))
    flat = s.once(s.op("Reshape", scores, s.ints(-1, shape[-1])))
    return s.once(s.op("Reshape", s.once(s.op("Softmax", flat, axis=-1)), s.ints(*shape)))


def attention(s: Sketch) -> str:
    """softmax(c·Q·Kᵀ + mask)·V."""
    rank = s.pick(3, 4, 4)
    batch, groups, rows, keys, width, depth = (s.integer(1, 3) for _ in range(6))
    times = s.integer(2, 3) if rank == 4 and s.flip() else 1
    heads, key_heads = ((), ()) if rank == 3 else ((groups * times,), (groups,))
    q, k, v = (source(s, (batch, *h, n, w)) for h, n, w in ((heads, rows, width), (key_heads, keys, width), (key_heads, keys, depth)))
    if times > 1:
        k, v = repeated(s, k, batch, groups, times, keys, width), repeated(s, v, batch, groups, times, keys, depth)
    shape = (batch, *heads, rows, keys)
    order = [*range(rank - 2), rank - 1, rank - 2]
    product = s.op("MatMul", scaled(s, q), scaled(s, s.op("Transpose", scaled(s, k), perm=order)))
    scores = s.once(scaled(s, s.once(product)))
    if s.integer(0, 3) == 0:
        cap = s.pick(2.0, 0.5)
        scores = s.once(s.op("Div", scores, s.number(cap)))
        scores = s.once(s.op("Mul", s.once(s.op("Tanh", scores)), s.number(cap)))
    for _ in range(s.integer(0, 2)):
        scores = masked(s, scores, shape)
    return str(s.op("MatMul", softmax(s, scores, shape), v))


def halves(s: Sketch, x: str, width: int, last: int = 3) -> tuple[str, str]:
    if s.flip():
        first, second = s.op("Split", x, axis=-1, num_outputs=2, outputs=2)
        return first, second
    middle = width // 2
    first = s.op("Slice", x, s.ints(0), s.ints(middle), s.ints(-1))
    return first, s.op("Slice", x, s.ints(middle), s.ints(s.pick(width, 2**62)), s.ints(last), s.ints(1))


def angles(s: Sketch, batch: int, rows: int, width: int, interleaved: bool) -> list[str]:
    """Cosines and sines of `width` values a row, each factor twice: constant, or computed from half as many angles."""
    shape = s.pick((rows, width), (1, 1, rows, width), (batch, 1, rows, width))
    if s.flip():
        half = np.random.default_rng(s.integer(0, 99)).uniform(-1, 1, (*shape[:-1], width // 2))
        doubled = np.repeat(half, 2, axis=-1) if interleaved else np.concatenate([half, half], axis=-1)
        return [s.constant(np.asarray(f(doubled), s.dtype)) for f in (np.cos, np.sin)]
    angle = s.input((*shape[:-3], *shape[-2:-1], width // 2))
    if interleaved and s.flip():
        given = [neighbours(s, s.op(function, angle), (*shape[:-3], *shape[-2:])) for function in ("Cos", "Sin")]
    else:
        twice = neighbours(s, angle, (*shape[:-3], *shape[-2:])) if interleaved else s.op("Concat", angle, angle, axis=-1)
        given = [s.op(function, twice) for function in ("Cos", "Sin")]
    return [s.op("Unsqueeze", one, s.ints(1)) for one in given] if len(shape) == 4 else given


def neighbours(s: Sketch, once: str, shape: Sequence[int]) -> str:
    """Each number twice, one beside the other."""
    single = s.op("Unsqueeze", once, s.ints(-1))
    return str(s.op("Reshape", s.op("Expand", single, s.ints(*shape[:-1], shape[-1] // 2, 2)), s.ints(*shape)))


def rotary(s: Sketch) -> str:
    """x·C + r(x)·S, with a batch or without, heads or rows first."""
    batch, heads, rows, width = s.integer(1, 2), s.integer(1, 3), s.integer(1, 3), 2 * s.integer(1, 3)
    order, interleaved = s.pick("batch", "batch", "heads", "rows"), s.flip()
    if order == "rows":
        return turned(s, s.input((rows, heads, width)), (rows, heads, width), rows_apart(s, rows, width, interleaved), interleaved)
    whole = (batch, heads, rows, width) if order == "batch" else (heads, rows, width)
    given = angles(s, batch, rows, width, interleaved) if order == "batch" else flat_angles(s, rows, width, interleaved)
    return turned(s, s.input(whole), whole, given, interleaved)


def flat_angles(s: Sketch, rows: int, width: int, interleaved: bool) -> list[str]:
    """Constants for rows of no batch."""
    half = np.random.default_rng(s.integer(0, 99)).uniform(-1, 1, (*s.pick((rows,), (1, rows)), width // 2))
    doubled = np.repeat(half, 2, axis=-1) if interleaved else np.concatenate([half, half], axis=-1)
    return [s.constant(np.asarray(f(doubled), s.dtype)) for f in (np.cos, np.sin)]


def rows_apart(s: Sketch, rows: int, width: int, interleaved: bool) -> list[str]:
    """For x of [rows, heads, width]: [rows, 1, width], constant or behind an Unsqueeze."""
    if s.flip():
        half = np.random.default_rng(s.integer(0, 99)).uniform(-1, 1, (rows, 1, width // 2))
        doubled = np.repeat(half, 2, axis=-1) if interleaved else np.concatenate([half, half], axis=-1)
        return [s.constant(np.asarray(f(doubled), s.dtype)) for f in (np.cos, np.sin)]
    angle = s.input((rows, width // 2))
    twice = neighbours(s, angle, (rows, width)) if interleaved else s.op("Concat", angle, angle, axis=-1)
    return [s.op("Unsqueeze", s.op(function, twice), s.ints(1)) for function in ("Cos", "Sin")]


def turned(s: Sketch, x: str, shape: Sequence[int], given: Sequence[str], interleaved: bool) -> str:
    cosine, sine = given
    width, last = shape[-1], len(shape) - 1
    if interleaved:
        even, odd = (s.op("Slice", x, s.ints(k), s.ints(width), s.ints(last), s.ints(2)) for k in (0, 1))
        pair = [s.op("Unsqueeze", part, s.ints(-1)) for part in (negative(s, odd), even)]
        rotated = s.once(s.op("Reshape", s.once(s.op("Concat", *pair, axis=-1)), s.ints(*shape)))
    else:
        first, second = halves(s, x, width, last)
        rotated = s.once(s.op("Concat", negative(s, second), first, axis=s.pick(-1, last)))
    products = [s.once(s.op("Mul", *(pair if s.flip() else pair[::-1]))) for pair in ([x, cosine], [rotated, sine])]
    return str(s.op("Add", *(products if s.flip() else products[::-1])))


def negative(s: Sketch, tensor: str) -> str:
    return str(s.op("Neg", tensor) if s.flip() else s.op("Mul", tensor, s.number(-1.0)))


def rotary_halves(s: Sketch) -> str:
    """concat(x₁·c - x₂·s, x₂·c + x₁·s)."""
    batch, heads, rows, width = s.integer(1, 2), s.integer(1, 3), s.integer(1, 3), 2 * s.integer(1, 3)
    first, second = halves(s, s.input((batch, heads, rows, width)), width)
    shape = s.pick((rows, width // 2), (1, 1, rows, width // 2), (batch, 1, rows, width // 2))
    c, sine = (s.floats(shape, -1, 1) if s.flip() else s.input(shape) for _ in range(2))
    real = s.op("Sub", s.once(s.op("Mul", first, c)), s.once(s.op("Mul", sine, second)))
    crossed = [s.once(s.op("Mul", second, c)), s.once(s.op("Mul", first, sine))]
    return str(s.op("Concat", s.once(real), s.once(s.op("Add", *(crossed if s.flip() else crossed[::-1]))), axis=-1))


def rotary_partial(s: Sketch) -> str:
    """concat(RotaryEmbedding(x[:n]), x[n:])."""
    batch, heads, rows, turned, rest = s.integer(1, 2), s.integer(1, 3), s.integer(1, 3), 2 * s.integer(1, 3), s.integer(1, 3)
    x = s.input((batch, heads, rows, turned + rest))
    head, tail = (s.op("Slice", x, s.ints(a), s.ints(b), s.ints(-1)) for a, b in ((0, turned), (turned, turned + rest)))
    caches = [s.floats((batch, rows, turned // 2), -1, 1) for _ in range(2)]
    given = {"interleaved": 1} if s.flip() else {}
    return str(s.op("Concat", s.once(s.op("RotaryEmbedding", head, *caches, **given)), tail, axis=-1))


def by_rows(s: Sketch) -> str:
    """Attention between Transposes, Q and K turned or not."""
    batch, groups, times, rows, keys, width, depth = (s.integer(1, 3) for _ in range(7))
    operands = []
    for k, (heads, length, size) in enumerate(((groups * times, rows, 2 * width), (groups, keys, 2 * width), (groups, keys, depth))):
        tensor = s.op("Transpose", s.input((batch, length, heads, size)), perm=[0, 2, 1, 3])
        if k < 2 and s.flip():
            caches = [s.floats((batch, length, width), -1, 1) for _ in range(2)]
            tensor = s.once(s.op("RotaryEmbedding", tensor, *caches))
        operands.append(tensor)
    mask = [s.floats((rows, keys))] if s.flip() else []
    return str(s.op("Transpose", s.once(s.op("Attention", *operands, *mask, scale=0.5)), perm=[0, 2, 1, 3]))


def closed(s: Sketch) -> str:
    """Attention under a mask that closes rows by the lowest number or by -inf, constant or made of a condition."""
    batch, heads, rows, keys, width = (s.integer(1, 3) for _ in range(5))
    operands = [s.input((batch, heads, length, width)) for length in (rows, keys, keys)]
    lowest = float(np.finfo(np.float16 if s.dtype == "float16" else np.float32).min)
    fill, is_open = s.pick(lowest, -np.inf), np.random.default_rng(s.integer(0, 99)).random((rows, keys)) < 0.6
    is_open[..., 0] = True
    mask = s.op("Where", s.constant(is_open), s.number(0.0), s.number(fill))
    return str(s.op("Attention", *operands, s.op("Identity", mask) if s.flip() else mask, scale=0.5))


def operator(s: Sketch) -> Sequence[str]:
    """Attention with what it can have."""
    batch, groups, times, rows, keys, width, depth = (s.integer(1, 3) for _ in range(7))
    heads, given = groups * times, {key: s.pick(*values) for key, values in OPTIONS.items() if s.flip()}
    sizes = ((heads, rows, width), (groups, keys, width), (groups, keys, depth))
    if s.flip():
        operands = [s.input((batch, *size)) for size in sizes]
    else:
        operands = [s.input((batch, n, h * w)) for h, n, w in sizes]
        given |= {"q_num_heads": heads, "kv_num_heads": groups}
    past = s.integer(1, 2) if s.integer(0, 3) == 0 else 0
    before = [s.input((batch, groups, past, size)) for size in (width, depth)] if past else []
    total, kind = keys + past, s.pick("none", "numbers", "booleans")
    small = s.pick((), (1,), (heads,), (batch, 1), (batch, heads))
    is_open = np.random.default_rng(s.integer(0, 99)).random((*small, rows, total)) < 0.6
    mask = "" if kind == "none" else s.floats((*small, rows, total)) if kind == "numbers" else s.constant(is_open)
    return list(s.op("Attention", *operands, *((mask, *before) if mask or past else ()), outputs=3 if past else 1, **given))


OPTIONS: Mapping[str, tuple[float | int, ...]] = {"scale": (0.5, 1.0), "softcap": (0.5, 2.0), "is_causal": (1,), "softmax_precision": (1,)}


def rotary_operator(s: Sketch) -> str:
    batch, heads, rows, turned, rest = s.integer(1, 2), s.integer(1, 3), s.integer(1, 3), 2 * s.integer(1, 3), s.integer(0, 2)
    width, given = turned + rest, {"interleaved": 1} if s.flip() else {}
    if rest:
        given |= {"rotary_embedding_dim": turned, "num_heads": heads}
    if s.flip():
        x = s.input((batch, heads, rows, width))
    else:
        x, given = s.input((batch, rows, heads * width)), {**given, "num_heads": heads}
    if s.flip():
        return str(s.op("RotaryEmbedding", x, *(s.floats((batch, rows, turned // 2), -1, 1) for _ in range(2)), **given))
    positions = s.constant(np.random.default_rng(s.integer(0, 99)).integers(0, 5, (batch, rows)))
    return str(s.op("RotaryEmbedding", x, *(s.floats((5, turned // 2), -1, 1) for _ in range(2)), positions, **given))


def with_past(s: Sketch) -> list[str]:
    """The standard's operator with caches, which goes as Concat and attention: one sequence, any heads, heads apart or in rows."""
    groups, rows, past, width, depth = (s.integer(1, 3) for _ in range(5))
    heads = groups * s.integer(1, 2)
    sizes = ((heads, width), (groups, width), (groups, depth))
    given: dict[str, float | int] = {name: s.pick(0.5, 2.0) for name in ("scale", "softcap") if s.flip()}
    if s.flip():
        operands = [s.input((1, h, rows, w)) for h, w in sizes]
    else:
        operands = [s.input((1, rows, h * w)) for h, w in sizes]
        given |= {"q_num_heads": heads, "kv_num_heads": groups}
    before = [s.input((1, groups, past, size)) for size in (width, depth)]
    mask = s.floats((rows, past + rows)) if s.flip() else ""
    return list(s.op("Attention", *operands, mask, *before, outputs=3, **given))


def turned_heads(s: Sketch) -> str:
    batch, heads, rows, width = (s.integer(1, 3) for _ in range(4))
    one_batch = (batch * heads, rows, width)
    flat = s.op("Reshape", s.input((batch, heads, rows, width)), s.constant(np.array(one_batch))) if s.flip() else s.input(one_batch)
    return str(s.op("Reshape", s.once(s.op("Transpose", flat, perm=(0, 2, 1))), s.constant(np.array((batch, heads, width, rows)))))


HALF, DOUBLE = ("float16", "float64"), ("float64",)
WRITTEN_OUT: Mapping[str, Entry] = {
    "recover_attention": Entry(spell=attention, declined=DOUBLE),
    "fuse_attention": Entry(spell=attention, declined=HALF),
    "recover_rotary": Entry(spell=rotary, declined=DOUBLE),
    "fuse_rotary": Entry(spell=rotary, declined=HALF),
    "recover_rotary_halves": Entry(spell=rotary_halves, declined=DOUBLE),
    "fuse_rotary_halves": Entry(spell=rotary_halves, declined=HALF),
    "recover_rotary_partial": Entry(spell=rotary_partial, dtypes=("float16", "float32"), opsets=NEW),
    "fuse_rotary_partial": Entry(spell=rotary_partial, dtypes=("float16", "float32"), opsets=NEW),
    "recover_turned_heads": Entry(spell=turned_heads),
    "write_past": Entry(spell=with_past, dtypes=("float16", "float32"), opsets=NEW),
    "keep_closed_rows": Entry(spell=closed, dtypes=("float16", "float32"), opsets=NEW),
    "flatten_attention": Entry(spell=by_rows, dtypes=("float16", "float32"), opsets=NEW),
}
OPERATORS: Mapping[str, Entry] = {
    "attention_softmax": Entry(spell=operator, dtypes=("float16", "float32"), opsets=NEW),
    "rotary_slices": Entry(spell=rotary_operator, dtypes=("float16", "float32"), opsets=NEW),
}
ATTENTION: Mapping[str, Entry] = {**WRITTEN_OUT, **OPERATORS}

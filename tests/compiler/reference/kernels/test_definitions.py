"""Kernels against definitions written as loops, over random small problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.kernels.erf import erf, erfc
from autoglmc.compiler.reference.kernels.table import KERNELS

SEEDS = st.integers(0, 2**32 - 1)


def compute(operator: str, inputs: list[Any], version: int = 22, outputs: int = 1, **attributes: Any) -> tuple[Any, ...]:
    dtypes = tuple("" if v is None else "float32" if np.asarray(v).dtype.kind == "f" else np.asarray(v).dtype.name for v in inputs)
    call = Call(
        operator=operator, domain="", version=version, attributes=attributes, inputs=tuple(inputs), dtypes=dtypes, outputs=outputs
    )  # fmt: skip
    with np.errstate(all="ignore"):
        return KERNELS["", operator](call)


@settings(deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_erf(x: float) -> None:
    got, complement = float(erf(x)), float(erfc(x))
    if math.isnan(x):
        assert math.isnan(got) and math.isnan(complement)
        return
    assert abs(got - math.erf(x)) <= 3e-16
    assert abs(got - math.erf(x)) <= 4e-15 * abs(math.erf(x))
    assert abs(complement - math.erfc(x)) <= (3e-15 if x < 3 else 1e-13 if x < 6 else 1e-9) * math.erfc(x) + 1e-300


WINDOWS = st.fixed_dictionaries(
    {
        "size": st.integers(1, 6),
        "kernel": st.integers(1, 3),
        "stride": st.integers(1, 4),
        "dilation": st.integers(1, 3),
        "before": st.integers(0, 3),
        "behind": st.integers(0, 3),
    }
).filter(lambda w: w["size"] + w["before"] + w["behind"] >= (w["kernel"] - 1) * w["dilation"] + 1)


def attributes_of(windows: list[Mapping[str, int]]) -> dict[str, Any]:
    return {
        "strides": [w["stride"] for w in windows],
        "dilations": [w["dilation"] for w in windows],
        "pads": [w["before"] for w in windows] + [w["behind"] for w in windows],
    }


def members(window: Mapping[str, int], position: int) -> list[int]:
    """Where the elements of one window lie, the padding included: below 0 or beyond the size."""
    return [position * window["stride"] - window["before"] + k * window["dilation"] for k in range(window["kernel"])]


def positions(window: Mapping[str, int], ceil: bool = False) -> int:
    """Windows that fit; rounded up, one more that does not, but none that starts in the padding behind the tensor."""
    free = window["size"] + window["before"] + window["behind"] - (window["kernel"] - 1) * window["dilation"] - 1
    count = free // window["stride"] + 1
    if not ceil:
        return count
    count += free % window["stride"] > 0
    return count - ((count - 1) * window["stride"] >= window["size"] + window["before"])


@settings(deadline=None, max_examples=30)
@given(st.lists(WINDOWS, min_size=1, max_size=2), st.sampled_from([(4, 2, 1), (4, 6, 2), (4, 4, 4), (2, 6, 2), (1, 3, 1)]), SEEDS)
def test_convolution(windows: list[Mapping[str, int]], channels: tuple[int, int, int], seed: int) -> None:
    ins, outs, group = channels
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, ins, *(w["size"] for w in windows)))
    filters = rng.standard_normal((outs, ins // group, *(w["kernel"] for w in windows)))
    bias = rng.standard_normal(outs)
    (got,) = compute("Conv", [x, filters, bias], group=group, **attributes_of(windows))
    assert got.shape == (2, outs, *(positions(w) for w in windows))
    for place in product(*(range(n) for n in got.shape)):
        n, m, *at = place
        total = bias[m]
        for c in range(ins // group):
            channel = m // (outs // group) * (ins // group) + c
            for taps in product(*(enumerate(members(w, p)) for w, p in zip(windows, at, strict=True))):
                where = tuple(i for _, i in taps)
                if all(0 <= i < w["size"] for i, w in zip(where, windows, strict=True)):
                    total += x[(n, channel, *where)] * filters[(m, c, *(k for k, _ in taps))]
        assert abs(got[place] - total) < 1e-12


@settings(deadline=None, max_examples=30)
@given(st.lists(WINDOWS, min_size=1, max_size=2), st.sampled_from([(4, 2, 1), (4, 3, 2), (4, 1, 4)]), SEEDS)
def test_a_transposed_convolution_is_the_adjoint(windows: list[Mapping[str, int]], channels: tuple[int, int, int], seed: int) -> None:
    """<conv(x), y> = <x, transposed(y)> wherever the sizes agree."""
    group_outs, group_ins, group = channels
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal((group_outs, group_ins, *(w["kernel"] for w in windows)))
    y = rng.standard_normal((1, group_outs, *(positions(w) for w in windows)))
    extra = [w["size"] + w["before"] + w["behind"] - (w["kernel"] - 1) * w["dilation"] - 1 for w in windows]
    padding = [free % w["stride"] for free, w in zip(extra, windows, strict=True)]
    (back,) = compute("ConvTranspose", [y, filters], group=group, output_padding=padding, **attributes_of(windows))
    x = rng.standard_normal((1, group_ins * group, *(w["size"] for w in windows)))
    assert back.shape == x.shape
    (there,) = compute("Conv", [x, filters], group=group, **attributes_of(windows))
    assert abs((there * y).sum() - (x * back).sum()) < 1e-10


@settings(deadline=None, max_examples=50)
@given(st.lists(WINDOWS, min_size=1, max_size=2), st.booleans(), st.booleans(), SEEDS)
def test_pools(windows: list[Mapping[str, int]], ceil: bool, include: bool, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((1, 2, *(w["size"] for w in windows)))
    shared = {**attributes_of(windows), "kernel_shape": [w["kernel"] for w in windows], "ceil_mode": int(ceil)}
    (largest,) = compute("MaxPool", [x], **shared)
    with_index, index = compute("MaxPool", [x], outputs=2, **shared)
    (mean,) = compute("AveragePool", [x], count_include_pad=int(include), **shared)
    (norm,) = compute("LpPool", [x], p=3, **shared)
    assert largest.shape == mean.shape == norm.shape == (1, 2, *(positions(w, ceil) for w in windows))
    np.testing.assert_array_equal(with_index, largest)
    for place in product(*(range(n) for n in largest.shape)):
        n, c, *at = place
        inside, counted = [], 0
        for where in product(*(members(w, p) for w, p in zip(windows, at, strict=True))):
            counted += all(-w["before"] <= i < w["size"] + w["behind"] for i, w in zip(where, windows, strict=True))
            if all(0 <= i < w["size"] for i, w in zip(where, windows, strict=True)):
                inside.append(float(x[(n, c, *where)]))
        assert largest[place] == max(inside, default=-math.inf)
        if inside:
            assert x.ravel()[index[place]] == largest[place]
        if inside or (include and counted):
            assert math.isclose(mean[place], sum(inside) / (counted if include else len(inside)), abs_tol=1e-12)
        assert math.isclose(norm[place], sum(abs(v) ** 3 for v in inside) ** (1 / 3), abs_tol=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(-128, 127), min_size=1, max_size=9), st.integers(-128, 127).filter(bool))
def test_integers_divide_toward_zero_and_wrap(dividends: list[int], divisor: int) -> None:
    a, b = np.array(dividends, np.int8), np.array(divisor, np.int8)
    (quotient,), (rest,) = compute("Div", [a, b]), compute("Mod", [a, b], fmod=1)
    (product_,) = compute("Mul", [a, b])
    for value, q, r, p in zip(dividends, quotient, rest, product_, strict=True):
        assert (int(q) - math.trunc(value / divisor)) % 256 == 0
        assert int(r) == math.fmod(value, divisor)
        assert (int(p) - value * divisor) % 256 == 0
    assert quotient.dtype == rest.dtype == product_.dtype == np.int8


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9), st.sampled_from([0.5, 0.1, 3.0]), st.integers(-128, 127))
def test_quantisation_rounds_half_to_even_and_saturates(values: list[float], scale: float, zero: int) -> None:
    x, step = np.array(values), float(np.float32(scale))
    (got,) = compute("QuantizeLinear", [x, np.array(step), np.array(zero, np.int8)])
    for value, found in zip(values, got, strict=True):
        exact = float(np.float32(value / step))
        assert int(found) == min(max(round(exact) + zero, -128), 127)  # Python's round is half to even
    (back,) = compute("DequantizeLinear", [got, np.array(step), np.array(zero, np.int8)])
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, (got.astype(int) - zero) * step)


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.booleans(), st.sampled_from(["forward", "reverse"]), SEEDS)
def test_lstm(batch: int, time: int, peepholes: bool, direction: str, seed: int) -> None:
    """One sequence after the other, gate by gate."""
    rng = np.random.default_rng(seed)
    n = 3
    x, w, r, b = (
        rng.standard_normal((time, batch, 2)),
        rng.standard_normal((4 * n, 2)),
        rng.standard_normal((4 * n, n)),
        rng.standard_normal(8 * n),
    )
    p = rng.standard_normal(3 * n) if peepholes else np.zeros(3 * n)
    lengths = rng.integers(1, time + 1, batch).astype(np.int32)
    inputs = [x, w[None], r[None], b[None], lengths, None, None, p[None] if peepholes else None]
    y, last, cell = compute("LSTM", inputs, outputs=3, hidden_size=n, direction=direction)

    def sigmoid(value: Any) -> Any:
        return 1 / (1 + np.exp(-value))

    for k in range(batch):
        h, c = np.zeros(n), np.zeros(n)
        steps = range(lengths[k])
        for t in reversed(steps) if direction == "reverse" else steps:
            i, o, f, g = np.split(w @ x[t, k] + r @ h + b[: 4 * n] + b[4 * n :], 4)
            c_new = sigmoid(f + p[2 * n :] * c) * c + sigmoid(i + p[:n] * c) * np.tanh(g)
            h, c = sigmoid(o + p[n : 2 * n] * c_new) * np.tanh(c_new), c_new
            np.testing.assert_allclose(y[t, 0, k], h, atol=1e-12)
        np.testing.assert_array_equal(y[lengths[k] :, 0, k], 0)
        np.testing.assert_allclose(last[0, k], h, atol=1e-12)
        np.testing.assert_allclose(cell[0, k], c, atol=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_soft_maxima_below_opset_13_are_over_all_that_follows_the_axis(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    x = np.random.default_rng(data.draw(SEEDS)).standard_normal(shape)
    flat = x.reshape(math.prod(shape[:axis]), -1)
    (old,), (new,) = compute("Softmax", [x], 12, axis=axis), compute("Softmax", [x], 13, axis=axis)
    np.testing.assert_allclose(old.reshape(flat.shape), np.exp(flat) / np.exp(flat).sum(1, keepdims=True), atol=1e-15)
    np.testing.assert_allclose(new, np.exp(x) / np.exp(x).sum(axis, keepdims=True), atol=1e-15)
    (hard,) = compute("Hardmax", [x], 12, axis=axis)
    assert (hard.reshape(flat.shape).sum(1) == 1).all()
    assert (flat[hard.reshape(flat.shape) == 1] == flat.max(1)).all()


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 12), st.sampled_from(["half_pixel", "align_corners", "asymmetric"]), SEEDS)
def test_resizing_linearly(size: int, out: int, coordinates: str, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((1, 1, size))
    sizes = np.array([1, 1, out])
    (got,) = compute("Resize", [x, None, None, sizes], mode="linear", coordinate_transformation_mode=coordinates)
    for i in range(out):
        ends = i * (size - 1) / (out - 1) if out > 1 else 0.0
        place = {"half_pixel": (i + 0.5) * size / out - 0.5, "align_corners": ends, "asymmetric": i * size / out}[coordinates]
        place = min(max(place, 0.0), size - 1.0)
        low = math.floor(place)
        high = min(low + 1, size - 1)
        assert math.isclose(got[0, 0, i], x[0, 0, low] * (1 - place + low) + x[0, 0, high] * (place - low), abs_tol=1e-12)


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.5, -0.0, math.nan, math.inf, -math.inf, 7e4, 1e39, 1e-9]), min_size=1, max_size=6))
def test_a_cast_overflows_but_does_not_round(values: list[float]) -> None:
    x = np.array(values)
    for number, name in ((1, "float32"), (10, "float16")):
        (got,) = compute("Cast", [x], to=number)
        with np.errstate(over="ignore"):
            narrow = x.astype(name)
        np.testing.assert_array_equal(got, np.where(np.isinf(narrow), narrow.astype(np.float64), x))
    (integers,) = compute("Cast", [np.array([1.9, -1.9, 300.0])], to=3)
    assert integers.tolist() == [1, -1, 44] and integers.dtype == np.int8


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(-8, 8), st.integers(-8, 8), st.sampled_from([1, 2, -1, -3]))
def test_slices_clamp_as_the_standard_says(size: int, start: int, end: int, step: int) -> None:
    x = np.arange(size)
    (got,) = compute("Slice", [x, np.array([start]), np.array([end]), np.array([0]), np.array([step])])
    start, end = (v + size if v < 0 else v for v in (start, end))
    if step > 0:
        start, end = min(max(start, 0), size), min(max(end, 0), size)
    else:
        start, end = min(max(start, 0), size - 1), min(max(end, -1), size - 1)
    assert got.tolist() == ([x[i] for i in range(start, end, step)] if size else [])

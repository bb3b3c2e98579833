"""Recognises layer and RMS normalisation in the primitives that exporters write.

    m = mean(x),  v = mean((x - m)²)   or   mean(x²) - m²   or   max(mean(x²) - m², 0)
    (x - m) / √(v + ε) · scale + bias      ->  LayerNormalization(x, scale, bias; ε)        opset 17
    x / √(mean(x²) + ε) · scale            ->  RMSNormalization(x, scale; ε)                opset 23
    the first one over all axes but N and C, scale and bias per channel
                                           ->  InstanceNormalization(x, scale, bias; ε)     opset 6

Scale and bias are optional. Axes other than the last ones are brought there by a Transpose and back. The mean(x²) - m² spelling
rounds at the size of mean(x²): its v is off by about u·(v + m²), u the rounding unit, and its result by the factor 1 + u·(1 + m²/v)/2.
LayerNormalization subtracts m first and is not, so the two differ by what the spelling lost: some roundings where |m| ≤ √v, a hundred
times as much where |m| = 10·√v, everything where m² > v/u.
"""

from __future__ import annotations

import math

import numpy as np

from ...targets.dtypes import FLOATS
from ..formula.pattern import PRODUCTS, SUMS, Formula, clip, mean, scalar, var, weight
from ..graph.graph import Graph
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

MOST_NORMALISED = 1 << 22
"""Elements that scale and bias may have."""

x, epsilon, gain, shift = var("x"), scalar("epsilon"), scalar("gain"), scalar("shift", 0.0)
scale, bias = weight("scale"), weight("bias")
VARIANCES = (mean((x - mean(x)) ** 2), mean(x**2) - mean(x) ** 2, clip(mean(x**2) - mean(x) ** 2, 0.0, float("inf")))
CENTRED = tuple(gain * (x - mean(x)) * (v + epsilon) ** -0.5 for v in VARIANCES)
BARE = gain * (x - mean(x)) * VARIANCES[0] ** -0.5
"""With an ε that the model's dtype cannot hold."""


def _weighted(centred: Formula) -> tuple[Formula, ...]:
    return (centred * scale + bias + shift, centred * scale + shift, centred + bias + shift)


WEIGHTED = tuple(formula for c in CENTRED for formula in _weighted(c))
LAYER = (*WEIGHTED, *_weighted(BARE), *(c + shift for c in (*CENTRED, BARE)))
SQUARES = gain * x * (mean(x**2) + epsilon) ** -0.5


def unless_layer(graph: Graph, found: Bindings) -> str | None:
    """ε may be missing, or 0 as 1e-12 is in fp16: the operator with ε = 0 gives NaN where the variance is 0, as the spelling does."""
    return unless(graph, found) if "epsilon" in found else _unless_shapes(graph, found)


def unless(graph: Graph, found: Bindings) -> str | None:
    if found.number("epsilon") <= 0.0:
        return f"ε is {found.number('epsilon'):g}, not positive"
    return _unless_shapes(graph, found)


def _unless_shapes(graph: Graph, found: Bindings) -> str | None:
    view = graph.tensor(found["x"])
    if view.shape is None or view.dtype not in FLOATS:
        return "the shape of x is not known"
    if view.dtype == "fp64":
        return "x is fp64, and the normalisation operators compute in fp32"
    for name in ("scale", "bias"):
        if name in found and _along(graph, found, name) is None:
            return f"{found[name]} varies along an axis that is not normalised"
    if _extents(graph, found) is None and ("scale" not in found or "bias" not in found):
        return "the normalised extents are not known, so scale and bias cannot be made"
    if math.prod(_extents(graph, found) or ()) > MOST_NORMALISED:
        return f"it normalises over more than {MOST_NORMALISED} elements: its scale would take as much memory as the tensor"
    return None


def unless_rms(graph: Graph, found: Bindings) -> str | None:
    axes = found.integers("axes")
    if axes != tuple(range(-len(axes), 0)):
        return f"axes {axes} are not the last ones"
    return unless(graph, found)


def build_layer(b: Builder, found: Bindings) -> str:
    axes, shape = found.integers("axes"), b.graph.tensor(found["x"]).shape or ()
    inputs = [found["x"], _operand(b, found, "scale", "gain")]
    if "bias" in found or found.number("shift"):
        inputs.append(_operand(b, found, "bias", "shift"))
    last = axes == tuple(range(-len(axes), 0))
    order = [k for k in range(len(shape)) if k - len(shape) not in axes] + [k + len(shape) for k in axes]
    if not last:
        inputs[0] = b.op("Transpose", inputs[0], perm=tuple(order))
    result = b.op("LayerNormalization", *inputs, axis=-len(axes), epsilon=found.number("epsilon") if "epsilon" in found else 0.0)
    if not last:
        result = b.op("Transpose", result, perm=tuple(int(k) for k in np.argsort(order)))
    return result


def unless_instance(graph: Graph, found: Bindings) -> str | None:
    axes, view = found.integers("axes"), graph.tensor(found["x"])
    if view.shape is None or view.dtype not in FLOATS or view.dtype == "fp64":
        return "the shape of x is not known, or it is fp64, which the operator does not compute in"
    if len(view.shape) < 3 or axes != tuple(range(2 - len(view.shape), 0)) or view.shape[1] is None:
        return f"axes {axes} are not all those after the channels"
    if found.number("epsilon") <= 0.0:
        return f"ε is {found.number('epsilon'):g}, not positive"
    for name in ("scale", "bias"):
        if name in found and _per_channel(graph, found, name) is None:
            return f"{found[name]} is not one value per channel"
    return None


def _per_channel(graph: Graph, found: Bindings, name: str) -> np.ndarray | None:
    """The constant as an array over channels; None if it varies elsewhere."""
    shape, array = graph.tensor(found["x"]).shape, graph.value(found[name])
    if shape is None or array is None or array.ndim < len(shape) - 1 or array.ndim > len(shape):
        return None
    channels = array.shape[1 - len(shape)]
    return array.reshape(-1) if array.size == channels == shape[1] else None


def build_instance(b: Builder, found: Bindings) -> str:
    channels = (b.graph.tensor(found["x"]).shape or (0, 0))[1]
    scale, bias = np.full(channels or 0, found.number("gain")), np.full(channels or 0, found.number("shift"))
    for name, array in (("scale", scale), ("bias", bias)):
        given = _per_channel(b.graph, found, name) if name in found else None
        if given is not None:
            array[:] = array * given if name == "scale" else array + given
    return b.op("InstanceNormalization", found["x"], b.array(scale), b.array(bias), epsilon=found.number("epsilon"))


def build_rms(b: Builder, found: Bindings) -> str:
    weights = _operand(b, found, "scale", "gain")
    return b.op("RMSNormalization", found["x"], weights, axis=-len(found.integers("axes")), epsilon=found.number("epsilon"))


def _operand(b: Builder, found: Bindings, name: str, number: str) -> str:
    """Scale (times gain) or bias (plus shift) over the normalised axes; the model's own constant where nothing is to be done."""
    value = found.number(number)
    neutral = 1.0 if name == "scale" else 0.0
    extents = _extents(b.graph, found)
    array = _along(b.graph, found, name) if name in found else np.full(extents or (1,), neutral)
    assert array is not None, "unless() has checked"
    if name in found and value == neutral and b.graph.tensor(found[name]).shape == array.shape:
        return found[name]
    wide = array.astype(np.float64)
    return b.array(wide * value if name == "scale" else wide + value, name=name)


def _extents(graph: Graph, found: Bindings) -> tuple[int, ...] | None:
    shape = graph.tensor(found["x"]).shape
    extents = [shape[axis] for axis in found.integers("axes")] if shape else []
    return tuple(e for e in extents if e is not None) if extents and None not in extents else None


def _along(graph: Graph, found: Bindings, name: str) -> np.ndarray | None:
    """The constant as an array over the normalised axes; None if it varies elsewhere."""
    axes, shape, array = found.integers("axes"), graph.tensor(found["x"]).shape, graph.value(found[name])
    if shape is None or array is None or array.ndim > len(shape):
        return None
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if any(extent != 1 for k, extent in enumerate(full.shape) if k - len(shape) not in axes):
        return None
    extents = _extents(graph, found) or tuple(full.shape[axis] for axis in axes)
    try:
        return np.broadcast_to(full.reshape([full.shape[axis] for axis in axes]), extents)
    except ValueError:
        return None


RECOVER_LAYERNORM = Rewrite(
    name="recover_layernorm",
    summary="(x - mean(x))/√(variance(x) + ε)·scale + bias -> LayerNormalization(x, scale, bias)",
    operators=(*PRODUCTS, *SUMS),
    emits=("LayerNormalization", "Transpose"),
    contract=Contract("reassociates", over="x with |mean| not far above the deviation, where the variance is computed as E[x²] - E[x]²"),
    pattern=LAYER,
    unless=unless_layer,
    build=build_layer,
    before=("recover_rmsnorm",),  # which it is of x - mean(x)
)
RECOVER_INSTANCENORM = Rewrite(
    name="recover_instancenorm",
    summary="(x - mean(x))/√(variance(x) + ε)·scale + bias -> InstanceNormalization(x, scale, bias), scale and bias per channel",
    operators=(*PRODUCTS, *SUMS),
    emits=("InstanceNormalization",),
    contract=Contract("reassociates", over="x with |mean| not far above the deviation, where the variance is computed as E[x²] - E[x]²"),
    pattern=WEIGHTED,
    unless=unless_instance,
    build=build_instance,
)
RECOVER_RMSNORM = Rewrite(
    name="recover_rmsnorm",
    summary="x/√(mean(x²) + ε)·scale -> RMSNormalization(x, scale)",
    operators=PRODUCTS,
    emits=("RMSNormalization",),
    contract=Contract("reassociates"),
    pattern=(SQUARES * scale, SQUARES),
    unless=unless_rms,
    build=build_rms,
)

"""Predicted time of a kernel: from measured rates where a device has them, else its roofline; and whether that was measured.

A kernel of several operators costs what its costliest member costs: a runtime fuses the others into it. An operator without a line falls
back to the roofline and counts as outside what was measured, as does one whose size no measured operator was near, or none of its kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .calibration import Block, Calibration, Measure, Range, Rate
from .cost import computed_in, kernel_seconds, operator_bytes, operator_flops, weight_bytes
from .cost import runs_once as runs_once
from .model import Device, Target
from .operator_view import OperatorView, TensorView
from .support import guard_holds
from .work.integers import in_plain_spelling
from .work.kind import name_of, of_kinds

SLACK = 2.0
"""Work up to this many times beyond the largest that was measured, or this many times below the smallest, counts as measured."""
LONGER = 16.0
"""But operations up to so many times beyond: a loop that goes on for longer keeps its rate, where elements and bytes leave a cache."""

UNITS: Mapping[Measure, str] = {"operations": "OP", "elements": "E", "bytes": "B"}
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
FEWEST = 5
"""Operators that a line must have been measured on: a rate of fewer is used, and not trusted."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Why a prediction is outside what was measured."""

    reason: str
    """Equal for all kernels of which the same is to be said: "Conv larger than any measured"."""
    detail: str = ""
    """Of this kernel: "2.1 GOP, measured 10 MOP..1.42 GOP"."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """Predicted seconds of a kernel, its launch not included."""

    seconds: float
    outside: Beyond | None = None
    """None where the prediction is inside what was measured, and where nothing was."""


def kernel_time(
    target: Target, device: Device, views: Sequence[OperatorView], compute_dtype: str, model_weights: float = 0.0
) -> KernelTime:
    """Time of operators that run as one kernel (often one operator). `model_weights`: bytes of weights that a run of the model reads, which
    decide what share of them no cache keeps from run to run."""
    if device.calibration is None:
        return KernelTime(kernel_seconds(target, device, views, compute_dtype))
    calibration, compute_dtype = device.calibration, computed_in(device, compute_dtype)
    members = [_operator_time(target, device, calibration, view, compute_dtype) for view in views]
    slowest, in_bytes = max(members, key=lambda member: member[0].seconds)
    if not calibration.weights_bandwidth:
        return slowest
    share = streamed_share(calibration.weights_beyond, model_weights)
    read = share * weight_bytes(views, compute_dtype) if share and not all(map(runs_once, views)) else 0.0
    streamed = read / calibration.weights_bandwidth
    return KernelTime(max(slowest.seconds, streamed) if in_bytes else slowest.seconds + streamed, slowest.outside)


def streamed_share(beyond: float, weights: float) -> float:
    """The share of a model's bytes of weights that is read from memory in every run: what is `beyond` the caches."""
    return max(0.0, weights - beyond) / weights if weights else 0.0


def _operator_time(
    target: Target, device: Device, calibration: Calibration, view: OperatorView, compute_dtype: str
) -> tuple[KernelTime, bool]:
    """And whether its line counts bytes: the weights that it reads are then among them. They are not added a second time, but where they
    come from memory, and the line was measured on some that lay in a cache, the kernel takes as long as they do."""
    if runs_once(view):
        return KernelTime(0.0), False
    rate = rate_of(calibration, device, view)
    if rate is None:
        view = in_plain_spelling(view)
        rate = rate_of(calibration, device, view)
    if rate is None:
        return KernelTime(kernel_seconds(target, device, (view,), compute_dtype), Beyond(f"no rate for {view.operator}")), False
    amount = work(view, rate.measure, calibration.blocks, compute_dtype)
    seconds = amount / rate.value
    if rate.measure == "operations" and calibration.activations_bandwidth:
        seconds += activation_bytes(view, compute_dtype) / calibration.activations_bandwidth
    return KernelTime(seconds, outside(rate, view, amount)), rate.measure == "bytes"


def rate_of(calibration: Calibration, device: Device, view: OperatorView) -> Rate | None:
    """The first line that names the operator and whose condition holds."""
    name = name_of(view)
    for rate in calibration.rates:
        if name in rate.operators and guard_holds(device, view, rate.where):
            return rate
    return None


def outside(rate: Rate, view: OperatorView, amount: float) -> Beyond | None:
    """Why an operator is outside what the line was measured on; None if it is inside, or the line does not say what it was measured on."""
    if rate.samples is not None and rate.samples < FEWEST:
        return Beyond(f"the rate for {view.operator} rests on {rate.samples} measured operator{'' if rate.samples == 1 else 's'}")
    if rate.kinds is not None and (unlike := of_kinds(view, rate.kinds)):
        return Beyond(*unlike)
    if rate.seen is not None and amount and not _within(amount, rate.seen, beyond(rate.measure)):
        word = "larger" if amount > rate.seen.high else "smaller"
        return Beyond(f"{view.operator} {word} than any measured", _beside(amount, rate.seen, UNITS[rate.measure]))
    extent = inner(view)
    if rate.inner is not None and extent and not _within(extent, rate.inner):
        word = "longer" if extent > rate.inner.high else "shorter"
        return Beyond(f"{view.operator} with a {word} inner extent than any measured", _beside(extent, rate.inner, ""))
    return None


def _beside(value: float, seen: Range, unit: str) -> str:
    low, high = (_short(end, unit) for end in (seen.low, seen.high))
    return f"{_short(value, unit)}, measured {low if low == high else f'{low}..{high}'}"


def _short(value: float, unit: str) -> str:
    """Three digits: "1.42 GOP". Sizes decimal; without a unit, a whole number as it is."""
    if not unit:
        return f"{value:g}"
    scale, prefix = next((pair for pair in PREFIXES if value >= pair[0]), (1.0, ""))
    return f"{float(f'{value / scale:.3g}'):g} {prefix}{unit}"


def beyond(measure: Measure) -> float:
    """How many times larger than the largest that was measured work may be that counts as measured."""
    return LONGER if measure == "operations" else SLACK


def _within(value: float, seen: Range, beyond: float = SLACK) -> bool:
    return seen.low / SLACK <= value <= seen.high * beyond


def work(view: OperatorView, measure: Measure, blocks: Sequence[Block], compute_dtype: str) -> float:
    """How much there is to do of one evaluation, in the unit of a line: operations (with extents rounded up to the runtime's blocks),
    elements (of the result, or of what is reduced), or bytes read and written."""
    if measure == "operations":
        return operator_flops(view) * padding(view, blocks)
    if measure == "bytes":
        return operator_bytes(view, compute_dtype)
    ends: tuple[TensorView | None, ...] = (next(iter(view.inputs.values()), None), next(iter(view.outputs.values()), None))
    return float(max((tensor.elements or 0 for tensor in ends if tensor is not None), default=0))


def activation_bytes(view: OperatorView, compute_dtype: str) -> float:
    """Bytes that it reads and writes besides constants."""
    return operator_bytes(view, compute_dtype) - weight_bytes((view,), compute_dtype)


def padding(view: OperatorView, blocks: Sequence[Block]) -> float:
    """Factor by which blocks increase the operations of a convolution without groups."""
    multiple = next((b.multiple for b in blocks if b.axis == "channels" and view.operator in b.operators), 1)
    shape = next((t.shape for label, t in view.inputs.items() if label in ("W", "w")), None)
    if multiple == 1 or shape is None or len(shape) < 3 or view.attributes.get("group", 1) != 1:
        return 1.0
    out, into = shape[0] or 0, shape[1] or 0
    if view.operator == "ConvTranspose":
        out, into = into, out
    factor = _rounded(out, multiple) / out if out else 1.0
    return factor * (_rounded(into, multiple) / into if into >= multiple else 1.0)


def inner(view: OperatorView) -> float | None:
    """The extent of what one result is computed from: channels of a group times kernel, K of a product, the axes that are normalised or
    reduced; else the last axis. None where it is not known, or there is none."""
    shapes = {label: t.shape for label, t in view.inputs.items()}
    weight, first = shapes.get("W") or shapes.get("w"), next(iter(shapes.values()), None)
    found: Sequence[int | None] | None
    if view.operator in ("Conv", "QLinearConv", "ConvInteger", "FusedConv"):
        found = weight[1:] if weight else None
    elif view.operator == "ConvTranspose":
        found = (weight[0], *weight[2:]) if weight else None
    elif view.operator == "Gemm":
        found = (first[0 if view.attributes.get("transA") else -1],) if first else None
    elif view.operator in ("Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization"):
        found = _normalised(view, first)
    else:
        found = first[-1:] if first else None
    return None if found is None or None in found else float(math.prod(d or 0 for d in found))


def _normalised(view: OperatorView, shape: tuple[int | None, ...] | None) -> Sequence[int | None] | None:
    axis = view.attributes.get("axis", -1)
    if not shape or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return None
    one = view.operator in ("Softmax", "LogSoftmax") and view.opset >= 13
    return (shape[axis],) if one else shape[axis % len(shape) :]


def _rounded(extent: int, multiple: int) -> int:
    return -(-extent // multiple) * multiple

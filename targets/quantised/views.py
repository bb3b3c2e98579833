"""An operator of a float model as a device sees it in another form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..dtypes import FLOATS
from ..operator_view import OperatorView, TensorView
from ..operators import key_of
from ..precision import Form
from .scales import Scales, middle

WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "Conv": ("W",), "ConvTranspose": ("W",), "Gemm": ("B",), "MatMul": ("B",), "Gather": ("data",), "LSTM": ("W", "R"), "GRU": ("W", "R"),
    "RNN": ("W", "R"), "com.microsoft::FusedMatMul": ("B",),
}  # fmt: skip
"""By operator, the operands that are weights where they are constant; what else is constant (a bias, a threshold) is small."""


def weights_of(view: OperatorView) -> tuple[str, ...]:
    """The names of its operands that are weights: constant, of floats."""
    known = WEIGHTS.get(key_of(view.domain, view.operator), ())
    return tuple(name for name in known if name in view.inputs and view.inputs[name].const and view.inputs[name].dtype in FLOATS)


def in_float(view: OperatorView, dtype: str) -> OperatorView:
    """The operator with its float operands and results in another float dtype."""

    def cast(tensors: Mapping[str, TensorView]) -> dict[str, TensorView]:
        return {label: replace(tensor, dtype=dtype) if tensor.dtype in FLOATS else tensor for label, tensor in tensors.items()}

    return replace(view, inputs=cast(view.inputs), outputs=cast(view.outputs))


def in_form(view: OperatorView, form: Form) -> OperatorView:
    """The operator between DequantizeLinear and QuantizeLinear, in a form of integer activations: as `quantised` units are asked about.
    Scales are not known before calibration; a bias counts as of the activations' dtype."""
    weights = weights_of(view)
    activations = Scales(zero_points=(middle(form.activations),) if form.symmetric else None)

    def seen(label: str, tensor: TensorView) -> TensorView:
        if tensor.dtype not in FLOATS:
            return tensor
        if label in weights:
            return replace(tensor, dtype=form.weights, scales=_of_weights(view, tensor, form))
        return replace(tensor, dtype=form.activations, scales=activations)

    inputs = {label: seen(label, tensor) for label, tensor in view.inputs.items()}
    outputs = {label: seen(label, tensor) for label, tensor in view.outputs.items()}
    return replace(view, inputs=inputs, outputs=outputs, quantised=True)


def _of_weights(view: OperatorView, tensor: TensorView, form: Form) -> Scales:
    """Symmetric; in blocks along the inner axis, by output channel, or one for all."""
    zero = (middle(form.weights),)
    channel = _channel_axis(view, tensor)
    if form.block:
        return Scales(axis=_inner_axis(tensor, channel), block=form.block, zero_points=zero)
    return Scales(axis=channel if form.per_channel else None, zero_points=zero)


def _channel_axis(view: OperatorView, weight: TensorView) -> int:
    """The axis of output channels of a weight."""
    rank = len(weight.shape) if weight.shape else 1
    match view.operator:
        case "Conv" | "Gather":
            return 0
        case "ConvTranspose" | "LSTM" | "GRU" | "RNN":
            return min(1, rank - 1)
        case "Gemm":
            return 0 if view.attributes.get("transB") == 1 else rank - 1
        case "FusedMatMul":
            return max(rank - 2, 0) if view.attributes.get("transB") == 1 else rank - 1
        case _:
            return rank - 1


def _inner_axis(weight: TensorView, channel: int) -> int:
    """The axis that sums run over, along which blocks lie."""
    rank = len(weight.shape) if weight.shape else 1
    return max(rank - 2, 0) if channel == rank - 1 else channel + 1 if channel + 1 < rank else 0

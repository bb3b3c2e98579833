"""Whether an operator of today can be written at an opset below 18, judged by how it is used: what runtimes of older boards read.

Most versions up to 18 only widened dtypes, or moved an attribute to an input. CHANGED lists those that gave the same spelling another
meaning; below OLDEST so much did (no negative axes, other broadcasting) that nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from ...targets.operator_view import OperatorView
from ...targets.operators import OperatorVersion, Slot, key_of, version_at

OLDEST = 11
CHANGED: Mapping[str, tuple[int, ...]] = {
    "BatchNormalization": (14, 15),  # training mode, its outputs
    "DequantizeLinear": (13,),  # a scale per channel
    "Dropout": (12,),  # ratio and mode became inputs
    "Hardmax": (13,),  # one axis instead of all from it on
    "LogSoftmax": (13,),
    "LpPool": (18,),  # dilations and ceil_mode
    "MeanVarianceNormalization": (13,),
    "NegativeLogLikelihoodLoss": (13,),
    "OptionalGetElement": (18,),  # takes what is no optional
    "OptionalHasElement": (18,),
    "Pad": (18,),  # the axes that are padded
    "QuantizeLinear": (13,),
    "Resize": (13, 18),  # which operands may be left out; antialiasing
    "RoiAlign": (16,),  # another default of where a pixel's centre is
    "Softmax": (13,),
    "SoftmaxCrossEntropyLoss": (13,),
}
"""Operator -> the opsets after OLDEST, up to 18, that changed what it means. In doubt an operator is here."""


def not_as_old(view: OperatorView, written: int, opset: int, given: Mapping[str, onnx.AttributeProto]) -> str:
    """Why an operator written at opset `written` cannot be written at an older opset below 18; "" if its signature allows it.
    Dtypes and attributes that came later are left to `versions.unlike`."""
    key = key_of(view.domain, view.operator)
    here, there = version_at(key, written), version_at(key, opset)
    if here is None or there is None or there.deprecated:
        return f"{view.operator} of opset {opset} is not known"
    if opset > written or opset < OLDEST:
        return f"{view.operator} of opset {here.since} differs from opset {there.since}"
    changed = next((change for change in CHANGED.get(view.operator, ()) if opset < change <= written), 0)
    if changed:
        return f"opset {changed} changed the meaning of {view.operator}"
    missing = sorted(name for name, kind in there.attributes.items() if kind.endswith("!") and name not in given)
    if missing:
        return f"opset {opset} requires the attribute {missing[0]} of {view.operator}"
    return _operands(view, here, there, opset)


def _operands(view: OperatorView, here: OperatorVersion, there: OperatorVersion, opset: int) -> str:
    """Operands are identified by position: those in use must have kept theirs, those once required must be present, and those that
    once shared a dtype must still share one."""
    dtypes: dict[str, str] = {}
    for new, old, tensors in ((here.inputs, there.inputs, view.inputs), (here.outputs, there.outputs, view.outputs)):
        used = {label.partition(".")[0] for label in tensors}
        for label in sorted(used):
            if _place(new, label) != _place(old, label) or _variadic(new, label) != _variadic(old, label):
                return f"opset {opset} has no operand {label} of {view.operator} in its place"
        lacking = next((slot.name for slot in old if not slot.option and slot.name not in used), "")
        if lacking:
            return f"opset {opset} requires the operand {lacking} of {view.operator}"
        variables = {slot.name: slot.variable for slot in old}
        for label, tensor in tensors.items():
            if dtypes.setdefault(variables[label.partition(".")[0]], tensor.dtype) != tensor.dtype:
                return f"{view.operator} of opset {opset} does not take {tensor.dtype} as {label} together with another dtype"
    return ""


def _place(slots: tuple[Slot, ...], name: str) -> int:
    return next((k for k, slot in enumerate(slots) if slot.name == name), -1)


def _variadic(slots: tuple[Slot, ...], name: str) -> bool:
    return any(slot.name == name and slot.option == "variadic" for slot in slots)

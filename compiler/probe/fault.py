"""Whether a runtime took a small model and computed it right, up to what fp16 rounding changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..differing_digits import differing
from ..verify.compare import TensorDifference, difference
from ..verify.judge import APPROXIMATE, NARROW
from ..verify.narrow import narrowed
from .slice_model import run_on_cpu
from .try_models import ProbeResult

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

COSINE = 0.999
"""Of one operator's output in fp16 with the exact one; below this it computes something else."""
SHARE = 0.02
"""Of the standard deviation: a smaller difference of one operator is never called wrong."""


def fault(model: onnx.ModelProto, values: Mapping[str, Array], tried: ProbeResult) -> str:
    """Why the runtime cannot be trusted with this model; "" where it can."""
    if tried.outputs is None:
        return "" if tried.accepted else f"it is refused: {_first_line(tried.message)}"
    expected = run_on_cpu(model, values)
    rounded = run_on_cpu(narrowed(model), values)
    for name, value in expected.items():
        d, fp16 = difference(name, [(value, tried.outputs[name])]), difference(name, [(value, rounded[name])])
        if _wrong(d, fp16):
            return f"it is computed wrong: {_how(d, fp16)}"
    return ""


def _wrong(d: TensorDifference, fp16: TensorDifference) -> bool:
    if d.mismatched > APPROXIMATE * d.elements and fp16.mismatched <= APPROXIMATE * d.elements:
        return True
    if fp16.cosine < COSINE:
        return False
    return d.cosine < COSINE or (d.max_abs > NARROW * fp16.max_abs and d.max_abs_over_std > SHARE)


def _how(d: TensorDifference, fp16: TensorDifference) -> str:
    if d.mismatched > APPROXIMATE * d.elements:
        return d.mismatch
    off, rounding = differing(d.max_abs, fp16.max_abs)
    cosine, least = differing(d.cosine, COSINE)
    turned = f"; cosine {cosine}, below the minimum {least}" if d.cosine < COSINE else ""
    return f"off by {off}, where rounding to fp16 alone changes {rounding}{turned}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "no message")[:300]

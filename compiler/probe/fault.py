"""Whether a runtime took a small model and computed it right, as far as fp16 lets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
"""One operator alone keeps its direction in fp16; below this it computes something else."""
SHARE = 0.02
"""Of the standard deviation: less than this is never called wrong for one operator."""


def fault(model: onnx.ModelProto, values: Mapping[str, Array], tried: ProbeResult) -> str:
    """Why the runtime cannot be trusted with this model; "" where it can."""
    if tried.outputs is None:
        return "" if tried.accepted else f"it is refused: {_first_line(tried.message)}"
    expected = run_on_cpu(model, values)
    rounded = run_on_cpu(narrowed(model), values)
    for name, value in expected.items():
        d, fp16 = difference(name, [(value, tried.outputs[name])]), difference(name, [(value, rounded[name])])
        if _wrong(d, fp16):
            return f"it is computed wrong: off by {d.max_abs:.3g} (cosine {d.cosine:.3g}) where fp16 explains {fp16.max_abs:.3g}"
    return ""


def _wrong(d: TensorDifference, fp16: TensorDifference) -> bool:
    if d.mismatched > APPROXIMATE * d.elements and fp16.mismatched <= APPROXIMATE * d.elements:
        return True
    if fp16.cosine < COSINE:
        return False
    return d.cosine < COSINE or (d.max_abs > NARROW * fp16.max_abs and d.max_abs_over_std > SHARE)


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "without a word")[:300]

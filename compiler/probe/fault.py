"""Whether a runtime took a small model and computed it right, up to what rounding changes: against its float64 evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..reference.evaluate import Evaluator
from ..reference.program import program_of
from ..reference.rounding import half, noisy
from ..verify.compare import TensorDifference
from ..verify.judge import judge
from ..verify.terms import EXACT, NARROW, Sample
from .slice_model import run_on_cpu
from .try_models import ProbeResult

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

SHARE = 0.02
"""Of the standard deviation: a smaller difference of one operator is never called wrong."""
COSINE = 0.999
"""Of one operator's output in fp16 with the exact one; below this it computes something else, unless fp16 itself does that."""


def fault(model: onnx.ModelProto, values: Mapping[str, Array], tried: ProbeResult, narrow: bool = True) -> str:
    """Why the runtime cannot be trusted with this model; "" where it can. narrow: it may compute in fp16."""
    if tried.outputs is None:
        return "" if tried.accepted else f"it is refused: {_first_line(tried.message)}"
    evaluator = Evaluator(program_of(model))
    fed = {value.name: values[value.name] for value in model.graph.input}
    exact = evaluator.run(fed).values
    halved = evaluator.run(fed, rounding=half).values
    ways = (run_on_cpu(model, fed), evaluator.run(fed, rounding=noisy(0)).values, *((halved,) if narrow else ()))
    for name, expected in exact.items():
        got = tried.outputs[name]
        found = judge(name, [Sample("the probe", expected, got, tuple(way[name] for way in ways))], NARROW if narrow else EXACT)
        rounded = judge(name, [Sample("fp16", expected, halved[name])], NARROW) if narrow else None
        if _wrong(found, rounded):
            return f"it is computed wrong: {found.fault or _turned(found)}"
    return ""


def _wrong(found: TensorDifference, rounded: TensorDifference | None) -> bool:
    """rounded: what fp16 itself does, where the runtime may compute in that."""
    if found.fault and found.mismatched > (rounded.mismatched if rounded else 0):
        return True
    if rounded is not None and rounded.cosine < COSINE:
        return False
    return found.cosine < COSINE or (bool(found.fault) and found.max_abs_over_std > SHARE)


def _turned(found: TensorDifference) -> str:
    return f"{found.name} has cosine {found.cosine:.4g} with what is expected, below the minimum {COSINE:g}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "no message")[:300]

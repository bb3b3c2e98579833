"""Whether a runtime took a small model and computed it right, up to what rounding changes: against its float64 evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..reference.evaluate import Evaluator
from ..reference.float_source import quantises, unstepped
from ..reference.program import program_of
from ..reference.rounding import exact as unrounded
from ..reference.rounding import half, noisy
from ..verify.compare import TensorDifference
from ..verify.judge import judge
from ..verify.quantised import judge_in_steps
from ..verify.terms import EXACT, NARROW, Sample
from .in_steps import Grid, grids
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


def fault(model: onnx.ModelProto, values: Mapping[str, Array], tried: ProbeResult, narrow: bool = True, steps: int = 0) -> str:
    """Why the runtime cannot be trusted with this model; "" where it can. narrow: it may compute in fp16. Integers that a QuantizeLinear
    writes are judged as the numbers that they stand for, beside what was to be quantised; `steps` of their grid are allowed besides."""
    if tried.outputs is None:
        said = _first_line(tried.message)
        return "" if tried.accepted else f"it crashes: {said}" if tried.crashed else f"it is refused: {said}"
    program = program_of(model)
    evaluator, ends = Evaluator(program), grids(model, values)
    fed = {value.name: values[value.name] for value in model.graph.input}
    sources = tuple(dict.fromkeys(grid.source for grid in ends.values()))
    exact, halved, noise = (evaluator.run(fed, sources, rounding).values for rounding in (unrounded, half, noisy(0)))
    quantised = quantises(model.graph.node)
    floats = evaluator.run(fed, sources, unstepped).values if quantised else None
    own = run_on_cpu(model, fed)
    rounded_last = {node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for name in program.outputs:
        grid = ends.get(name)
        if steps and name in rounded_last and min(_apart(right[name], tried.outputs[name]) for right in (exact, own)) <= steps:
            continue
        if grid is None:
            ways = (own[name], noise[name], *((halved[name],) if narrow else ()))
            sample = Sample("the probe", exact[name], tried.outputs[name], ways, floats=None if floats is None else floats[name])
            rounded = halved[name]
        else:
            sample = _in_steps(grid, name, (exact, noise, *((halved,) if narrow else ())), tried.outputs[name], own, floats)
            rounded = grid.reached(halved[grid.source])
        found = judge(name, [sample], NARROW if narrow else EXACT)
        if _wrong(found, judge(name, [Sample("fp16", sample.expected, rounded)], NARROW) if narrow else None):
            beside = judge_in_steps(name, [sample])
            if beside is None or beside.fault:
                return f"it is computed wrong: {found.fault or _turned(found)}"
    return ""


def _apart(expected: Array, got: Array) -> float:
    """The largest distance of two integers; infinite for other shapes."""
    if expected.shape != got.shape:
        return float("inf")
    return float(abs(expected.astype("int64") - got.astype("int64")).max(initial=0))


def _in_steps(
    grid: Grid, name: str, ways: Sequence[Mapping[str, Any]], got: Array, own: Mapping[str, Any], floats: Mapping[str, Any] | None
) -> Sample:
    """`ways`: the exact one first."""
    steps = [grid.numbers(way[name]) for way in (*ways, own)]
    before = [grid.reached(way[grid.source]) for way in ways]
    source = None if floats is None else grid.reached(floats[grid.source])
    return Sample("the probe", before[0], grid.numbers(got), (*steps, *before[1:]), floats=source)


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

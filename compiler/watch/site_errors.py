"""Every approximated operator alone: is it within its proved bound, on the values that reach it and on a ramp?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.place.placed import Site
from ..differing_digits import differing
from ..errors import UserError, first_line
from ..verify.compare import difference
from ..verify.reference import Reference
from .cut_site import SiteCut, cut_formula, cut_node

if TYPE_CHECKING:
    import onnx

RAMP = 12.0
"""For larger |x| the approximated functions are linear."""
EVERYWHERE = (float("-inf"), float("inf"))
ROUNDING = 16.0
"""Units of rounding, of the largest value, allowed on top of a bound: forms have about as many operators."""


def broken_bounds(
    before: onnx.ModelProto, after: onnx.ModelProto, sites: Sequence[Site], feeds: Mapping[str, Any]
) -> Iterator[tuple[Site, str]]:
    """Sites beyond their bound, with a sentence. `before` and `after` are the whole model around the pass that approximated."""
    cuts = [(site, (cut_formula if site.several else cut_node)(before, after, site.tensor)) for site in sites if site.contract == "bounded"]
    inner = dict.fromkeys(name for _, cut in cuts for name in cut.inputs if name not in feeds)
    values = {**feeds, **Reference(Path(), before, inner).run(feeds)}
    for site, cut in cuts:
        fault = _fault(cut, {name: values[name] for name in cut.inputs}, site.implementation.bound, site.range or EVERYWHERE)
        if fault:
            yield site, fault


def _fault(cut: SiteCut, seen: Mapping[str, Any], bound: float, over: tuple[float, float]) -> str:
    try:
        exact, ours = Reference(Path(), cut.before), Reference(Path(), cut.after)
        low, high = max(over[0], -RAMP), min(over[1], RAMP)
        for values, where in ((_inside(seen, over), "on the values it gets"), (_ramp(seen, low, high), f"for x from {low:g} to {high:g}")):
            expected, got = exact.run(values), ours.run(values)
            for name, value in expected.items():
                found = difference(name, [(value, got[name])])
                if found.mismatched or found.max_abs > bound + _rounding(value, values):
                    off, proved = differing(found.max_abs, bound)
                    kinds = f"{found.mismatch}, " if found.mismatched else ""
                    return f"{kinds}it is off by {off} {where}, its proved bound is {proved}"
    except UserError as problem:
        return f"onnxruntime cannot run it: {first_line(problem)}"
    return ""


def _rounding(output: Any, inputs: Mapping[str, Any]) -> float:
    """What rounding in the output's dtype may add to a bound."""
    import numpy

    if output.dtype.kind != "f":
        return 0.0
    finite = [value[numpy.isfinite(value)] for value in inputs.values() if value.dtype.kind == "f"]
    size = max([1.0, *(float(numpy.abs(value).max()) for value in finite if value.size)])
    return ROUNDING * float(numpy.finfo(output.dtype).eps) * size


def _inside(seen: Mapping[str, Any], over: tuple[float, float]) -> Mapping[str, Any]:
    """The values within the range that a bound is claimed for."""
    if over == EVERYWHERE:
        return seen
    return {name: value.clip(*over) if value.dtype.kind == "f" else value for name, value in seen.items()}


def _ramp(seen: Mapping[str, Any], low: float, high: float) -> dict[str, Any]:
    """Every float array filled with low .. high, the others as they are."""
    import numpy

    return {
        name: numpy.linspace(low, high, value.size).reshape(value.shape).astype(value.dtype) if value.dtype.kind == "f" else value
        for name, value in seen.items()
    }

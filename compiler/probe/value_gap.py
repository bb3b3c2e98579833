"""How far two runs of one model under other settings of its runtime are apart, as a share of what such runs may be apart.

Both are onnxruntime's CPU: once with its optimisations, once without. Between right runs lies rounding alone: in fp32 up to 1e-3 of the
spread for deep networks (docs/architecture.md, Equality), so a ceiling of 1e-2 blames nobody for that; in fp16 ten times as much. Where the
model quantises inside, single numbers may fall to the next step: there the root mean square counts, and the ceiling grows with the
number of places where that may happen (measured: 0.017 of the spread for lightnet in QDQ, 0.009 for bert_tiny). A wrong fusion gives
tenths of the spread and more. This finds who is at fault; whether a bundle is right, verification says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

QUANTISING = frozenset({"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "MatMulNBits"})
NARROW, FLOATS = frozenset({10, 16}), frozenset({1, 10, 11, 16})
"""fp16 and bf16, all floats as ONNX numbers them."""
INFINITE = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The largest difference, as a share of the output's spread: of one element, or of the root mean square over all."""

    share: float
    mean: bool = False
    flips: float = 0.1
    """Of integers and bools that come from floats, how many may be others: an ArgMax or a comparison turns over at a tie."""

    def tight(self) -> Ceiling:
        """For a model that is known to be off: differences that right runs have too may be what is too much."""
        return replace(self, share=self.share / 100)


def ceiling(model: onnx.ModelProto) -> Ceiling:
    """What rounding may do to the outputs of the model."""
    if places := sum(node.op_type in QUANTISING for node in model.graph.node):
        return Ceiling(share=min(0.02 * math.sqrt(places), 0.05), mean=True)
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    kinds = {value.type.tensor_type.elem_type for value in values} | {tensor.data_type for tensor in model.graph.initializer}
    return Ceiling(share=0.1 if kinds & NARROW else 0.01, flips=0.1 if kinds & FLOATS else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The output that is furthest off. score: 1 is the ceiling; inf where shapes, dtypes, strings or the places of NaN and inf differ."""

    score: float
    words: str
    """Half a sentence, "y off by 5.3"; "" where nothing differs."""


NO_GAP = Gap(score=0.0, words="")


def gap(expected: Mapping[str, Any], got: Mapping[str, Any], allowed: Ceiling) -> Gap:
    """Of all the outputs."""
    return worst(_gap(name, expected[name], got[name], allowed) for name in expected)


def worst(gaps: Iterable[Gap]) -> Gap:
    return max(gaps, key=lambda one: one.score, default=NO_GAP)


def _gap(name: str, expected: Any, got: Any, allowed: Ceiling) -> Gap:
    import numpy

    want, found = numpy.asarray(expected), numpy.asarray(got)
    if want.shape != found.shape or want.dtype != found.dtype:
        what = f"{name} is {found.dtype}{list(found.shape)}, not {want.dtype}{list(want.shape)}"
        return Gap(score=INFINITE, words=what)
    if want.dtype.kind in "OSUb" or (want.dtype.kind in "iu" and not allowed.mean):
        return _counted(name, int((want != found).sum()), want.size, allowed.flips if want.dtype.kind in "biu" else 0.0)
    return _numeric(name, want.astype(numpy.float64), found.astype(numpy.float64), allowed)


def _counted(name: str, differing: int, elements: int, flips: float) -> Gap:
    if not differing:
        return NO_GAP
    score = differing / elements / flips if flips else INFINITE
    return Gap(score=score, words=f"{name} differs in {differing} of {elements} elements")


def _numeric(name: str, want: Array, found: Array, allowed: Ceiling) -> Gap:
    import numpy

    with numpy.errstate(all="ignore"):
        finite = numpy.isfinite(want) & numpy.isfinite(found)
        same = finite | (want == found) | (numpy.isnan(want) & numpy.isnan(found))
        if not same.all():
            return Gap(score=INFINITE, words=f"{name} is finite in other places ({int((~same).sum())} of {want.size} elements)")
        off = numpy.abs(want - found)[finite]
        if not off.any():
            return NO_GAP
        most, mean = float(off.max()), float(numpy.sqrt((off**2).mean()))
        spread = float(want[finite].std()) or float(numpy.abs(want[finite]).max()) or 1.0
    score = (mean if allowed.mean else most) / spread / allowed.share
    return Gap(score=score, words=f"{name} off by {most:.2g}, cosine {_cosine(want[finite], found[finite]):.3f}")


def _cosine(a: Array, b: Array) -> float:
    import numpy

    norms = float(numpy.linalg.norm(a) * numpy.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0

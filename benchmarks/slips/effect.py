"""How wrong a wrong model is: in float64, on fresh inputs, against what rounding does to the right one at the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from autoglmc.compiler.reference.cross_check import CrossCheck
from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.own import Own
from autoglmc.compiler.reference.program import program_of

from .edit import Edit
from .kind import Site
from .subject import Subject

ULP = {np.dtype(np.float32): 2.0**-23, np.dtype(np.float16): 2.0**-10, np.dtype(np.float64): 2.0**-52}
FILL, GAP = 1e4, 100.0
APART, MANY = 4.0, 8
"""Ratio of the sizes of channels from which on each has a rounding of its own, and how many elements it must have."""
CLOSE = (0.85, 1.3)
"""A sized slip is taken where its effect is within these times what was asked for."""
TRIES = 8


class Exact:
    """A model in float64."""

    def __init__(self, model: onnx.ModelProto, right: Exact | None = None) -> None:
        """right: the model that this one was made from: which implementation is believed was settled there."""
        known = {} if right is None else {path: one for path, one in right.evaluator.check.settled.items() if one.how == "kernel"}
        self.evaluator = Evaluator(program_of(model), CrossCheck(settled=known))

    def run(self, inputs: Mapping[str, Any], tensors: Sequence[str] = ()) -> dict[str, Any]:
        return self.evaluator.run(inputs, tensors).values


@dataclass(frozen=True, slots=True)
class Effect:
    """The worst element of all outputs: where the difference is largest in units of rounding there."""

    ratio: float
    """Effect over rounding; infinite for whole numbers and for what is not finite."""
    effect: float
    rounding: float
    output: str


NOTHING = Effect(0.0, 0.0, 0.0, "")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A wrong model, and how wrong it is."""

    model: onnx.ModelProto
    strength: float
    effect: Effect


class Truth:
    """A right model on fresh inputs."""

    def __init__(self, subject: Subject, number: int) -> None:
        self.subject = subject
        self.model = onnx.load(str(subject.path))
        self.exact = Exact(self.model)
        self.inputs = subject.fresh(number)
        own = Own(self.model, subject.path.parent)
        self.names = tuple(value.name for value in self.model.graph.output)
        self.values = [self.exact.run(inputs) for inputs in self.inputs]
        found = [own.run(inputs, ()) for inputs in self.inputs]
        if any(values is None for values, _ in found):
            raise ValueError(f"{subject.name}: {found[0][1]}")
        self.own = [values for values, _ in found]
        self.rounding = {name: rounding_of([v[name] for v in self.values], [v[name] for v in self.own]) for name in self.names}
        self.view = self._view()

    def _view(self) -> Edit:
        names = [name for node in self.model.graph.node for name in node.output if name]
        every = self.exact.run(self.inputs[0], names)
        shapes = {name: np.shape(value) for name, value in {**every, **self.inputs[0]}.items() if not isinstance(value, (list, tuple))}
        return Edit(self.model, shapes, types_of(self.model))

    def made(self, site: Site, strength: float) -> onnx.ModelProto:
        """The model with the mistake in it."""
        edit = self.view.copy()
        site.change(edit, strength)
        return edit.model

    def wrong(self, site: Site, strength: float = 0.0) -> Wrong:
        """And how wrong that is. Raises what evaluating a model that cannot run raises."""
        model = self.made(site, strength)
        return Wrong(model, strength, self.effect(model))

    def effect(self, wrong: onnx.ModelProto) -> Effect:
        """Raises what evaluating a model that cannot run raises."""
        exact = Exact(wrong, self.exact)
        worst = NOTHING
        for inputs, right, own in zip(self.inputs, self.values, self.own, strict=True):
            got = exact.run(inputs)
            for name in self.names:
                found = difference(right[name], got[name], own[name], self.rounding[name], name)
                worst = found if found.ratio > worst.ratio else worst
        return worst

    def sized(self, site: Site, target: float, start: float) -> Wrong | None:
        """The mistake in the strength whose effect is about `target` times rounding; None where there is none."""
        low, high, strength = 0.0, 0.0, start
        for _ in range(TRIES):
            found = self.wrong(site, strength)
            ratio = found.effect.ratio
            if CLOSE[0] * target <= ratio <= CLOSE[1] * target:
                return found
            low, high = (strength, high) if ratio < target else (low, strength)
            strength = _next(strength, ratio, target, low, high)
            if not 1e-12 < strength < 1e3:
                return None
        return None


def _next(strength: float, ratio: float, target: float, low: float, high: float) -> float:
    """By proportion, and inside what encloses it."""
    guess = strength * target / ratio if np.isfinite(ratio) and ratio > 0 else strength * (10 if ratio == 0 else 0.01)
    if high and not low < guess < high:
        return float(np.sqrt(max(low, high * 1e-4) * high))
    return float(min(max(guess, strength * 1e-4), max(strength * 100, low)))


def rounding_of(exact: Sequence[Any], own: Sequence[Any]) -> Any:
    """Per element, what rounding does to its channel: the largest of all sets, at least an ulp of the channel's largest number. A channel
    is an index of the axis along which sizes differ most; 0 for what are no floating-point numbers."""
    if isinstance(own[0], (list, tuple)) or np.asarray(own[0]).dtype.kind != "f" or not np.size(own[0]):
        return 0.0
    ulp = ULP[np.asarray(own[0]).dtype]
    with np.errstate(all="ignore"):
        offs = [np.abs(np.asarray(o, np.float64) - e) for e, o in zip(exact, own, strict=True)]
    offs = [np.where(np.isfinite(off) & ~fills(e), off, 0.0) for off, e in zip(offs, exact, strict=True)]
    sizes = [np.where(np.isfinite(e) & ~fills(e), np.abs(e), 0.0) for e in exact]
    if len({off.shape for off in offs}) > 1:
        return max(max(float(o.max()), ulp * float(s.max())) for o, s in zip(offs, sizes, strict=True))
    off, size = np.max(offs, axis=0), np.max(sizes, axis=0)
    axis = _channels(size)
    others = None if axis is None else tuple(k for k in range(off.ndim) if k != axis)
    place = np.maximum(off.max(axis=others, keepdims=True), ulp * size.max(axis=others, keepdims=True))
    return np.maximum(place, np.finfo(np.float32).tiny)


def _channels(size: Any) -> int | None:
    """The axis along which the sizes of numbers differ most, where they differ much."""
    best, found = APART, None
    for axis, length in enumerate(size.shape):
        each = size.max(axis=tuple(k for k in range(size.ndim) if k != axis))
        each = each[each > np.finfo(np.float32).tiny]
        if size.size >= MANY * length > MANY and each.size and each.max() / each.min() > best:
            best, found = each.max() / each.min(), axis
    return found


def fills(values: Any) -> Any:
    """Numbers that stand for nothing, as the -1e9 behind a mask does."""
    size = np.abs(values)
    small = size[np.isfinite(size) & (size < FILL)]
    return size >= max(FILL, GAP * float(small.max())) if small.size else np.zeros(np.shape(values), bool)


def difference(right: Any, got: Any, own: Any, rounding: Any, name: str) -> Effect:
    """Of one output on one set."""
    if isinstance(right, (list, tuple)):
        return NOTHING
    r, g = np.asarray(right), np.asarray(got)
    if r.shape != g.shape:
        return Effect(np.inf, np.inf, 0.0, name)
    if r.dtype.kind != "f":
        unequal = (r != g) & (r == np.asarray(own))
        return Effect(np.inf, 1.0, 0.0, name) if unequal.any() else NOTHING
    odd = np.isfinite(r) != np.isfinite(g)
    if odd.any():
        return Effect(np.inf, np.inf, 0.0, name)
    with np.errstate(all="ignore"):
        gap = np.where(np.isfinite(r), np.abs(g - r), 0.0)
        there = np.where(fills(r), 2.0**-22 * np.abs(r), rounding)
        part = np.where(gap > 0, gap / there, 0.0)
    k = int(np.argmax(part)) if part.size else 0
    return Effect(float(part.flat[k]), float(gap.flat[k]), float(there.flat[k]), name) if part.size else NOTHING


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every tensor that onnx infers, bodies included."""
    inferred = onnx.shape_inference.infer_shapes(model)
    found: dict[str, int] = {}
    graphs = [inferred.graph]
    while graphs:
        graph = graphs.pop()
        for value in (*graph.input, *graph.value_info, *graph.output):
            found[value.name] = value.type.tensor_type.elem_type
        graphs += [a.g for node in graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    return {name: kind for name, kind in found.items() if kind != TensorProto.UNDEFINED}

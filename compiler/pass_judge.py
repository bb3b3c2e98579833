"""Does a state of the whole model still compute what the untouched file does, up to rounding?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .check_graph import broken_invariants, refused_by_checker
from .compare import Difference, difference
from .errors import UserError, first_line
from .judge import TOLERANCE, beyond, suspicious
from .reference import Reference, read_graph

if TYPE_CHECKING:
    import onnx

    from .work import Work

SETS = 2
"""Generated input sets, besides those given."""


class PassJudge:
    """The untouched model's outputs on a few inputs, and how far a state of the work is from them."""

    def __init__(self, path: Path, loaded: onnx.ModelProto, given: Mapping[str, Any] | None) -> None:
        """loaded: the model as passes get it, with every dim bound. Raises ModelError where the untouched model does not run."""
        self.path, self._source = path, read_graph(path)
        self.feeds = _input_sets(self._source, loaded, given)
        self._reference = Reference(path, self._source)
        self._expected = [self._reference.run(feeds) for feeds in self.feeds]
        self._rounding: dict[str, float] | None = None
        self._strict = not refused_by_checker(loaded, strict=True)
        self.differences: tuple[Difference, ...] = ()
        """Of the outputs, in the state judged last."""

    def fault(self, model: onnx.ModelProto, work: Work) -> str:
        """What is wrong with `model`, the whole of `work`: "" if nothing."""
        return self._fault(model, work, TOLERANCE)

    def gross_fault(self, model: onnx.ModelProto, work: Work) -> str:
        """The same where approximations were taken: what each is allowed may grow along the way, so only its kind counts (NaN, shape)."""
        return self._fault(model, work, None)

    def accept(self, model: onnx.ModelProto) -> None:
        """From now on compare with what this state gives."""
        self._expected = [self._run(model, feeds) for feeds in self.feeds]

    def _fault(self, model: onnx.ModelProto, work: Work, tolerance: float | None) -> str:
        refused = "; ".join(broken_invariants(work.graph)[:3]) or refused_by_checker(model, strict=self._strict)
        if refused:
            return refused
        try:
            self.differences = self._compare(model)
        except UserError as problem:
            return first_line(problem).removeprefix("error: ")
        return "; ".join(beyond(self.differences, (), tolerance))

    def _compare(self, model: onnx.ModelProto) -> tuple[Difference, ...]:
        got = [self._run(model, feeds) for feeds in self.feeds]
        found = tuple(self._difference(name, got) for name in self._reference.outputs)
        rounding = self._own_rounding() if suspicious(found) else {}
        return tuple(replace(d, rounding=rounding.get(d.name, 0.0)) for d in found)

    def _difference(self, name: str, got: Sequence[Mapping[str, Any]]) -> Difference:
        pairs = [(expected[name], values[name]) for expected, values in zip(self._expected, got, strict=True)]
        found = difference(name, pairs)
        retyped = any(getattr(a, "dtype", None) != getattr(b, "dtype", None) for a, b in pairs)
        return replace(found, mismatched=max(found.elements, 1)) if retyped else found

    def _run(self, model: onnx.ModelProto, feeds: Mapping[str, Any]) -> dict[str, Any]:
        return Reference(self.path, model).run(feeds)

    def _own_rounding(self) -> dict[str, float]:
        """What onnxruntime's own optimisations change in the untouched model."""
        if self._rounding is None:
            other = Reference(self.path, self._source, optimised=True)
            results = [(self._reference.run(feeds), other.run(feeds)) for feeds in self.feeds]
            self._rounding = {name: difference(name, [(a[name], b[name]) for a, b in results]).max_abs for name in self._reference.outputs}
        return self._rounding


def _input_sets(source: onnx.ModelProto, loaded: onnx.ModelProto, given: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    from .generate_inputs import generate_inputs

    shapes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in loaded.graph.input}
    sets: list[Mapping[str, Any]] = [] if given is None else [given]
    for seed in range(SETS):
        sets.append({name: value for name, value in generate_inputs(source, seed, shapes).items() if name in shapes})
    return sets

"""How far a decoder's functions are from the untouched model, step by step: from empty caches on and behind each other, what lies in the
caches behind the last token being NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import VerifyError
from ..inputs.token_parts import first_of, part_of
from ..load.source import Source
from ..reference.recall import Recalling
from ..reference.store import default_store
from ..state.fixed_models import FixedModels
from ..verify.decoder.step_feeds import StepFeeds
from ..verify.decoder.steps import compare_steps, run_scripts, scripts
from ..verify.grounds import grounds
from ..verify.reference import read_graph
from ..verify.terms import ONE_BY_ONE
from ..verify.trial import Untouched
from .parity import HELP, Converted, Parity, furthest


def step_parity(source: Source, fixed: FixedModels, functions: Mapping[str, Converted], tell: Callable[[str], None]) -> Parity:
    """functions: of each step, what runs it, caches among its inputs and outputs. Raises VerifyError where an output or a cache differs by
    more than rounding explains."""
    axes = next(iter(fixed.steps.values())).token_axes
    sizes = {name: step.tokens for name, step in fixed.steps.items()}
    pasts = {
        past: tuple(0 if k == fixed.axes[past] else size for k, size in enumerate(cache.shape)) for past, cache in _empty(fixed).items()
    }
    feeds = StepFeeds(read_graph(source), axes, pasts)
    with Recalling(source, default_store()) as oracle:
        untouched = Untouched(oracle, (), tell, ONE_BY_ONE.chained)
        plans = scripts(sizes, fixed.length)
        seen = run_scripts(_Steps(fixed, functions), plans, feeds, axes, tell)
        found = compare_steps(untouched, seen, terms=ONE_BY_ONE, narrow=False, tell=tell)
        judged = grounds(found.outputs, found.labels, found.terms, untouched.unchecked)
    wrong = [one.fault for one in found.outputs if one.fault]
    if wrong:
        raise VerifyError(f"the converted model differs: {'; '.join(wrong)}", where=str(source), help=HELP)
    outputs = tuple(one for name, samples in found.samples.items() if (one := furthest(name, samples)) is not None)
    return Parity(outputs=outputs, inputs=found.labels, first={}, made={}, judged=judged)


class _Steps:
    """A decoder whose caches are kept here from step to step."""

    def __init__(self, fixed: FixedModels, functions: Mapping[str, Converted]) -> None:
        self._fixed, self._functions, self._caches = fixed, functions, _empty(fixed)
        self.length = 0

    def step(self, entry: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """One run, filled up to the tokens that it takes."""
        import numpy

        step, before = self._fixed.steps[entry], self.length
        axes = step.token_axes
        tokens = next(value.shape[axes[name]] for name, value in inputs.items() if name in axes)
        given = {name: part_of(value, axes.get(name), 0, tokens, step.tokens) for name, value in inputs.items()}
        counter = {self._fixed.counter: numpy.array([before], numpy.int64)}
        made = self._functions[entry].run({**given, **self._caches, **counter})
        self._caches = {past: made[present] for past, present in self._fixed.states}
        self.length = before + tokens
        kept = {present for _, present in self._fixed.states}
        return {name: first_of(value, axes.get(name), tokens) for name, value in made.items() if name not in kept}

    def filled(self) -> Mapping[str, Any]:
        return {present: first_of(self._caches[past], self._fixed.axes[past], self.length) for past, present in self._fixed.states}

    def poison(self) -> None:
        for past, cache in self._caches.items():
            cache[(slice(None),) * self._fixed.axes[past] + (slice(self.length, None),)] = float("nan")

    def reset(self) -> None:
        self._caches, self.length = _empty(self._fixed), 0


def _empty(fixed: FixedModels) -> dict[str, Any]:
    import numpy
    from onnx import helper

    inputs = {value.name: value.type.tensor_type for value in next(iter(fixed.steps.values())).any.proto.graph.input}
    return {
        past: numpy.zeros([dim.dim_value for dim in inputs[past].shape.dim], helper.tensor_dtype_to_np_dtype(inputs[past].elem_type))
        for past, _ in fixed.states
    }

"""Both sides of a comparison: the untouched model, evaluated in a process of its own, and the bundle; what was seen on each input set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..inputs.trials import Run
from ..mapped_arrays import MappedArrays
from ..reference.messages import Answer, Question
from ..reference.oracle import UNTOUCHED, Oracle, ReferenceLate
from ..reference.recall import Recalling
from .compare import TensorDifference, difference
from .expectation import Expectation, expected_of
from .terms import Sample

if TYPE_CHECKING:
    from ..reference.rounding import Chains
    from .verifiable import Runnable

NOISE = (1, 4, 16)
"""Random roundings of each input set: at first, and where something is further off than those explain."""

LARGE_ANSWER = 1 << 24
"""Bytes of outputs up to which several random roundings are one question: an answer is in memory as a whole."""

Tell = Callable[[str], None]


class Untouched:
    """The model as it was given, for making inputs and for comparing; what it answered is kept by input set."""

    def __init__(
        self, oracle: Oracle | Recalling, crossing: Iterable[str], tell: Tell = lambda message: None, chained: Chains = ""
    ) -> None:
        """crossing: tensors wanted besides the outputs, where the model has them. tell: is called before each evaluation. chained: which
        sums are added up one term after the other by what is compared, and so by the rounding that is measured."""
        self.oracle, self._tell, self._chained = oracle, tell, chained
        self.outputs = oracle.opened.outputs
        made = frozenset(oracle.opened.made)
        self.tensors = tuple(name for name in dict.fromkeys(crossing) if name in made and name not in self.outputs)
        self.answers: dict[int, tuple[Mapping[str, Any], Answer]] = {}
        self._late = False
        self.faults: dict[str, str] = {}
        self.unchecked: dict[str, str] = {}

    def run(self, inputs: Mapping[str, Any]) -> Run:
        """Raises ModelError where the model refuses these inputs."""
        answer = self.answer(inputs)
        assert answer.own is not None
        return Run({name: answer.own[name] for name in self.outputs}, answer.points, answer.work)

    def answer(self, inputs: Mapping[str, Any]) -> Answer:
        """What was answered to these inputs (the object, not its values). Raises ModelError where the model refuses them."""
        known = self.answers.get(id(inputs))
        if known is not None:
            return known[1]
        self._tell(f"evaluating the untouched model on input set {len(self.answers) + 1}")
        if self._late:
            raise ModelError("no further inputs: the model took too long on others", where=self.oracle.where)
        try:
            answer = self._ask(inputs, ())
        except ReferenceLate as problem:
            if not self.answers:
                raise
            self._late = True  # others would take as long
            raise ModelError(problem.message, where=problem.where, help=problem.help) from None
        self.answers[id(inputs)] = inputs, answer
        return answer

    def inside(self, inputs: Mapping[str, Any]) -> Answer:
        """The same with the tensors between segments, which differ from plan to plan and so are asked for apart."""
        return self._ask(inputs, self.tensors)

    def _ask(self, inputs: Mapping[str, Any], tensors: tuple[str, ...]) -> Answer:
        answer = self.oracle.ask(Question(inputs=inputs, tensors=tensors))
        if answer.own is None:
            message = f"onnxruntime cannot run the model on these inputs: {answer.own_problem}"
            raise ModelError(message, where=self.oracle.where, help=UNTOUCHED)
        self._note(answer)
        return answer

    def roundings(self, inputs: Mapping[str, Any], *, half: bool, noise: int = NOISE[0], inside: bool = False) -> Answer:
        """The same inputs, rounded in other ways. noise: one of NOISE; what was asked for before is not computed again."""
        tensors = self.tensors if inside else ()
        plain: dict[str, Any] = {"inputs": inputs, "tensors": tensors, "own": False, "exact": False, "chained": self._chained}
        answer = self.oracle.ask(Question(**plain, optimised=True, half=half, floats=True, noise=NOISE[0]))
        at_once = max(LARGE_ANSWER // max(_bytes(answer.noise), 1), 1)
        for few, more in (pair for pair in pairwise(NOISE) if pair[1] <= noise):
            for first in range(few, more, at_once):
                further = self.oracle.ask(Question(**plain, noise=min(at_once, more - first), first=first))
                answer = replace(answer, noise=(*answer.noise, *further.noise))
        self._note(answer)
        return answer

    def expectation(self, label: str, inputs: Mapping[str, Any]) -> Expectation:
        """Of the outputs in their own dtypes, with rounding measured several times: for a comparison that looks once."""
        return Expectation.of(label, self.answer(inputs), self.roundings(inputs, half=False, noise=NOISE[1]))

    def _note(self, answer: Answer) -> None:
        self.faults.update(answer.faults)
        self.unchecked.update(answer.unchecked)
        if answer.exact_problem:
            self.unchecked[""] = f"the model could not be evaluated in float64 ({answer.exact_problem}): onnxruntime's numbers were used"


@dataclass(slots=True)
class Trial:
    """What was seen of a bundle, input set by input set."""

    untouched: Untouched
    session: Runnable
    labels: list[str] = field(default_factory=list)
    fed: list[Mapping[str, Any]] = field(default_factory=list)
    expected: list[Mapping[str, Any]] = field(default_factory=list)
    got: list[Mapping[str, Any]] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """By output, in the order of the sets."""
    given: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    """The untouched model's own outputs and the bundle's, on the first set."""

    arrays: MappedArrays = field(default_factory=MappedArrays)
    usual: list[bool] = field(default_factory=list)
    """Whether a set is what the model is likely to get: on those the target's limits are measured."""

    def compare(self, label: str, inputs: Mapping[str, Any], usual: bool) -> None:
        """Runs the bundle, and keeps its tensors beside the reference's."""
        seen: dict[str, Any] = {}

        def observe(tensor: str, device: str, value: Any) -> None:
            if tensor in self.untouched.tensors:
                seen[tensor] = value.copy() if hasattr(value, "copy") else value

        got = {**self.arrays.kept(self.session.run(inputs, observe))}
        self.labels.append(label)
        self.fed.append(inputs)
        self.usual.append(usual)
        self.got.append({**self.arrays.kept(seen), **got})
        answer = self.untouched.answer(inputs)
        assert answer.own is not None
        self.given = self.given or (answer.own, got)
        self.expected.append(expected_of(answer))
        for name, sample in self._samples(len(self.labels) - 1, self.untouched.outputs, NOISE[0]).items():
            self.samples.setdefault(name, []).append(sample)

    def look_again(self, sets: Sequence[int], noise: int) -> None:
        """With so many random roundings of those sets."""
        for k in sets:
            for name, sample in self._samples(k, self.untouched.outputs, noise).items():
                self.samples[name][k] = sample

    def inside(self, k: int, rounded: bool) -> dict[str, Sample]:
        """The tensors between segments on a set, in the order of the schedule. rounded: with what rounding does to them."""
        if rounded:
            return self._samples(k, self.untouched.tensors, NOISE[1], inside=True)
        expected, got = expected_of(self.untouched.inside(self.fed[k])), self.got[k]
        return {name: Sample(self.labels[k], expected[name], got[name]) for name in self.untouched.tensors if name in got}

    def _samples(self, k: int, names: Sequence[str], noise: int, inside: bool = False) -> dict[str, Sample]:
        inputs, got = self.fed[k], self.got[k]
        answer = self.untouched.inside(inputs) if inside else self.untouched.answer(inputs)
        rounded = self.untouched.roundings(inputs, half=bool(self.session.narrow), noise=noise, inside=inside)
        expectation = Expectation.of(self.labels[k], answer, rounded)
        return {name: expectation.sample(name, got[name]) for name in names if name in got}

    def likely(self, name: str) -> TensorDifference:
        """How far an output is off on usual inputs, or on all where none is."""
        chosen = [sample for sample, usual in zip(self.samples[name], self.usual, strict=True) if usual or not any(self.usual)]
        return difference(name, [(sample.expected, sample.got) for sample in chosen])


def _bytes(ways: Sequence[Mapping[str, Any]]) -> int:
    """Of arrays."""
    return sum(int(getattr(value, "nbytes", 0)) for way in ways for value in way.values())


def own_where_equal(sample: Sample) -> Sample:
    """Expects the untouched model's own number where the bundle has just that: it is right too, as where scores tie in fp32 and not in
    float64, and an index says which. Not for a model that onnxruntime computes wrong."""
    import numpy as np

    if isinstance(sample.expected, (list, tuple)) or sample.expected is None or not sample.roundings:
        return sample
    right, mine, theirs = (np.asarray(value) for value in (sample.expected, sample.roundings[0], sample.got))
    if not right.shape == mine.shape == theirs.shape or mine.dtype != theirs.dtype or right.dtype.kind in "OUST":
        return sample
    return replace(sample, expected=np.where(mine == theirs, mine.astype(right.dtype), right))

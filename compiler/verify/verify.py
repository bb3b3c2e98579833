"""Compares a bundle with the untouched model, independently of everything that decided how the bundle looks.

The model is evaluated in float64 in a process of its own; the bundle runs here. Both get the same inputs: those given, and those made to
reach every branch, clip and mask of the model. Every output is judged place by place, and every tensor between segments that the model has
too. An output that is the same for every input proves nothing: then the bundle is not called verified, unless no input value can reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..bundle.resident import ANY
from ..errors import VerifyError
from ..inputs.samples import Given, samples_of
from ..inputs.trials import Trials
from ..load.given_inputs import check_given
from ..load.source import MemoryModel, Source
from ..load.weights import model_sha256
from ..reference.recall import Recalling
from ..reference.store import default_store
from .compare import TensorDifference, difference
from .evidence import Evidence
from .expected import ExpectedOutput, check_asked, hold_expected, words
from .grounds import grounds
from .limits import JUDGED, broken, held
from .look import judge_output, look
from .reference import fixed_outputs, random_tensors, read_graph
from .report import VerifyReport, differences
from .stages import Stage, judge_stages
from .terms import APPROXIMATE, EXACT, NARROW, Sample, Terms
from .trial import Trial, Untouched
from .verdicts import by_other_kernels, chains, elsewhere, segment_verdicts

if TYPE_CHECKING:
    from ..bundle.manifest import LimitRecord
    from .verifiable import Verifiable


def verify(
    source: Source,
    bundle: Verifiable,
    *,
    emulate: bool = False,
    inputs: Given | None = None,
    expect: Mapping[str, Any] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    progress: Callable[[str], None] | None = None,
    oracle: Recalling | None = None,
    stages: Sequence[Stage] = (),
) -> VerifyReport:
    """Run both and compare. `inputs`, one set or several, are compared first; `shapes` are for inputs whose shape the bundle leaves open.
    Segments whose runtime is not here run on the CPU; unless `emulate` says that this is enough, the bundle is then not verified.
    expect: what the source framework computes for the first of `inputs`, by name of the output. oracle: of the same model, where one is
    open already.

    Raises VerifyError where the bundle was not made from this model, UserError for inputs that the bundle does not take, and what running
    either raises. A difference raises nothing: `verified` is False, and `reason` says why.
    """
    check_asked(expect, inputs)
    check_same_model(source, bundle)
    given = samples_of(inputs)
    tell = progress or (lambda message: None)
    sizes = {**(shapes or {}), **_bound(bundle)}
    if oracle is not None:
        return _Comparison(source, bundle, oracle, sizes, given, stages, tell).report(emulate, expect)
    with Recalling(source, default_store()) as opened:
        return _Comparison(source, bundle, opened, sizes, given, stages, tell).report(emulate, expect)


def check_same_model(source: Source, bundle: Verifiable) -> None:
    """Raises VerifyError where the bundle was not made from this model."""
    found, precision = model_sha256(source), bundle.manifest.precision
    if precision is not None and found == precision.source_sha256:
        message = "the bundle was compiled from a quantised form of this model, so it is verified against that"
        raise VerifyError(message, where=str(source), help="give the file of --save-quantized")
    if found != bundle.manifest.model.sha256:
        kind = "model" if isinstance(source, MemoryModel) else "file"
        hashes = f"model.sha256 is {bundle.manifest.model.sha256[:12]}…, this {kind}'s is {found[:12]}…"
        what = f"the bundle was compiled from another model: {hashes}"
        help = "give the model the bundle was made from, or compile this one"
        if isinstance(source, MemoryModel):
            help += "; if it was compiled from a file, give the path of that file"
        raise VerifyError(what, where=str(source), help=help)


def _bound(bundle: Verifiable) -> dict[str, tuple[int, ...]]:
    return {value.name: value.shape for value in bundle.manifest.model.inputs if value.shape is not None}


class _Comparison:
    """One bundle against its model."""

    def __init__(
        self,
        source: Source,
        bundle: Verifiable,
        oracle: Recalling,
        shapes: Mapping[str, tuple[int, ...]],
        given: Iterable[tuple[str, Mapping[str, Any]]],
        stages: Sequence[Stage],
        tell: Callable[[str], None],
    ) -> None:
        manifest, self.stages, self._tell = bundle.manifest, stages, tell
        graph = read_graph(source)
        for _, values in given:
            check_given(graph, values)
        crossing = [port.tensor for segment in manifest.segments for port in segment.outputs]
        self._last = False
        session = bundle.session(emulate=True, poison=True, resident=ANY)
        self.manifest, self.untouched = manifest, Untouched(oracle, crossing, tell, chains(manifest, session))
        wanted = {value.name: value.shape for value in manifest.model.outputs}
        if set(self.untouched.outputs) != set(wanted):
            listed = f"the model has the outputs {sorted(self.untouched.outputs)}, the bundle {sorted(wanted)}"
            raise VerifyError(listed, where=str(source))
        self.trial = Trial(self.untouched, session)
        names = tuple(value.name for value in manifest.model.inputs)
        self.trials = Trials(graph, self.untouched, shapes, names, wanted, given)
        self.fixed, self.random = fixed_outputs(graph.graph), random_tensors(graph.graph)
        self.approximated = any(bound.bound > 0 for bound in manifest.errors.bounds)

    def report(self, emulate: bool, expect: Mapping[str, Any] | None) -> VerifyReport:
        for trial in self.trials.sets():
            self._tell(f"comparing on {trial.label}")
            self.trial.compare(trial.label, trial.values, trial.usual)
        outputs = look(self.trial, self._looked_at, self._tell)
        boundaries = self._boundaries(outputs)
        limits = held(self.manifest.limits, tuple(self.trial.likely(d.name) for d in outputs)) if outputs else ()
        evidence = Evidence(self.trial, self.trials, self.fixed, self.random)
        expected = self._expected(expect)
        return self._answer(emulate, evidence, outputs, boundaries, limits, expected)

    def _boundaries(self, outputs: Sequence[TensorDifference]) -> tuple[TensorDifference, ...]:
        """Tensors between segments: measured on the first set, or where an output is at fault judged on the set that shows it."""
        if not self.trial.labels or not self.untouched.tensors:
            return ()
        faulty = next((d.worst.inputs for d in outputs if d.fault and d.worst is not None), "")
        found = self.trial.inside(self.trial.labels.index(faulty) if faulty else 0, rounded=bool(faulty))
        if faulty:
            return self._judged({name: [sample] for name, sample in found.items()})
        return tuple(difference(name, [(s.expected, s.got)]) for name, s in found.items() if name not in self.random)

    def _looked_at(self, samples: Mapping[str, Sequence[Sample]], last: bool) -> tuple[TensorDifference, ...]:
        self._last = last
        return self._judged(samples)

    def _judged(self, samples: Mapping[str, Sequence[Sample]]) -> tuple[TensorDifference, ...]:
        terms, own = self._terms(), not self.untouched.faults
        return tuple(judge_output(name, seen, terms, own) for name, seen in samples.items() if name not in self.random)

    def _expected(self, expect: Mapping[str, Any] | None) -> tuple[ExpectedOutput, ...]:
        """The given set, which comes first, against what the source framework computes for it."""
        if expect is None or self.trial.given is None:
            return ()
        own, got = self.trial.given
        coarse = bool(self.trial.session.narrow) or self.approximated
        return hold_expected(expect, own, got, self.untouched.outputs, coarse)

    def _terms(self) -> Terms:
        terms = NARROW if self.trial.session.narrow else EXACT
        terms = terms.at_last if self._last else terms
        if not self.approximated:
            return terms
        stated = any((limit.kind, limit.subject) in JUDGED for limit in self.manifest.limits)
        return replace(terms, free=True) if stated else replace(terms, loose=APPROXIMATE)

    def _answer(
        self,
        emulate: bool,
        evidence: Evidence,
        outputs: tuple[TensorDifference, ...],
        boundaries: tuple[TensorDifference, ...],
        limits: tuple[LimitRecord, ...],
        expected: tuple[ExpectedOutput, ...],
    ) -> VerifyReport:
        session, labels = self.trial.session, self.trial.labels
        reasons = [*evidence.lacking, *differences(outputs, boundaries), *broken(limits)]
        reasons += [one.reason for one in expected if one.reason]
        stages = judge_stages(self.stages, self.trial, [d.name for d in outputs], self._terms(), self._last)
        if reasons and (early := next((one.stage for one in stages if not one.verified), "")):
            reasons.append(f"the {early} model is wrong already, on the CPU")
        segments = segment_verdicts(self.manifest, session, bool(labels))
        away = () if emulate else elsewhere(segments)
        rests = grounds(outputs, labels, self._terms(), self.untouched.unchecked, evidence.not_exercised)
        found = () if reasons else (rests, *([words(expected)] if expected else []), *by_other_kernels(segments, session))
        return VerifyReport(
            verified=not reasons and not away,
            reason="; ".join((*reasons, *away, *found)),
            reasons=(*reasons, *away),
            exercised=evidence.exercised,
            not_exercised=evidence.not_exercised,
            segments=segments,
            stages=stages,
            expected=expected,
            outputs=outputs,
            boundaries=boundaries,
            constant=tuple(name for name in self.untouched.outputs if name in self.fixed),
            unresponsive=evidence.unresponsive,
            inputs=tuple(labels),
            approximated=self.approximated,
            limits=limits,
            emulated=session.emulated,
            narrow=session.narrow,
            native=session.native,
            runtime_faults=tuple(f"{path}: {said}" for path, said in self.untouched.faults.items()),
            unchecked=tuple(f"{path}: {said}" if path else said for path, said in self.untouched.unchecked.items()),
        )

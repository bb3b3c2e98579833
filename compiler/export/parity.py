"""How far a converted model is from the untouched one, on inputs made to reach all of it; judged as `verify` judges a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from ..errors import VerifyError
from ..inputs.samples import Given, samples_of
from ..inputs.trials import Trials
from ..load.given_inputs import check_given
from ..load.source import Source
from ..reference.recall import Recalling
from ..reference.store import default_store
from ..verify.compare import TensorDifference, items, numeric
from ..verify.evidence import Evidence
from ..verify.grounds import grounds
from ..verify.look import judge_output, look
from ..verify.reference import fixed_outputs, random_tensors, read_graph
from ..verify.terms import Sample, Terms
from ..verify.trial import Trial, Untouched

HELP = "nothing was written; please report it"
ORDERING = frozenset({"TopK", "NonMaxSuppression"})
ORDERED = "nothing was written. Of scores as good as equal {} may find another first: if it is that, --no-verify writes it, else report it"
DIGITS = 3
"""Of the numbers: what is beyond those is the machine's."""


class Converted(Protocol):
    """A converted model that runs here."""

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs by name, in the model's own layout."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputParity:
    """An output on the input set where it is furthest off, against the float64 evaluation of the untouched model."""

    name: str
    difference: float
    """The largest of an element."""
    range: float
    """Largest minus smallest expected value."""
    relative: float
    """The difference over the range; over the largest number where the range is 0, and 0 where both are."""
    inputs: str
    """Label of the set: "seed 0"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What was compared."""

    outputs: tuple[OutputParity, ...]
    inputs: tuple[str, ...]
    """Labels of the input sets."""
    first: Mapping[str, Any]
    """The first set, and what the converted model made of it."""
    made: Mapping[str, Any]
    judged: str
    """What the verdict rests on: within which limits."""

    def as_json(self) -> dict[str, Any]:
        return {"inputs": list(self.inputs), "judged": self.judged, "outputs": [asdict(one) for one in self.outputs]}


class _Session:
    """What `verify` asks of a bundle."""

    devices = absent = emulated = narrow = native = ()
    not_run: Mapping[int, str] = MappingProxyType({})

    def __init__(self, converted: Converted) -> None:
        self._converted = converted

    def run(self, inputs: Mapping[str, Any], observe: object = None) -> Mapping[str, Any]:
        return self._converted.run(inputs)


def parity(
    source: Source,
    converted: Converted,
    shapes: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    terms: Terms,
    tell: Callable[[str], None],
    given: Given | None = None,
) -> Parity:
    """Raises VerifyError where the two differ by more than rounding explains, or the comparison proves nothing; and what running either
    raises. shapes: of the inputs; outputs: shapes of the outputs."""
    graph = read_graph(source)
    for _, values in samples_of(given):
        check_given(graph, values)
    with Recalling(source, default_store()) as oracle:
        untouched = Untouched(oracle, (), tell, terms.chained)
        trial = Trial(untouched, _Session(converted))  # type: ignore[arg-type]
        trials = Trials(graph, untouched, shapes, tuple(shapes), outputs, samples_of(given))
        for one in trials.sets():
            tell(f"comparing on {one.label}")
            trial.compare(one.label, one.values, one.usual)
        random = random_tensors(graph.graph)

        def judged(samples: Mapping[str, Sequence[Sample]], last: bool) -> tuple[TensorDifference, ...]:
            strict, own = terms.at_last if last else terms, not untouched.faults
            return tuple(judge_output(name, seen, strict, own) for name, seen in samples.items() if name not in random)

        differences = look(trial, judged, tell)
        wrong = [d.fault for d in differences if d.fault]
        rests = grounds(differences, trial.labels, terms, untouched.unchecked)
        lacking = Evidence(trial, trials, fixed_outputs(graph.graph), random).lacking
    if wrong:
        orders = next((node.op_type for node in graph.graph.node if node.op_type in ORDERING), "")
        help = ORDERED.format(orders) if orders else HELP
        raise VerifyError(f"the converted model differs: {'; '.join(wrong)}", where=str(source), help=help)
    if lacking:
        help = "give inputs with --inputs FILE.npz, or write it unverified with --no-verify"
        raise VerifyError(f"the comparison proves nothing: {'; '.join(lacking)}", where=str(source), help=help)
    found = tuple(worst for name, samples in trial.samples.items() if (worst := furthest(name, samples)) is not None)
    return Parity(outputs=found, inputs=tuple(trial.labels), first=trial.fed[0], made=trial.got[0], judged=rests)


def joined(each: Mapping[str, Parity]) -> Parity:
    """Of several functions, as one: outputs are named after theirs."""
    if len(each) == 1:
        return next(iter(each.values()))
    outputs = tuple(replace(one, name=f"{name}: {one.name}") for name, found in each.items() for one in found.outputs)
    labels = tuple(f"{name}: {label}" for name, found in each.items() for label in found.inputs)
    judged = "; ".join(f"{name}: {found.judged}" for name, found in each.items())
    return Parity(outputs=outputs, inputs=labels, first={}, made={}, judged=judged)


def furthest(name: str, samples: Sequence[Sample]) -> OutputParity | None:
    """Of an output where it is furthest off; None where it is never an array of numbers."""
    seen = [
        _of(name, one.inputs, expected, got)
        for one in samples
        for expected, got in items(one.expected, one.got)
        if expected is not None and numeric(expected)
    ]
    return max(seen, key=lambda one: one.relative, default=None)


def _of(name: str, label: str, expected: Any, got: Any) -> OutputParity:
    import numpy

    x, y = (numpy.asarray(value).astype(numpy.float64).ravel() for value in (expected, got))
    finite = numpy.isfinite(x) & numpy.isfinite(y)
    x, y = x[finite], y[finite]
    gap = float(numpy.abs(x - y).max()) if x.size else 0.0
    range = float(x.max() - x.min()) if x.size else 0.0
    over = range or (float(numpy.abs(x).max()) if x.size else 0.0)
    relative = gap / over if over else gap
    return OutputParity(name=name, difference=_rounded(gap), range=_rounded(range), relative=_rounded(relative), inputs=label)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

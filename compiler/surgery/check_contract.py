"""Does a user's pass keep its contract? The model before and after it, both run by onnxruntime without optimisations on the same inputs.

Nothing here knows what the pass did. The tolerance of `reassociates` is the one that bundles are verified with (verify/judge.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...passes.rule.rewrite import Contract
from ..errors import ModelError, first_line
from ..inputs.trial_set import TrialSet
from ..inputs.trials import Trials
from ..load.source import MemoryModel
from ..reference.oracle import Oracle
from ..verify.compare import TensorDifference, difference
from ..verify.judge import judge
from ..verify.reference import Reference, random_tensors
from ..verify.terms import EXACT
from ..verify.trial import Untouched

if TYPE_CHECKING:
    import onnx

GIVE = "give it some: --inputs FILE.npz"
Outputs = Mapping[str, Any]


def broken_contract(before: onnx.ModelProto, after: onnx.ModelProto, contract: Contract, given: Mapping[str, Any] | None) -> str:
    """What the contract does not allow, naming the outputs and how far they are off; "" if it is kept.

    Both models have the same inputs, of static shapes, and the same outputs. Outputs that are drawn at random are not compared.
    Raises ModelError where `before` accepts no inputs that can be generated, and none are given."""
    try:
        with Oracle(MemoryModel(before, "the model before the pass")) as oracle:
            return _broken(before, after, contract, given, Untouched(oracle, ()))
    except ModelError as problem:
        if problem.help == GIVE:
            raise
        raise ModelError(f"the contract of a pass cannot be checked: before it {first_line(problem).removeprefix('error: ')}") from problem


def _broken(
    before: onnx.ModelProto, after: onnx.ModelProto, contract: Contract, given: Mapping[str, Any] | None, untouched: Untouched
) -> str:
    sets = _inputs(before, untouched, given)
    drawn = random_tensors(before.graph)
    try:
        session = Reference(None, after)
        got = [session.run(one.values) for one in sets]
    except ModelError as problem:
        return first_line(problem).removeprefix("error: ").replace("the model", "the model it left", 1)
    names = [name for name in untouched.outputs if name not in drawn]
    found = [_fault(name, [(a.outputs[name], b[name]) for a, b in zip(sets, got, strict=True)], contract) for name in names]
    suspects = [one.name for one in found if isinstance(one, TensorDifference)]
    judged = _judged(untouched, sets, got, suspects, contract) if suspects else ()
    return "; ".join(filter(None, (*(fault for fault in found if isinstance(fault, str)), *judged)))


def _inputs(before: onnx.ModelProto, untouched: Untouched, given: Mapping[str, Any] | None) -> list[TrialSet]:
    """The input sets that a bundle would be verified on."""
    shapes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in before.graph.input}
    trials = Trials(before, untouched, shapes, tuple(shapes), given=() if given is None else (("the given inputs", given),))
    if not trials.sets():
        message = f"the contract of a pass cannot be checked: the model accepts none of the generated inputs: {'; '.join(trials.unfit)}"
        raise ModelError(message, help=GIVE)
    return trials.sets()


def _fault(name: str, pairs: Sequence[tuple[Any, Any]], contract: Contract) -> str | TensorDifference:
    """A sentence for what no contract allows or `exact` does not; a difference to judge; "" for equal bits."""
    for expected, got in pairs:
        if got.dtype != expected.dtype or got.shape != expected.shape:
            return f"{name} is now {got.dtype}{list(got.shape)}, it was {expected.dtype}{list(expected.shape)}"
    differing = sum(_differing(expected, got) for expected, got in pairs)
    if not differing:
        return ""
    found = difference(name, pairs)
    if contract.kind == "exact":
        return f"{name} differs in {differing} of {found.elements} elements, by up to {found.max_abs:.3g}: exact allows no difference"
    whole = all(expected.dtype.kind in "iub" for expected, _ in pairs)
    if contract.kind == "bounded" and found.mismatched and not whole:
        return f"{found.mismatched} of {found.elements} elements of {name} differ in kind (NaN, infinite, text)"
    return found


def _differing(expected: Any, got: Any) -> int:
    """Elements that have not the same bits (but any NaN is as good as another)."""
    import numpy

    if expected.dtype.kind not in "fiubV":
        return int((expected != got).sum())
    bits = f"u{expected.dtype.itemsize}"
    differs = numpy.ascontiguousarray(expected).view(bits) != numpy.ascontiguousarray(got).view(bits)
    both = numpy.isnan(expected) & numpy.isnan(got) if expected.dtype.kind == "f" else numpy.zeros(expected.shape, bool)
    return int((differs & ~both.reshape(differs.shape)).sum())


def _judged(
    untouched: Untouched, sets: Sequence[TrialSet], got: Sequence[Outputs], names: Sequence[str], contract: Contract
) -> Iterator[str]:
    """What of outputs that differ is more than the contract allows, against the float64 reference of the model before the pass."""
    expectations = [untouched.expectation(one.label, one.values) for one in sets]
    for name in names:
        samples = [one.sample(name, values[name]) for one, values in zip(expectations, got, strict=True)]
        yield _judge(judge(name, samples, EXACT), contract)


def _judge(found: TensorDifference, contract: Contract) -> str:
    if contract.kind == "reassociates":
        return found.fault
    rounding = EXACT.largest * found.rounding
    allowed = contract.absolute + rounding
    if found.max_abs <= allowed:
        return ""
    own = f", and {rounding:.3g} for rounding" if rounding else ""
    return f"{found.name} is off by {found.max_abs:.4g} ({contract.absolute:g} declared{own})"

"""Does a user's pass keep its contract? The model before and after it, both run by onnxruntime without optimisations on the same inputs.

Nothing here knows what the pass did. The tolerance of `reassociates` is the one that bundles are verified with (verify/judge.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.rule.rewrite import Contract
from ..errors import ModelError, first_line
from ..inputs.fitting_inputs import MadeUp
from ..load.source import MemoryModel
from ..reference.oracle import Oracle
from ..verify.compare import TensorDifference, difference
from ..verify.judge import judge
from ..verify.reference import Reference, random_tensors
from ..verify.terms import EXACT, Sample
from ..verify.trial import Untouched

if TYPE_CHECKING:
    import onnx

    from ..reference.messages import Answer

SETS = 2
"""Generated input sets, besides those given."""
TRIES = 4
"""How many are generated to find them."""
Outputs = Mapping[str, Any]


def broken_contract(before: onnx.ModelProto, after: onnx.ModelProto, contract: Contract, given: Mapping[str, Any] | None) -> str:
    """What the contract does not allow, naming the outputs and how far they are off; "" if it is kept.

    Both models have the same inputs, of static shapes, and the same outputs. Outputs that are drawn at random are not compared.
    Raises ModelError where `before` accepts no inputs that can be generated, and none are given."""
    try:
        reference = Reference(Path(), before)
    except ModelError as problem:
        raise ModelError(f"the contract of a pass cannot be checked: before it {first_line(problem).removeprefix('error: ')}") from problem
    feeds, expected = _inputs(before, reference, given)
    drawn = random_tensors(before.graph)
    try:
        session = Reference(Path(), after)
        got = [session.run(one) for one in feeds]
    except ModelError as problem:
        return first_line(problem).removeprefix("error: ").replace("the model", "the model it left", 1)
    names = [name for name in reference.outputs if name not in drawn]
    found = [_fault(name, [(a[name], b[name]) for a, b in zip(expected, got, strict=True)], contract) for name in names]
    suspects = [difference for difference in found if isinstance(difference, TensorDifference)]
    judged = _judged(before, feeds, got, [d.name for d in suspects], contract) if suspects else ()
    return "; ".join(filter(None, (*(fault for fault in found if isinstance(fault, str)), *judged)))


def _inputs(
    before: onnx.ModelProto, reference: Reference, given: Mapping[str, Any] | None
) -> tuple[list[Mapping[str, Any]], list[dict[str, Any]]]:
    """The input sets, and what the model before the pass makes of them."""
    shapes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in before.graph.input}
    maker = MadeUp(before, reference, shapes, tuple(shapes))
    sets = [] if given is None else [(given, reference.run(given))]
    sets += islice((made for seed in range(TRIES) if (made := maker.attempt(seed)) is not None), SETS)
    if not sets:
        message = f"the contract of a pass cannot be checked: the model accepts none of the generated inputs: {'; '.join(maker.unfit)}"
        raise ModelError(message, help="give it some: --inputs FILE.npz")
    return [feeds for feeds, _ in sets], [expected for _, expected in sets]


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
    before: onnx.ModelProto, feeds: Sequence[Mapping[str, Any]], got: Sequence[Outputs], names: Sequence[str], contract: Contract
) -> Iterator[str]:
    """What of outputs that differ is more than the contract allows, against the float64 reference of the model before the pass."""
    with Oracle(MemoryModel(before, "the model before the pass")) as oracle:
        untouched = Untouched(oracle, ())
        answers = [(untouched.answer(one), untouched.roundings(one, half=False)) for one in feeds]
    for name in names:
        samples = [_sample(f"set {k}", name, *answer, one) for k, (answer, one) in enumerate(zip(answers, got, strict=True))]
        yield _judge(judge(name, samples, EXACT), contract)


def _sample(label: str, name: str, answer: Answer, rounded: Answer, got: Outputs) -> Sample:
    expected = answer.exact if answer.exact is not None else answer.own
    assert expected is not None and answer.own is not None
    ways = (answer.own[name], *(way[name] for way in rounded.noise))
    return Sample(label, expected[name], got[name], ways, None if rounded.optimised is None else rounded.optimised[name])


def _judge(found: TensorDifference, contract: Contract) -> str:
    if contract.kind == "reassociates":
        return found.fault
    rounding = EXACT.largest * found.rounding
    allowed = contract.absolute + rounding
    if found.max_abs <= allowed:
        return ""
    own = f", and {rounding:.3g} for rounding" if rounding else ""
    return f"{found.name} is off by {found.max_abs:.4g} ({contract.absolute:g} declared{own})"

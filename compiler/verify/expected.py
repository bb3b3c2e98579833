"""`--expect`: outputs that the source framework itself computed for given inputs, against the bundle's and the untouched model's.

The untouched model is no judge here: an export may be wrong, and then a bundle that is equal to it is wrong too. So the bundle is held
against the framework's numbers, and what the untouched model differs by says where the fault lies. Only where a device computes in fp16
or an approximation was taken is a bundle further off from a model that is right: then it is judged against that, as without `--expect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..differing_digits import differing
from ..errors import UsageError, did_you_mean
from .compare import TensorDifference, difference

SINGLE = 1e-3
"""What two frameworks may differ by in fp32 and fp64, as a share of the output's standard deviation: they add in another order."""
HALF = 2e-2
"""The same in fp16 and bf16, whose numbers have 8 to 11 bits."""
NARROW = ("float16", "bfloat16")
COSINE = 0.99
"""At least this where a device computes in fp16 or an approximation was taken."""
ADVICE = "save what the source framework computes: numpy.savez(path, name=array, …) with every output of the model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedOutput:
    """How far an output is from what the source framework computed for the given inputs."""

    name: str
    """Of the output."""
    bundle: TensorDifference
    """Of the bundle's output."""
    model: TensorDifference
    """Of the untouched model's."""
    tolerance: float
    """On `bundle.max_abs_over_std`."""
    reason: str
    """Why the bundle's is too far off; "" if it is not."""


def check_asked(expected: object, inputs: object, verify: bool = True) -> None:
    """Raises UsageError where outputs are expected for no inputs, or nothing is to be compared."""
    if expected is not None and not verify:
        raise UsageError("what is not verified cannot be compared with what is expected", help="leave out --expect or --no-verify")
    if expected is not None and inputs is None:
        raise UsageError("outputs can only be expected for inputs that are given", help="--expect y.npz goes with --inputs x.npz")


def check_expected(outputs: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raises UsageError where `expected` has not the names, dtypes and shapes of the outputs that the model computes."""
    import numpy

    if unknown := [name for name in expected if name not in outputs]:
        raise UsageError(
            f"the model has no output {unknown[0]!r} to be compared with what is expected", help=did_you_mean(unknown[0], outputs)
        )
    if missing := [name for name in outputs if name not in expected]:
        raise UsageError(f"what is expected lacks the output {missing[0]!r}", help=ADVICE)
    for name, output in outputs.items():
        found, wanted = numpy.asarray(expected[name]), numpy.asarray(output)
        if isinstance(output, (list, tuple)):
            raise UsageError(f"output {name!r} is a sequence, which cannot be compared with an array")
        if found.shape != wanted.shape:
            what = f"what is expected of output {name!r} has shape {list(found.shape)}, the model computes {list(wanted.shape)}"
            raise UsageError(what, help="compute it for the same inputs")
        if found.dtype != wanted.dtype and not (found.dtype.kind in "US" and wanted.dtype.kind in "OUS"):
            what = f"what is expected of output {name!r} is {found.dtype}, the model computes {wanted.dtype}"
            raise UsageError(what, help=f"convert it if that loses nothing: array.astype('{wanted.dtype}')")


def hold_expected(
    expected: Mapping[str, Any], model: Mapping[str, Any], bundle: Mapping[str, Any], names: tuple[str, ...], coarse: bool
) -> tuple[ExpectedOutput, ...]:
    """Each output of the bundle and of the untouched model against what is expected, all for the same inputs. `coarse`: a device computes
    in fp16, or an approximation was taken. Raises as `check_expected`."""
    check_expected({name: model[name] for name in names}, expected)
    return tuple(_held(name, expected[name], model[name], bundle[name], coarse) for name in names)


def words(held: Sequence[ExpectedOutput]) -> str:
    """What a success rests on."""
    each = ", ".join(f"{one.name}: off by {one.bundle.max_abs:.3g}, the untouched model's by {one.model.max_abs:.3g}" for one in held)
    return f"as expected on the given inputs ({each})"


def _held(name: str, expected: Any, model: Any, bundle: Any, coarse: bool) -> ExpectedOutput:
    import numpy

    ours, theirs = difference(name, [(expected, bundle)]), difference(name, [(expected, model)])
    tolerance = HALF if str(numpy.asarray(expected).dtype) in NARROW else SINGLE
    judged_by_the_model = coarse and not _too_far(theirs, tolerance) and not ours.mismatched and ours.cosine >= COSINE
    reason = "" if judged_by_the_model else _excess(name, ours, theirs, tolerance)
    return ExpectedOutput(name=name, bundle=ours, model=theirs, tolerance=tolerance, reason=reason)


def _excess(name: str, ours: TensorDifference, theirs: TensorDifference, tolerance: float) -> str:
    if not _too_far(ours, tolerance):
        return ""
    share, most = differing(ours.max_abs_over_std, tolerance)
    far = ours.mismatch if ours.mismatched else f"off by {ours.max_abs:.3g}, {share} of its standard deviation, where {most} is allowed"
    if _too_far(theirs, tolerance):
        also = theirs.mismatch if theirs.mismatched else f"off by {theirs.max_abs:.3g}"
        return f"output {name} is not what was expected: {far}; so is the untouched model's ({also}): the export differs from its source"
    return f"output {name} is not what was expected: {far}; the untouched model's is within that"


def _too_far(found: TensorDifference, tolerance: float) -> bool:
    return found.mismatched > 0 or found.max_abs_over_std > tolerance

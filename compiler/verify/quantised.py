"""Judging what quantised models compute: by what other steps of the grids change, and beside the model without steps.

Where activations are rounded to grids of 8 bits, two right ways to compute take different steps here and there, and everything behind a
step differs: a device and the CPU each lie 0.15 of the spread from the float model, and 0.07 from each other (lightnet on Hexagon). No
rounding of floats explains that. So an output is right, too,
- where it is as far from the quantised model as that is from itself with each number on a step next to its own by a draw: a unit of
  integers that is right up to a step does just that;
- or where it is as far from the model without steps as the quantised one is: a device may round less often.
How far that may be is measured on the model, and never on what is judged. It is measured on each input set, for that set alone: steps are
as wide on small numbers as on large ones, so that on some sets little is left of the model, and what is allowed there must not be
allowed elsewhere. Outputs of few numbers are the exception: there one set shows too little of what steps do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log
from typing import TYPE_CHECKING, Any

import numpy as np

from .compare import TensorDifference, cosine_of
from .judge import judge
from .terms import COSINE, FAR, MANY, MOST_FAR, Sample, Terms

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MORE = 1.5
"""How much further from the float model than the quantised one a bundle may turn, and how many more elements may be far off."""
LONGEST, FULL, NEAR_GRID = 256, 4, 1e-3
"""Places of a grid of 8 bits; how many numbers there must be for each that is taken; steps that one may be off its place."""
LOST = 0.9
"""Cosine of a quantised model with itself in other steps, or without, below which a set does not tell: little is left of the model."""
SHOWN, MISSED = 0.4, 0.05
"""A fault that shows on this share of inputs may go unseen by all sets that tell with this chance."""
ENOUGH = ceil(log(MISSED) / log(1 - SHOWN))
"""Sets that tell which are enough, however many others do not: (1 - SHOWN)^ENOUGH <= MISSED. Generated inputs lie outside the ranges of
some models, samples do not."""
ERRORS = 3.0
"""Standard errors by which an output that has nothing to do with the model must be further off than what is allowed."""
LOST_TERMS = Terms(largest=1e9, channel=1e9, mean=1e9, cosine=LOST, far=1.0, rounding="what quantising has left of the model")
"""Of an output of few numbers on a set that does not tell: by how they turn nothing but a direction can be told."""
QUANTISED = Terms(largest=2.0, channel=2.0, mean=1.25, rounding="what the model's own quantisation changes")


def judge_in_steps(name: str, samples: Sequence[Sample]) -> TensorDifference | None:
    """The judgement of a tensor by the steps of the model's grids: the first one without a fault, else the last. None where the model has
    no such steps, or where too few sets tell: those of which they leave enough. Another set, such as one far outside the range that the
    grids were made for, is judged by what steps do to it as well, but nobody is right for its sake."""
    found: TensorDifference | None = None
    for beside in (_other_steps, _without_steps):
        judged = _judged(name, samples, [beside(sample) for sample in samples])
        if judged is not None and not judged.fault:
            return judged
        found = judged or found
    return found


def _judged(name: str, samples: Sequence[Sample], beside: Sequence[Sample | None]) -> TensorDifference | None:
    known = [sample for sample in beside if sample is not None]
    if len(known) < len(beside):
        return None
    telling = [sample for sample in known if _turn(sample) < 1.0 - LOST]
    if len(telling) < min(ENOUGH, len(known) / 2):
        return None
    few = min(np.size(sample.expected) for sample in telling) < MANY
    groups = [telling] if few else [[sample] for sample in telling]
    lost = [sample for sample in known if _turn(sample) >= 1.0 - LOST]
    groups += [[sample] for sample in lost if few or _refuses_anything(sample)]
    step = _step([sample.expected for sample in samples])
    found: TensorDifference | None = None
    for group in groups:
        judged = judge(name, group, _terms(group, step) if group is telling or not few else LOST_TERMS)
        if judged.fault:
            return judged
        found = judged if found is None or judged.excess > found.excess else found
    return found


def _terms(group: Sequence[Sample], step: float) -> Terms:
    turn, far = max(map(_turn, group)), max(_far(sample.expected, way) for sample in group for way in sample.steps)
    return replace(QUANTISED, pooled=len(group) > 1, step=step, cosine=min(COSINE, 1.0 - MORE * turn), far=max(MOST_FAR, MORE * far))


def _turn(sample: Sample) -> float:
    """How far the model turns in other steps on a set."""
    return max(1.0 - _cosine(sample.expected, way) for way in sample.steps)


def _refuses_anything(sample: Sample) -> bool:
    """Whether an output of the same spread that has nothing to do with what is expected would be refused, with ERRORS standard errors.

    The mean square of its distance is 2 var, and that of n independent numbers is 2 var chi^2(n) / n, of which the cube root is nearly
    normal with mean 1 - 2/9n and variance 2/9n (Wilson and Hilferty 1931)."""
    pairs = [_flat(sample.expected, way) for way in sample.steps]
    allowed = max(float(((x - y) ** 2).mean()) if x.size else 0.0 for x, y in pairs) * QUANTISED.mean**2
    spread, few = pairs[0][0], 2 / (9 * max(pairs[0][0].size, 1))
    least = max(1 - few - ERRORS * few**0.5, 0.0) ** 3
    return bool(spread.size) and allowed < 2 * float(spread.var()) * least


def _step(quantised: Sequence[Any]) -> float:
    """Distance of neighbours on the grid that all of these lie on; 0 where they show none: that takes more numbers than places."""
    every = np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in quantised])
    places = np.unique(every[np.isfinite(every)])
    if places.size < 2 or places.size > LONGEST or every.size < FULL * places.size:
        return 0.0
    step = float(np.diff(places).min())
    on_grid = np.abs((places - places[0]) / step - np.round((places - places[0]) / step)).max()
    return step if on_grid < NEAR_GRID else 0.0


def _other_steps(sample: Sample) -> Sample | None:
    """The quantised model is expected, and in other steps it may be computed, too."""
    if not sample.steps or not _comparable(sample, sample.steps[0]):
        return None
    return replace(sample, roundings=(*sample.steps, *sample.roundings))


def _without_steps(sample: Sample) -> Sample | None:
    """The model without steps is expected, and in steps it may be computed, too."""
    if not _comparable(sample, sample.floats):
        return None
    steps = (sample.expected, *sample.steps)
    return Sample(sample.inputs, sample.floats, sample.got, (*steps, *sample.roundings), steps=steps)


def _comparable(sample: Sample, other: Any) -> bool:
    """Whether what was got are real numbers, and this is another way to compute them: it has a number wherever one is expected."""
    if other is None or isinstance(other, (list, tuple)) or np.asarray(sample.got).dtype.kind != "f":
        return False
    expected, numbers = np.asarray(sample.expected, np.float64), np.asarray(other, np.float64)
    return numbers.shape == expected.shape and bool(numbers.size) and bool(np.isfinite(numbers[np.isfinite(expected)]).all())


def _cosine(a: Any, b: Any) -> float:
    x, y = _flat(a, b)
    return cosine_of(x, y) if x.size > 1 else 1.0


def _far(a: Any, b: Any) -> float:
    x, y = _flat(a, b)
    return float((np.abs(x - y) > FAR * x.std()).mean()) if x.size else 0.0


def _flat(a: Any, b: Any) -> tuple[Array, Array]:
    x, y = np.asarray(a, np.float64).reshape(-1), np.asarray(b, np.float64).reshape(-1)
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]

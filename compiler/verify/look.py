"""How the outputs of a trial are judged: at first with rounding measured once, and more often where one is a little too far off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..quantities import count
from .compare import TensorDifference
from .judge import judge
from .quantised import judge_in_steps
from .terms import Sample, Terms
from .trial import NOISE, Tell, Trial, own_where_equal

AGAIN = 8.0
"""Times what is allowed up to which a difference may be rounding that was measured too small: then it is measured more often."""
Judged = Callable[[Mapping[str, Sequence[Sample]], bool], tuple[TensorDifference, ...]]
"""From samples by output, and whether rounding was measured as often as it will be, to a judgement of each."""


def judge_output(name: str, samples: Sequence[Sample], terms: Terms, own: bool) -> TensorDifference:
    """Against the float64 evaluation; what is off there may still be the untouched model's own number to the last bit, where `own` says
    that onnxruntime is right about the model."""
    found = judge(name, samples, terms)
    if not found.fault or not own:
        return found
    exact = judge(name, [own_where_equal(sample) for sample in samples], terms)
    beside = judge_in_steps(name, samples) if exact.fault else exact
    return found if beside is None or beside.fault else replace(found, fault="", excess=beside.excess)


def look(trial: Trial, judged: Judged, tell: Tell) -> tuple[TensorDifference, ...]:
    """The outputs, judged; where one is a little too far off, again with rounding measured more often on the sets that show it."""
    outputs, last = judged(trial.samples, False), False
    for noise in NOISE[1:]:
        if not any(d.fault for d in outputs) or max(d.excess for d in outputs) > AGAIN:
            break
        suspects: Sequence[int] = [k for k in range(len(trial.labels)) if _shows(trial, k, judged, last)] or range(len(trial.labels))
        tell(f"measuring rounding {noise} times on {count(len(suspects), 'input set')}")
        trial.look_again(suspects, noise)
        last = noise == NOISE[-1]
        outputs = judged(trial.samples, last)
    return outputs


def _shows(trial: Trial, k: int, judged: Judged, last: bool) -> bool:
    """Whether a set alone shows a fault of an output."""
    return any(d.fault for d in judged({name: [seen[k]] for name, seen in trial.samples.items()}, last))

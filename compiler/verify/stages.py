"""The stages of a compilation before the bundle, each held against the reference: the model as passes got it, and all that they made of it.

They run on onnxruntime's CPU with its optimisations off, whatever the devices are, so that what is wrong with a graph is told apart from
what is wrong with a runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..bundle.verification_record import StageVerdict
from ..errors import ModelError, first_line
from ..quantities import count
from .look import judge_output
from .terms import EXACT, Terms

if TYPE_CHECKING:
    import onnx

    from .trial import Trial

SETS = 2
"""Input sets, the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A model between the file and the bundle."""

    name: str
    """simplified, rewritten …"""
    model: onnx.ModelProto
    approximated: bool
    """Whether approximations were taken by then."""


def judge_stages(stages: Sequence[Stage], trial: Trial, names: Sequence[str], terms: Terms, last: bool) -> tuple[StageVerdict, ...]:
    """A verdict on each. names: outputs to compare. terms: of the bundle; those of the host's CPU hold for a stage that is exact.
    last: rounding was measured as often as it will be, so that stages are allowed what the bundle is allowed then."""
    if not trial.labels:
        return ()
    exact = EXACT.at_last if last else EXACT
    here = replace(terms, largest=exact.largest, mean=exact.mean, rounding=exact.rounding)
    return tuple(_verdict(stage, trial, names, here if stage.approximated else replace(here, loose=0.0, free=False)) for stage in stages)


def _verdict(stage: Stage, trial: Trial, names: Sequence[str], terms: Terms) -> StageVerdict:
    from .reference import Reference

    try:
        reference = Reference(None, stage.model)
        got = [reference.run(_taken(inputs, reference)) for inputs in trial.fed[:SETS]]
    except ModelError as problem:
        return StageVerdict(stage=stage.name, verified=False, reason=f"it does not run: {first_line(problem).removeprefix('error: ')}")
    wrong = [fault for name in names if (fault := _fault(name, trial, [one[name] for one in got], terms))]
    compared = f"{count(len(names), 'output')} on {count(len(got), 'input set')}, on the CPU"
    return StageVerdict(stage=stage.name, verified=not wrong, reason="; ".join(wrong) or compared)


def _taken(inputs: Mapping[str, Any], reference: Any) -> Mapping[str, Any]:
    """Without the inputs that simplifying left without a reader."""
    return {name: value for name, value in inputs.items() if name in reference.inputs}


def _fault(name: str, trial: Trial, got: Sequence[Any], terms: Terms) -> str:
    samples = [replace(sample, got=value) for sample, value in zip(trial.samples[name], got, strict=False)]
    return judge_output(name, samples, terms, not trial.untouched.faults).fault

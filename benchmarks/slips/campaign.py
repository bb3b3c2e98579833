"""All slips of a model: made, measured, verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Literal

import onnx

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.run.bundle import Bundle

from .effect import Truth, Wrong
from .flow_kinds import FLOW
from .judged import Judge
from .kind import Kind, Site
from .operator_kinds import OPERATORS
from .output_kinds import OUTPUTS
from .weight_kinds import WEIGHTS

KINDS: tuple[Kind, ...] = (*FLOW, *OPERATORS, *WEIGHTS, *OUTPUTS)
SIZES = (1.5, 3.0, 10.0)
"""Times rounding, of mistakes that have a strength."""
WHOLE = 0.0
"""The size of a mistake that has none."""
Outcome = Literal["refused", "survived", "within rounding", "not made"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """One wrong model and what became of it."""

    model: str
    kind: str
    site: str
    size: float
    """What its effect was to be, in units of rounding; WHOLE where the mistake has no strength."""
    target: str
    outcome: Outcome
    ratio: float = 0.0
    """What its effect is, in units of rounding."""
    effect: float = 0.0
    output: str = ""
    located: bool = False
    part: float = 0.0
    """The verification's largest difference over what it allows there."""
    reason: str = ""
    """Of the verification, or why it was not made."""

    @property
    def counted(self) -> bool:
        return self.outcome in ("refused", "survived")


def slips(truth: Truth, judges: Sequence[Judge], kinds: Sequence[Kind], sites: int, tell: Callable[[str], None]) -> Iterator[Slip]:
    """Those of every kind at up to so many sites, on every target."""
    for kind in kinds:
        for site in kind.sites(truth.view, sites):
            tell(f"{truth.subject.name}: {kind.name} at {site.where}")
            start, before = site.strength, 0.0
            for size in SIZES if start else (WHOLE,):
                slip = Slip(model=truth.subject.name, kind=kind.name, site=site.where, size=size, target="", outcome="not made")
                wrong = _wrong(truth, site, size, start * size / before if before else start)
                yield from _outcomes(judges, wrong, slip)
                if isinstance(wrong, Wrong):
                    start, before = wrong.strength, size


def _wrong(truth: Truth, site: Site, size: float, start: float) -> Wrong | str:
    """The wrong model, or why there is none."""
    try:
        return (truth.sized(site, size, start) if size else truth.wrong(site)) or "no strength has this effect"
    except Exception as problem:  # a mistake may make a model that nothing runs: there is no common base class
        return f"{type(problem).__name__}: {problem}"[:200]


def _outcomes(judges: Sequence[Judge], wrong: Wrong | str, slip: Slip) -> Iterator[Slip]:
    if isinstance(wrong, str):
        yield replace(slip, reason=wrong)
    elif not wrong.effect.ratio > 1:
        yield replace(slip, outcome="within rounding", ratio=wrong.effect.ratio)
    else:
        measured = replace(slip, ratio=wrong.effect.ratio, effect=wrong.effect.effect, output=wrong.effect.output)
        yield from (_judged(judge, wrong.model, replace(measured, target=judge.target)) for judge in judges)


def _judged(judge: Judge, wrong: onnx.ModelProto, slip: Slip) -> Slip:
    try:
        verdict = judge.verdict(wrong)
    except Exception as problem:  # of compiling or running a model that cannot run
        return replace(slip, reason=f"{type(problem).__name__}: {problem}"[:200])
    if verdict.mended:
        return replace(slip, reason="the compiler put it right")
    outcome: Outcome = "refused" if verdict.refused else "survived"
    return replace(slip, outcome=outcome, located=verdict.located, part=verdict.part, reason=verdict.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """The right model itself on one target."""

    model: str
    target: str
    verified: bool
    exercised: float
    not_exercised: tuple[str, ...]
    seconds: float
    reason: str
    part: float = 0.0
    """The largest difference over what is allowed there: what is left is room for a slip."""

    fits: bool = True
    """False where the target has no room for the model: then nothing is asked of it."""

    @property
    def holds(self) -> bool:
        return not self.fits or (self.verified and self.exercised >= LEAST)


LEAST = 0.95
"""Share of outputs that must have been exercised."""


def right(truth: Truth, target: str, folder: Path) -> Right:
    """Compiled as users compile it, and verified; what either raises counts as not verified."""
    begin, subject = perf_counter(), truth.subject
    found = Right(model=subject.name, target=target, verified=False, exercised=0.0, not_exercised=(), seconds=0.0, reason="")
    try:
        compile_model(subject.path, target, shapes=dict(subject.shapes) or None, output=folder / "right", emulate=True)
        report = Bundle.load(folder / "right").verify(subject.path, emulate=True)
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}".splitlines()[0]
        return replace(found, reason=reason, fits=not isinstance(problem, Infeasible), seconds=perf_counter() - begin)
    return replace(
        found,
        verified=report.verified,
        exercised=report.exercised,
        not_exercised=report.not_exercised,
        seconds=perf_counter() - begin,
        reason=report.reason,
        part=max((output.excess for output in report.outputs), default=0.0),
    )

"""All slips of a model: made, measured, verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx

from .effect import Effect, Truth
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
            for size in SIZES if site.strength else (WHOLE,):
                tell(f"{truth.subject.name}: {kind.name} at {site.where}")
                yield from _one(truth, judges, kind, site, size)


def _one(truth: Truth, judges: Sequence[Judge], kind: Kind, site: Site, size: float) -> Iterator[Slip]:
    name, label = truth.subject.name, kind.name
    try:
        found = truth.sized(site, size) if size else _whole(truth, site)
    except Exception as problem:  # a mistake may make a model that nothing runs: there is no common base class
        found, why = None, f"{type(problem).__name__}: {problem}"[:200]
    else:
        why = "no strength has this effect"
    if found is None:
        yield Slip(model=name, kind=label, site=site.where, size=size, target="", outcome="not made", reason=why)
        return
    wrong, effect = found
    if not effect.ratio > 1:
        yield Slip(model=name, kind=label, site=site.where, size=size, target="", outcome="within rounding", ratio=effect.ratio)
        return
    for judge in judges:
        yield _judged(
            judge, wrong, effect, Slip(model=name, kind=label, site=site.where, size=size, target=judge.target, outcome="not made")
        )


def _whole(truth: Truth, site: Site) -> tuple[onnx.ModelProto, Effect]:
    wrong = truth.made(site, 0.0)
    return wrong, truth.effect(wrong)


def _judged(judge: Judge, wrong: onnx.ModelProto, effect: Effect, slip: Slip) -> Slip:
    from dataclasses import replace

    measured = replace(slip, ratio=effect.ratio, effect=effect.effect, output=effect.output)
    try:
        verdict = judge.verdict(wrong)
    except Exception as problem:  # of compiling or running a model that cannot run
        return replace(measured, reason=f"{type(problem).__name__}: {problem}"[:200])
    outcome: Outcome = "refused" if verdict.refused else "survived"
    return replace(measured, outcome=outcome, located=verdict.located, part=verdict.part, reason=verdict.reason)


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

    @property
    def holds(self) -> bool:
        return self.verified and self.exercised >= LEAST


LEAST = 0.95
"""Share of outputs that must have been exercised."""


def right(truth: Truth, target: str, folder: Path) -> Right:
    """Compiled and verified; what either raises counts as not verified."""
    from time import perf_counter

    begin = perf_counter()
    try:
        with Judge(truth, target, folder) as judge:
            report = judge.right()
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"
        return Right(
            model=truth.subject.name,
            target=target,
            verified=False,
            exercised=0.0,
            not_exercised=(),
            seconds=perf_counter() - begin,
            reason=reason,
        )
    return Right(
        model=truth.subject.name,
        target=target,
        verified=report.verified,
        exercised=report.exercised,
        not_exercised=report.not_exercised,
        seconds=perf_counter() - begin,
        reason=report.reason,
        part=max((output.excess for output in report.outputs), default=0.0),
    )

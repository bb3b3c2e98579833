"""Forms within the accuracy that is asked for: a choice is compiled and the bundle's own run measured; where that breaks a limit, forms are
chosen again that lose less.

What forms lose was measured on calibration samples and the sum of single losses, so the choice may miss by a little; what a script, or the
first class of a sample, makes of a loss is known of the bundle alone. Each round halves the loss at least; the last one is in fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...bundle.manifest import AttemptRecord, LimitRecord
from ...errors import Infeasible, UserError, VerifyError
from ...precision.asked_accuracy import cosine_text, three_digits
from ...precision.choose import least_cosine
from ...precision.request import PrecisionRequest
from ..job import Job
from ..judge_bundle import Differs
from ..result import CompileResult
from ..search import Log
from ..verdict import AccuracyMissed
from .chosen_precision import ChosenPrecision, check_saved, choose_precision, save_quantised

MOST_ROUNDS = 6
"""Choices that are compiled, at most."""
REFINEMENTS, NEAR, FAR = 2, 2.0, 64.0
"""Choices between what keeps the limits and what does not: where their losses differ by more than a factor, and no less than another."""
GENTLE, USUAL, HARSH = 0.8, 0.25, 0.05
"""What is left of 1 - cosine from one round to the next: where a limit on the cosine says how far it is off, and where nothing does."""
NO_LOSS = 1e-12
"""A cosine as near to 1 counts as 1."""
AIM = 0.9
"""Of what a limit on the cosine allows."""
Compiled = Callable[[ChosenPrecision | None, str, Log], CompileResult]
"""Compiles a choice, with what it does differently from the one before, and the log of attempts until then."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A choice that was compiled and is not accurate enough."""

    chosen: ChosenPrecision
    problem: AccuracyMissed | VerifyError


@dataclass(frozen=True, slots=True)
class Kept:
    """A choice that keeps every limit."""

    chosen: ChosenPrecision
    result: CompileResult


def chosen_within(job: Job, request: PrecisionRequest, without: frozenset[str], others: bool, compiled: Compiled) -> CompileResult:
    """The first bundle that keeps every limit; its model is saved where `request` says. others: whether scripts limit the accuracy.

    Raises Infeasible with what would do where none does, also in fp32."""
    check_saved(request)
    rounds = Rounds(job, request, without, compiled)
    kept = rounds.first_kept(least_cosine(job.target, others))
    kept = rounds.faster_than(kept)
    save_quantised(request, kept.chosen)
    return kept.result


@dataclass(slots=True)
class Rounds:
    """What was compiled so far."""

    job: Job
    request: PrecisionRequest
    without: frozenset[str]
    compiled: Compiled
    refused: list[Refused] = field(default_factory=list)
    log: Log = ()

    def first_kept(self, least: float) -> Kept:
        """Raises Infeasible or VerifyError where nothing is left to try."""
        change = ""
        while True:
            chosen = self._anew(least)
            if chosen is None:
                raise exhausted(self.refused[-1].problem, self.request.precision, len(self.refused)) from self.refused[-1].problem
            result = self._try(chosen, change)
            if result is not None:
                return Kept(chosen, result)
            least = 1.0 if len(self.refused) == MOST_ROUNDS - 1 else _tighter(self.refused[-1])
            change = f"{_forms_of(least)}, since {self.refused[-1].problem.message}"

    def faster_than(self, kept: Kept) -> Kept:
        """Between what keeps the limits and what did not there may be forms that are faster: a few more choices are tried, where steps
        were large."""
        for _ in range(REFINEMENTS):
            loose, tight = self._losses(kept)
            if tight * NEAR >= loose or len(self.refused) >= MOST_ROUNDS:
                break
            least = 1 - (loose * max(tight, loose / FAR)) ** 0.5
            chosen = self._anew(least, refine=True)
            if chosen is None or chosen.record.forms == kept.chosen.record.forms:
                break
            result = self._try(chosen, f"{_forms_of(least)}, to see whether these are accurate enough as well")
            kept = kept if result is None else Kept(chosen, result)
        return kept

    def _losses(self, kept: Kept) -> tuple[float, float]:
        """1 - cosine of the most accurate choice that was refused by limits that are not on the cosine, and of the one that is kept."""
        choice = kept.chosen.quantised.choice
        misses = [one for one in self.refused if _by_other_limits(one.problem) and one.chosen.quantised.choice is not None]
        if choice is None or not misses:
            return 0.0, 0.0
        return min(1 - one.chosen.quantised.choice.cosine for one in misses if one.chosen.quantised.choice is not None), 1 - choice.cosine

    def _try(self, chosen: ChosenPrecision, change: str) -> CompileResult | None:
        try:
            return self.compiled(chosen, change, self.log)
        except AccuracyMissed as missed:
            self.log = missed.log
            self.refused.append(Refused(chosen, missed))
        except Differs as problem:
            self.log = (*self.log, AttemptRecord(number=len(self.log) + 1, change=change, verdict="rejected", reason=problem.message))
            self.refused.append(Refused(chosen, problem))
        except Infeasible as problem:
            raise self._between(problem) from problem
        return None

    def _anew(self, least: float, refine: bool = False) -> ChosenPrecision | None:
        """A choice that was not compiled yet; None where there is none, or for one to refine with."""
        if self.refused and not _has_choice(self.refused[-1].chosen):
            return None
        while True:
            try:
                chosen = choose_precision(self.job, self.request, self.without, least)
            except Infeasible as problem:
                raise self._between(problem) from problem
            if all(one.chosen.record.forms != chosen.record.forms for one in self.refused):
                return chosen
            if refine or least >= 1.0 or chosen.quantised.choice is None:
                return None
            loss = (1 - max(least, chosen.quantised.choice.cosine)) * USUAL
            least = 1 - loss if loss > NO_LOSS else 1.0

    def _between(self, problem: Infeasible) -> Infeasible:
        """Another limit that forms break which are accurate enough."""
        if not self.refused:
            return problem
        message = f"{problem.message}; faster forms are not accurate enough: {self.refused[-1].problem.message}"
        return Infeasible(problem.resource, problem.demand, problem.limit, problem.relaxations, message=message, where=problem.where)


def _has_choice(chosen: ChosenPrecision) -> bool:
    choice = chosen.quantised.choice
    return choice is not None and bool(choice.forms)


def _tighter(last: Refused) -> float:
    choice = last.chosen.quantised.choice
    return 1.0 if choice is None else tighter(choice.cosine, last.problem)


def tighter(cosine: float, problem: UserError) -> float:
    """What the cosine of the next choice has to be, on the calibration samples, where the last one's was `cosine`."""
    limits, share = problem.limits if isinstance(problem, AccuracyMissed) else (), USUAL
    if limits and all(limit.subject == "cosine" for limit in limits):
        share = min(AIM * (1 - limit.limit) / max(1 - (limit.value or 0.0), NO_LOSS) for limit in limits)
        share = min(max(share, HARSH), GENTLE)
    return 1 - (1 - cosine) * share


def exhausted(missed: AccuracyMissed | VerifyError, precision: str, tried: int = 1) -> UserError:
    """What to raise where no choice of forms is left that keeps a limit."""
    if isinstance(missed, VerifyError):
        return missed
    first = missed.limits[0]
    ways = [f"`{', '.join(map(looser, missed.limits))}` is what it keeps"]
    if precision == "auto":
        ending = f"in fp32 as well: after {tried} choices of forms" if tried > 1 else "in fp32 as well"
    elif precision == "fp32":
        ending = "in fp32"
    elif precision == "pruned":
        ending = "without the channels that --prune removes"
        ways.insert(0, "a smaller --prune, or --prune auto with calibration data, removes fewer")
    else:
        ending = f"in {precision}, which --precision forces"
        ways.insert(0, "--precision auto chooses forms that keep it")
    message, where = f"{missed.message}, {ending}", ", ".join(dict.fromkeys(limit.origin for limit in missed.limits))
    return Infeasible(first.kind, first.value or 0.0, first.limit, ways, message=message, where=where)


def looser(limit: LimitRecord) -> str:
    """The limit as the bundle keeps it."""
    value = limit.value or 0.0
    if limit.subject == "cosine":
        return f"accuracy cosine >= {cosine_text(value)}"
    most = limit.comparison.startswith("<")
    return f"accuracy {limit.subject} {'<=' if most else '>='} {three_digits(value, up=most):.12g}"


def _forms_of(least: float) -> str:
    return f"forms that keep a cosine of {cosine_text(least)} on the calibration samples"


def _by_other_limits(problem: UserError) -> bool:
    return isinstance(problem, AccuracyMissed) and any(limit.subject != "cosine" for limit in problem.limits)

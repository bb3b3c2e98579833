"""The search for a bundle: attempts, and what follows from the verdict on each.

accepted                  done: attempts go from the fastest plan to slower ones, so the first accepted one is the best
refused by a runtime,
computed wrong            the operators at fault are kept off that device (route_around.py)
wrong by a runtime's
optimiser                 onnxruntime leaves it out for that segment (optimiser_faults.py)
over an error budget      the coarsest approximation is switched off (error_budget.py)
over a limit              another plan, or less is kept off (over_limit.py)
rejected                  nothing the search could change: the reason goes to the user
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...passes.rule.rewrite import Rewrite
from ..bundle.manifest import AttemptRecord, Outcome
from ..errors import SearchEnded
from .error_budget import infeasible_exactly, tighter
from .job import Message
from .optimiser_faults import with_settings
from .over_limit import another_plan, taken_back
from .result import CompileResult
from .route_around import around
from .search_budget import Meter
from .state import State
from .verdict import Accepted, Faulty, Inexact, Misoptimised, OverLimit, Rejected, Verdict

Log = tuple[AttemptRecord, ...]
Attempt = Callable[[State, Log], Verdict]
"""Plans, emits and verifies under the state's constraints; the log of earlier attempts goes into the manifest."""


def search(attempt: Attempt, first: State, rules: Sequence[Rewrite], meter: Meter, tell: Callable[[str], None]) -> CompileResult:
    """The result of the first attempt that is accepted. `rules`: all of the compilation.

    Raises the user error that the last verdict holds where nothing is left to try, SearchEnded where the budget is spent first.
    """
    state, log = first, tuple[AttemptRecord, ...]()
    while True:
        if meter.attempts:
            tell(Message(f"again: {state.change}", meter.next_attempt()))
        meter.attempts += 1
        verdict = attempt(state, log)
        if isinstance(verdict, Accepted):
            return verdict.result
        log = attempted(state, log, verdict.kind, verdict.reason)
        if spent := meter.spent():
            raise SearchEnded(spent, meter.remedy(), verdict.kind, verdict.problem) from verdict.problem
        state = following(state, verdict, rules)


def following(state: State, verdict: Faulty | Misoptimised | Inexact | OverLimit | Rejected, rules: Sequence[Rewrite]) -> State:
    """The state of the next attempt. Raises the error for the user if nothing is left to try."""
    match verdict:
        case Faulty():
            return around(state, verdict)
        case Misoptimised():
            return with_settings(state, verdict)
        case Inexact():
            return tighter(state, verdict, rules) or taken_back(state, infeasible_exactly(verdict))
        case OverLimit():
            return another_plan(state, verdict)
        case Rejected():
            raise verdict.problem


def attempted(state: State, log: Log, verdict: Outcome, reason: str = "") -> Log:
    """The log with one attempt more: what the manifest and the report say of it."""
    return (*log, AttemptRecord(number=len(log) + 1, change=state.change, verdict=verdict, reason=reason))

"""The search for a bundle: attempts, and what follows from the verdict on each.

accepted                  done: attempts go from the fastest plan to slower ones, so the first accepted one is the best
refused by a runtime,
computed wrong            the operators at fault are kept off that device (route_around.py)
wrong by a runtime's
optimiser                 onnxruntime leaves it out for that segment (optimiser_faults.py)
over an error budget      the coarsest approximation is switched off (error_budget.py)
over a limit              another plan, or less is kept off (over_limit.py)
over an accuracy limit    the model is written in other forms, and searched for again (accuracy_rounds.py)
rejected                  nothing the search could change: the reason goes to the user

Where the budget is spent, or nothing is left to try, and a device was at fault: one attempt more, beyond the budget, gives up that device
(and another where onnxruntime's optimiser then computes the rest wrong).
What comes of it is right or the search ends as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...passes.rule.rewrite import Rewrite
from ..bundle.manifest import AttemptRecord, Outcome
from ..errors import SearchEnded, UserError
from .error_budget import infeasible_exactly, tighter
from .job import Message
from .optimiser_faults import with_settings
from .over_limit import another_plan, taken_back
from .result import CompileResult
from .route_around import around, without_devices
from .search_budget import Meter
from .state import State
from .verdict import Accepted, AccuracyMissed, Faulty, Inaccurate, Inexact, Misoptimised, OverLimit, Rejected, Verdict

Log = tuple[AttemptRecord, ...]
Attempt = Callable[[State, Log], Verdict]
"""Plans, emits and verifies under the state's constraints; the log of earlier attempts goes into the manifest."""


def search(
    attempt: Attempt, first: State, rules: Sequence[Rewrite], meter: Meter, tell: Callable[[str], None], log: Log = ()
) -> CompileResult:
    """The result of the first attempt that is accepted. `rules`: all of the compilation; `log`: of attempts with the model in other forms.

    Raises the user error that the last verdict holds where nothing is left to try, SearchEnded where the budget is spent first.
    """
    state = first
    while True:
        if meter.attempts:
            tell(Message(f"again: {state.change}", meter.next_attempt()))
        meter.attempts += 1
        verdict = attempt(state, log)
        if isinstance(verdict, Accepted):
            return verdict.result
        log = attempted(state, log, verdict.kind, verdict.reason)
        if isinstance(verdict, Inaccurate):
            raise AccuracyMissed(verdict.limits, verdict.reason, verdict.where, log)
        spent = meter.spent()
        if spent or isinstance(verdict, Rejected):
            ending = SearchEnded(spent, meter.remedy(), verdict.kind, verdict.problem) if spent else verdict.problem
            return _last_resort(attempt, state, log, verdict, ending, tell)
        state = following(state, verdict, rules)


def _last_resort(
    attempt: Attempt, state: State, log: Log, verdict: Verdict, ending: UserError, tell: Callable[[str], None]
) -> CompileResult:
    """The result without the devices at fault. Raises `ending` where there are none, or that is no plan either."""
    last = without_devices(state, verdict)
    if last is not None:
        tell(f"again: {last.change}")
        found = attempt(last, log)
        if isinstance(found, Misoptimised):  # of what is left no device is at fault: its optimiser may be
            found = attempt(with_settings(last, found), attempted(last, log, found.kind, found.reason))
        if isinstance(found, Accepted):
            return found.result
    assert not isinstance(verdict, Accepted)
    raise ending from (verdict.problem if ending is not verdict.problem else None)


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

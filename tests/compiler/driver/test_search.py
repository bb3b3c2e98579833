"""The search as a loop over verdicts: what follows from each, in which order, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.bundle.manifest import BoundRecord, LimitRecord
from autoglmc.compiler.driver.search import Log, search
from autoglmc.compiler.driver.search_budget import Meter, SearchBudget
from autoglmc.compiler.driver.state import State
from autoglmc.compiler.driver.verdict import Accepted, Inexact, OverLimit, Rejected, Verdict
from autoglmc.compiler.errors import Infeasible, SearchEnded, TargetError, UsageError, UserError, VerifyError
from autoglmc.passes.library import FAMILIES

SIGMOID = FAMILIES["sigmoid"]
RESULT: Any = "the bundle"
LIMIT = LimitRecord(
    unproven="",
    kind="error",
    subject="abs",
    comparison="<=",
    limit=1e-3,
    text="1e-3",
    basis="measured",
    value=1e-2,
    margin=-9e-3,
    origin="t.hw:9",
)


def over(demand: float, others: int = 0) -> OverLimit:
    return OverLimit(Infeasible("power avg", demand, 1.0, ()), tuple(f"plan {k}" for k in range(others)))  # type: ignore[arg-type]


def inexact(rule: str) -> Inexact:
    bounds = (BoundRecord(rule=rule, site="a", bound=1e-2, over="all reals"),) if rule else ()
    return Inexact(differences=(), limits=(LIMIT,), bounds=bounds, where="model.onnx")


def run(
    verdicts: Sequence[Verdict], budget: SearchBudget | None = None, clock: Any = None
) -> tuple[Any, list[State], list[Log], list[str]]:
    """The result, and the state and log of every attempt; the last verdict is repeated."""
    states: list[State] = []
    logs: list[Log] = []
    told: list[str] = []

    def attempt(state: State, log: Log) -> Verdict:
        states.append(state)
        logs.append(log)
        return verdicts[min(len(states), len(verdicts)) - 1]

    meter = Meter(budget or SearchBudget(), clock) if clock else Meter(budget or SearchBudget())
    return search(attempt, State(), SIGMOID, meter, told.append), states, logs, told


def test_the_first_accepted_attempt_ends_it() -> None:
    result, states, logs, told = run([Accepted(RESULT)])
    assert (result, states, logs, told) == (RESULT, [State()], [()], [])


def test_other_plans_are_tried_in_their_order_and_the_closest_miss_is_told() -> None:
    _, states, logs, told = run([over(5, 3), over(4), over(3), Accepted(RESULT)])
    assert [state.constraints.plan for state in states] == [None, "plan 0", "plan 1", "plan 2"]
    assert [record.verdict for record in logs[-1]] == ["over a limit"] * 3
    assert told[0].startswith("again: another plan: power avg") and told[0].budget == "attempt 2 of at most 32"  # type: ignore[attr-defined]
    with pytest.raises(Infeasible) as caught:
        run([over(5, 2), over(3), over(4)])
    assert caught.value.demand == 3


def test_a_plan_over_a_limit_with_no_other_is_told_as_it_is() -> None:
    with pytest.raises(TargetError, match="nobody"):
        run([OverLimit(TargetError("nobody runs Erf"))])


def test_forms_are_given_up_loosest_first_and_the_fastest_plan_comes_back() -> None:
    names = [rule.name for rule in sorted(SIGMOID, key=lambda rule: -rule.contract.absolute)]
    verdicts = [over(5, 2), inexact(names[0]), inexact(names[1]), Accepted(RESULT)]
    _, states, _, _ = run(verdicts)
    assert states[1].constraints.plan == "plan 0" and states[2].constraints.plan is None
    assert names[0] in states[2].constraints.forms and names[1] not in states[2].constraints.forms
    assert {names[0], names[1]} <= states[3].constraints.forms
    assert len(states[3].steps) == 2


def test_a_form_that_is_all_a_device_has_is_infeasible_with_the_measured_value() -> None:
    with pytest.raises(Infeasible) as caught:
        run([inexact(SIGMOID[0].name), OverLimit(TargetError("no device runs Sigmoid"))])
    assert "no device runs Sigmoid" in caught.value.message and caught.value.demand == 1e-2
    with pytest.raises(Infeasible, match="with no approximation left"):
        run([inexact("")])


def test_what_nothing_can_change_is_raised_as_it_is() -> None:
    problem = VerifyError("off by 3")
    with pytest.raises(VerifyError) as caught:
        run([Rejected(problem)])
    assert caught.value is problem


@given(st.lists(st.sampled_from(["limit", "form", "reject"]), max_size=12), st.integers(1, 6))
def test_every_search_ends_within_its_budget(kinds: list[str], attempts: int) -> None:
    """Whatever the verdicts are: it returns a bundle, or raises a user error, after no more attempts than allowed."""
    made = {"limit": over(2, 3), "form": inexact(SIGMOID[0].name), "reject": Rejected(VerifyError("no"))}
    count = 0

    def attempt(state: State, log: Log) -> Verdict:
        nonlocal count
        count += 1
        assert len(log) == count - 1
        return made[kinds[count - 1]] if count <= len(kinds) else Accepted(RESULT)

    try:
        assert search(attempt, State(), SIGMOID, Meter(SearchBudget(attempts=attempts)), lambda text: None) == RESULT
    except UserError:
        pass
    assert 1 <= count <= attempts


def test_a_clock_ends_it_only_if_asked_for_and_says_so() -> None:
    now = iter(range(0, 1000, 10))
    with pytest.raises(SearchEnded) as caught:
        run([over(5, 30), over(4)], SearchBudget(attempts=1000, seconds=45.0), lambda: float(next(now)))
    assert "the search time of 45 s" in caught.value.message and caught.value.verdict == "over a limit"
    assert caught.value.__cause__ is not None


def test_progress_says_what_is_left() -> None:
    *_, told = run([over(5, 2), Accepted(RESULT)], SearchBudget(attempts=7, seconds=50.0), lambda: 0.0)
    assert told[0].budget == "attempt 2 of at most 7, 50 s left"  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"probes": -1}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_a_budget_that_allows_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"not a valid (number of|search)"):
        SearchBudget(**wrong)


def test_probes_are_counted_and_refused_beyond_the_budget() -> None:
    meter = Meter(SearchBudget(probes=10))
    assert meter.may_probe(7) and not meter.may_probe(4) and meter.probes == 7
    assert meter.spent() == "10 probes of runtimes"

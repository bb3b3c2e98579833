"""The solver's mixture of forms: as accurate as asked, never slower than any one form for all that is as accurate."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from form_nets import network, network_copy, ranges, samples

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision import choose as choosing
from autoglmc.compiler.precision.choose import COST_FORMS, choose, written_copies
from autoglmc.compiler.precision.losses import judge_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.place_operators import ask
from autoglmc.passes.precision.choose_forms import FLOAT, FormQuestion, OptionForms, form_problem, form_question
from autoglmc.passes.precision.form_costs import WrittenCopy
from autoglmc.passes.precision.scales import Range
from autoglmc.passes.precision.unit_forms import unit_forms
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Problem
from autoglmc.targets.model import Target


def question_of(model: onnx.ModelProto, target: Target, found: dict[str, Range]) -> tuple[FormQuestion, Problem, OptionForms]:
    asked = ask(Graph(model), target, (), {})
    question = form_question(asked, unit_forms(asked.graph, target))
    copies = {form: written_copies(Graph(network_copy(model)), question, ((), {}), form, found) for form in COST_FORMS}
    return question, *form_problem(question, copies, {})


@pytest.mark.parametrize("target", ["x86_cpu", "snapdragon_8gen3"])
@pytest.mark.parametrize("seed", range(6))
def test_no_one_form_for_all_is_faster_and_as_accurate(seed: int, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, model = load_target(target), network(seed)
    found = ranges(network_copy(model), seed)
    prices: list[float] = []
    solved = choosing.choose_forms

    def kept(*words: Any, **named: Any) -> Any:
        choice = solved(*words, **named)
        prices.append(choice.solution.price.total if choice is not None else 0.0)
        return choice

    monkeypatch.setattr(choosing, "choose_forms", kept)
    choice = choose(Graph(network_copy(model)), machine, ((), {}), found, samples(seed), f"test {seed} {target}", 0.99)
    assert choice.cosine >= choice.least == 0.99
    judge = judge_of(Graph(network_copy(model)), found, samples(seed))
    if choice.forms:
        assert judge.cosine(choice.forms) == pytest.approx(choice.cosine)
    question, problem, names = question_of(network_copy(model), machine, found)
    for form in ("fp32", "a16w8", "a8w8"):
        cost, forms = uniform_plan(question, problem, names, form)
        if cost is not None and judge.loss(forms) <= 0.03:  # beyond doubt accurate enough
            assert min(prices) <= cost * 1.001


def uniform_plan(question: FormQuestion, problem: Problem, names: OptionForms, form: str) -> tuple[float | None, dict[str, object]]:
    """All units that may be in the form on the first device that runs everything, the others in floats; its seconds."""
    for device, name in enumerate(problem.devices):
        if all(unit.seconds[device] is not None for unit in problem.units):
            rows = [row[device] for row in names]
            options = [row.index(form) if form in row else row.index(FLOAT) for row in rows]
            forms: dict[str, object] = {}
            for unit, row in enumerate(rows):
                forms |= question.written(unit, name, row[options[unit]])
            found = price(problem, [device] * len(rows), options)
            return (None if found is None else found.total), forms
    return None, {}


def test_what_must_be_exact_stays_in_floats() -> None:
    machine, model = load_target("x86_cpu"), network(3)
    found = ranges(network_copy(model), 3)
    question, problem, names = question_of(network_copy(model), machine, found)
    losses = {(unit, form): 0.5 for unit in range(len(question.units)) for form in question.forms(unit)}
    copies = {"a8w8": [WrittenCopy(ask(Graph(network_copy(model)), machine, (), {}))]}
    choice = choosing.choose_forms(question, form_problem(question, copies, losses), 0.4)
    assert choice is not None and not choice.forms and set(choice.units) == {FLOAT}
    assert any("a8w8" in row for unit in names for row in unit) and problem.units


def test_a_looser_limit_is_never_slower() -> None:
    machine, model = load_target("x86_cpu"), network(1, 32)
    found = ranges(network_copy(model), 1)
    asked = ask(Graph(network_copy(model)), machine, (), {})
    question = form_question(asked, unit_forms(asked.graph, machine))
    copies = {"a8w8": written_copies(Graph(network_copy(model)), question, ((), {}), "a8w8", found)}
    judge = judge_of(Graph(network_copy(model)), found, samples(1))
    losses = {(u, "a8w8"): judge.loss(question.anywhere(u, "a8w8")) for u in range(len(question.units)) if question.forms(u)}
    assert all(0 <= loss < 1 for loss in losses.values()) and any(losses.values())
    limits = (0.0, 0.003, 0.01, 0.03, 0.1, 1.0)
    chosen = [choosing.choose_forms(question, form_problem(question, copies, losses), most) for most in limits]
    times = [choice.solution.price.total for choice in chosen if choice is not None]
    assert len(times) == len(limits) and times == sorted(times, reverse=True) and times[0] > times[-1]
    for choice, most in zip(chosen, limits, strict=True):
        assert choice is not None
        assert sum(losses.get((u, form), 0.0) ** 2 for u, form in enumerate(choice.units) if form != FLOAT) <= most**2 * (1 + 1e-5)

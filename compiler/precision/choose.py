"""The mixture of forms that makes a model fastest within its accuracy: losses are measured unit by unit, the solver chooses, the choice is
measured as a whole, and where their sum was too hopeful or too cautious it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from ...passes.graph.graph import Graph
from ...passes.place.objectives import LATENCY
from ...passes.place.place_operators import ask
from ...passes.precision.block_rounding import TO_NEAREST, BlockRounding
from ...passes.precision.choose_forms import (
    FormChoice,
    FormQuestion,
    Losses,
    Stated,
    aimed_at,
    choose_forms,
    floats_alone,
    form_problem,
    form_question,
)
from ...passes.precision.form_costs import Copies, WrittenCopy
from ...passes.precision.preferences import with_preferences
from ...passes.precision.quantise import quantise
from ...passes.precision.relax_forms import no_choice
from ...passes.precision.scales import Range
from ...passes.precision.unit_forms import everywhere, unit_forms
from ...passes.rule.rewrite import Rewrite
from ...targets.model import Target
from ...targets.precision import FORMS, Form, FormName
from ..activity import doing
from ..bundle.precision_record import UnitRecord
from .kept_ranges import keep_losses, kept_losses
from .losses import Judge, judge_of
from .plain_model import plain_model
from .relaxed_choice import infeasible
from .unit_table import UnitTable

SAMPLES = 16
"""Calibration samples that losses are measured on."""
LEAST_COSINE = 0.99
"""Of the float model's outputs and the chosen one's, where nothing limits the accuracy."""
ANY = 0.0
"""Where other limits say how accurate a choice has to be: its outputs are finite, and have something in common with those of floats."""
ROUNDS = 6
"""Choices that are measured as a whole, at most."""
MOST = 1e3
"""A loss that no model has."""
KEPT_EVERY = 16
"""Losses that are measured before those known are kept: what is cut short goes on from there."""
NEAR = 1.1
"""Limits on the sum of losses closer than this factor are not told apart."""
Rules = tuple[Sequence[Rewrite], Mapping[str, Sequence[Rewrite]]]
COST_FORMS: tuple[FormName, ...] = tuple(name for name in FORMS if name != "fp32")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredChoice:
    """A mixture of forms, and how accurate it is."""

    forms: Mapping[str, Form]
    """By the first tensor that an operator writes."""
    cosine: float
    """Mean over the calibration samples that it was chosen with."""
    least: float
    """What it had to be."""
    units: tuple[UnitRecord, ...]
    """What it was made from."""
    devices: Mapping[str, str]
    """That operators were placed on then, by the first tensor that each writes."""


def choose(
    graph: Graph,
    target: Target,
    rules: Rules,
    ranges: Mapping[str, Range],
    samples: Iterable[Mapping[str, Any]],
    key: str,
    least: float,
    objective: str = LATENCY,
    rounding: BlockRounding = TO_NEAREST,
) -> MeasuredChoice:
    """`rules`: that devices may substitute, and by family. `samples`: those that scales were made with. `key`: under which losses are kept.
    `least`: what the cosine of the choice's outputs and the float model's has to be, on the samples. `objective`: what is best within the
    limits (`passes/place/objectives.py`). `rounding`: of weights in blocks.

    Raises Infeasible where the target's limits leave no plan in any form: floats are accurate enough."""
    name_operators(graph)
    asked = ask(Graph(plain_model(graph)), target, *rules)
    question = form_question(asked, unit_forms(asked.graph, target))
    copies = {form: written_copies(graph, question, rules, form, ranges) for form in COST_FORMS if _used(question, form)}
    judge = judge_of(graph, ranges, islice(samples, SAMPLES), rounding)
    losses = _losses(question, judge, copies, key)
    stated = aimed_at(question, form_problem(question, copies, losses), objective)

    def made(choice: FormChoice, cosine: float, most: float) -> MeasuredChoice:
        rows = UnitTable(question, stated, losses, choice, most).rows()
        devices = _placed_on(question, stated, choice)
        return MeasuredChoice(forms=choice.forms, cosine=cosine, least=least, units=rows, devices=devices)

    for strict in (True, False):
        asked_of = with_preferences(question, stated, losses, strict)
        best = _best(question, judge, partial(choose_forms, question, asked_of, objective=objective), least)
        if best is not None:
            return made(*best)
        if asked_of is stated:
            break
    floats = choose_forms(question, floats_alone(stated), 0.0, objective)
    if floats is None:
        told = no_choice(question, asked_of, _most_loss(least))
        raise infeasible(told, lambda choice: judge.cosine(choice.forms) if choice.forms else 1.0, least)
    return made(floats, 1.0, 0.0)


def _placed_on(question: FormQuestion, stated: Stated, choice: FormChoice) -> dict[str, str]:
    each = zip(question.units, choice.solution.assignment, strict=True)
    found = [(question.asked.nodes[k], stated[0].devices[device]) for members, device in each for k in members]
    return {node.writes[0]: device for node, device in found if node.writes}


def _best(
    question: FormQuestion, judge: Judge, solved: Callable[[float], FormChoice | None], least: float
) -> tuple[FormChoice, float, float] | None:
    """Bisection on how much the losses may add up to, for the fastest choice whose measured cosine is high enough: the choice, its cosine
    and that sum. None if none is."""
    most = _most_loss(least)
    low, high = 0.0, float("inf")
    best: tuple[FormChoice, float, float] | None = None
    tried: dict[tuple[FormName, ...], float] = {}
    for _ in range(ROUNDS):
        choice = solved(most)
        if choice is None:  # within the target's limits; the sum of losses may be too cautious
            low = most
            most = (low * high) ** 0.5 if high < float("inf") else most * 2
            continue
        if choice.units not in tried:
            tried[choice.units] = judge.cosine(choice.forms) if choice.forms else 1.0
        cosine = tried[choice.units]
        if cosine >= least:
            low, best = most, (choice, cosine, most)
        else:
            high = most
        if high <= low * NEAR or (cosine >= least and sum(one != "fp32" for one in choice.units) == _choices(question)):
            break
        most = (low * high) ** 0.5 if low and high < float("inf") else most * 2 if low else most / 2
    return best


def _most_loss(least: float) -> float:
    """Of two vectors of one length whose relative distance is e, the cosine is 1 - e²/2."""
    return float((2 * (1 - least)) ** 0.5) if least > ANY else MOST


def _choices(question: FormQuestion) -> int:
    return sum(bool(question.forms(k)) for k in range(len(question.units)))


def _losses(question: FormQuestion, judge: Judge, copies: Copies, key: str) -> Losses:
    kept, found = kept_losses(key), dict[tuple[int, FormName], float]()
    wanted = [(unit, form) for unit in range(len(question.units)) for form in question.forms(unit) if form in copies]
    for number, (unit, form) in enumerate(wanted, 1):
        written = question.anywhere(unit, form)
        name = " ".join(f"{tensor} {one}" for tensor, one in sorted(written.items()))  # scales differ from target to target
        if name not in kept:
            with doing(f"measuring what units lose in other forms ({number} of {len(wanted)})"):
                kept[name] = judge.loss(written)
            if number % KEPT_EVERY == 0:
                keep_losses(key, kept)
        found[unit, form] = kept[name]
    keep_losses(key, kept)
    return found


def written_copies(
    graph: Graph, question: FormQuestion, rules: Rules, form: FormName, ranges: Mapping[str, Range]
) -> tuple[WrittenCopy, ...]:
    """The graph in one form as each device takes it, which tells what units cost in it. `question`: about the graph."""
    target, made = question.asked.target, dict[frozenset[tuple[str, Form]], WrittenCopy]()
    in_form = everywhere(question.asked.graph, target, question.offered, form)
    each = [_as_written(question, forms, device.name, form) for forms, device in zip(in_form, target.devices, strict=True)]
    for forms in each:
        if forms not in made:
            copy = Graph(plain_model(graph))
            quantise(copy, dict(forms), ranges)
            made[forms] = WrittenCopy(ask(Graph(plain_model(copy)), target, *rules))
    return tuple(made[forms] for forms in each)


def _as_written(question: FormQuestion, forms: Mapping[str, Form], device: str, form: FormName) -> frozenset[tuple[str, Form]]:
    """Units of which the device has some operators in the form leave the others as they are: so they would be written for it."""
    left: set[str] = set()
    for unit in range(len(question.units)):
        if own := question.written(unit, device, form):
            left |= {tensor for tensor in question.tensors(unit) if tensor not in own}
    return frozenset((tensor, kept) for tensor, kept in forms.items() if tensor not in left)


def _used(question: FormQuestion, form: FormName) -> bool:
    return any(form in question.forms(unit) for unit in range(len(question.units)))


def least_cosine(target: Target, others: bool = False) -> float:
    """What a choice of forms begins with. `others`: whether other limits than on the cosine bound the accuracy."""
    stated: Sequence[float] = [limit.value for limit in target.limits if limit.kind == "accuracy" and limit.subject == "cosine"]
    others = others or any(limit.kind == "accuracy" and limit.subject != "cosine" for limit in target.limits)
    return max(stated, default=ANY if others else LEAST_COSINE)


def name_operators(graph: Graph) -> None:
    """A name of its own for every operator: copies are compared by them."""
    seen: set[str] = set()
    for node in graph.nodes:
        if not node.name or node.name in seen:
            node.name = graph.fresh(f"{node.operator.lower()}_form")
        seen.add(node.name)

"""Why operators of several entries are where they are, before anything is compiled: each entry planned as `compile` would plan it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from ...targets.model import Target
from ..errors import UsageError, UserError
from ..load.bind_shapes import Shapes
from ..load.source import Source
from ..state.fixed_models import FixedModel, fixed_models
from ..state.replaced import replaced_states
from ..state.request import StateRequest
from ..state.ways import PLACED, WAYS, ways_of
from .as_json import as_json
from .explain_model import TRIES, ToExplain, Why, plan_to_explain

TELL = "explaining entry "
Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every entry."""

    target: Target
    word: str = ""
    """The name of a node, a tensor or an operator; "" for all operators."""
    device: str | None = None
    effort: float = 1.0
    tries: int = TRIES
    tell: Callable[[str], None] = lambda message: None

    def plan(self, model: Source, shapes: Shapes | None = None) -> ToExplain:
        return plan_to_explain(model, self.target, shapes=shapes, device=self.device, effort=self.effort)

    def why(self, plan: ToExplain, file: Source | None = None) -> Why:
        return plan.why(self.word, self.tries, file)


@dataclass(slots=True)
class Answers:
    """What is said of entries, one after the other."""

    question: Question
    entries: dict[str, Facts] = field(default_factory=dict)
    """By name, what `as_json` says of each, and what of it the user asked for: model_name, tokens, ways, shown, asked_in."""
    without: dict[str, UsageError] = field(default_factory=dict)
    """Entries that do not have what is asked for."""

    def add(self, entry: str, model: Source, shapes: Shapes, of: str | None = None) -> None:
        """One that is its model at some sizes; of: the model's name, where there are several."""
        self.question.tell(f"{TELL}{entry}")
        plan = self.question.plan(model, shapes)
        try:
            said = as_json(self.question.why(plan))
        except UsageError as problem:
            self.without[entry] = problem
            return
        self.entries[entry] = said | {"model_name": of, "tokens": None, "ways": [], "shown": None, "asked_in": []}

    def add_step(self, entry: str, step: FixedModel, file: Source, of: str | None = None) -> None:
        """One that is a step of a decoder. file: the decoder's own. Raises what the last way raises where none can be planned."""
        self.question.tell(f"{TELL}{entry}")
        try:
            self.entries[entry] = _step(step, self.question, file) | {"model_name": of, "tokens": step.tokens}
        except _Without as found:
            self.without[entry] = found.problem

    def facts(self, model: str, states: tuple[tuple[str, str], ...]) -> Facts:
        """Raises UsageError where no entry has what is asked for."""
        if not self.entries:
            raise next(iter(self.without.values()))
        asked = {"asked": self.question.word, "without": list(self.without)} if self.question.word else {}
        facts = {"model": model, "target": self.question.target.name, "states": [list(pair) for pair in states], "entries": self.entries}
        return facts | asked


def explain_entries(
    model: Source,
    question: Question,
    entries: Mapping[str, Shapes],
    *,
    tokens: Mapping[str, int] | None = None,
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
) -> Facts:
    """Plain data: model, target, states (pairs of names), entries (as `Answers` has them); with a word: asked, without (names of entries
    that do not have it). entries: sizes of dims by entry; tokens: of a run, by entry, where `state` has a length.

    Raises as `explain_model` and `fixed_models`; of a decoder's step, what the last way raises where none can be explained."""
    common, answers = dict(shapes or {}), Answers(question)
    sizes = {name: {**common, **own} for name, own in entries.items()}
    if state is None or state.length is None:
        pairs = () if state is None else replaced_states(model, state, sizes)
        for name, bound in sizes.items():
            answers.add(name, model, bound)
    else:
        fixed = fixed_models(model, state, state.length, tokens or {}, common, lambda name: nullcontext(), ways_of(question.target))
        pairs = fixed.states
        for name, step in fixed.steps.items():
            answers.add_step(name, step, model)
    return answers.facts(str(model), pairs)


class _Without(Exception):
    """No way to write a step has what is asked for."""

    def __init__(self, problem: UsageError) -> None:
        super().__init__()
        self.problem = problem


def _step(step: FixedModel, question: Question, file: Source) -> Facts:
    """Of the way with the faster plan, or where none has a plan, of the first one; where only another has what is asked for, of that."""
    plans: dict[str, ToExplain] = {}
    reasons = dict(step.refused)
    problem: UserError | None = None
    for way, model in step.written.items():
        try:
            plans[way] = question.plan(model)
        except UserError as refused:
            problem, reasons[way] = refused, refused.message
    if not plans:
        assert problem is not None, "a step is written in one way at least"
        raise problem
    best = min(plans, key=lambda way: _seconds(plans[way]))
    ways = [_way(way, plans.get(way), best, reasons.get(way, "")) for way in WAYS if way != PLACED or PLACED in step.written]
    shown, why, having = _asked(plans, best, question, file)
    return as_json(why) | {"ways": ways, "shown": shown, "asked_in": having}


def _asked(plans: Mapping[str, ToExplain], best: str, question: Question, file: Source) -> tuple[str, Why, list[str]]:
    """The way that is shown, what is said of it, and all that have what is asked for, in the order of their times; where none has, what
    became of that node of the file. Raises _Without where the file has none either."""
    if not question.word:
        return best, question.why(plans[best]), []
    found: dict[str, Why] = {}
    for way in sorted(plans, key=lambda way: _seconds(plans[way])):
        with suppress(UsageError):
            found[way] = question.why(plans[way])
    if not found:
        try:
            return best, question.why(plans[best], file), []
        except UsageError as problem:
            raise _Without(problem) from None
    shown = next(iter(found))
    return shown, found[shown], list(found)


def _seconds(plan: ToExplain) -> float:
    return float("inf") if plan.plan.total is None else plan.plan.total


def _way(name: str, plan: ToExplain | None, best: str, reason: str) -> Facts:
    """As a WayRecord."""
    seconds = None if plan is None else plan.plan.total
    lost = "there is no plan: an operator has no device, or a limit is broken" if plan is not None and seconds is None else ""
    return {"name": name, "taken": name == best, "seconds": seconds, "cost": seconds, "reason": reason or lost}

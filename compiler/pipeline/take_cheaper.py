"""The model with rules applied, or as it is: both graphs are placed, and the cheaper one stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...passes.place.memory.expected_savings import seconds_in_memories
from ...passes.place.memory.place_with_memories import fastest
from ...passes.place.place_operators import ask, state
from ...passes.place.placed import Placement, Question
from ...passes.place.solve_placement import place
from ...passes.rule.apply import apply
from ...passes.rule.rewrite import Decision, Rewrite
from ...passes.stages import simplify
from ..quantities import times
from .work import Work


def take_cheaper(
    work: Work, rules: Sequence[Rewrite], enough: Callable[[float, float], bool], seconds: Callable[[Work], Predicted | None] | None = None
) -> None:
    """Applies the rules to the work where `enough` says so of the predicted seconds without and with them; else leaves its graph alone,
    and notes why each application was refused. A rewritten graph without a valid placement is never taken; one that
    alone has a valid placement always is. `seconds`: how to predict, `predicted` by default."""
    twin = work.copy()
    decisions = apply(twin.graph, rules, work.allow)
    if not any(decision.taken for decision in decisions):
        return
    decisions += simplify(twin.graph, work.without, work.allow)
    before, after = map(seconds or predicted, (work, twin))
    if after is None or not _better(before, after, enough):
        names = {rule.name for rule in rules}
        work.decisions.extend(_refused(decision, before, after) for decision in decisions if decision.rule in names)
        return
    work.graph = twin.graph
    work.decisions.extend(decisions)
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))


@dataclass(frozen=True, slots=True)
class Predicted:
    seconds: float
    within: bool
    """Whether the limits are kept, as far as the placement knows them."""


def predicted(work: Work) -> Predicted | None:
    """What the placement predicts for the whole model, each device in its own memory; None if there is none. For a choice that wants a
    gain of some size, which must not change with the size of other memories: or more of them could be slower."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    if asked.unplaceable:
        return None
    return _predicted(state(asked, share=0), lambda question: place(question, work.effort), lambda found: found.solution.price.total)


def predicted_in_memories(work: Work) -> Predicted | None:
    """The same in all memories of the devices."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    if asked.unplaceable:
        return None
    return _predicted(state(asked), lambda question: fastest(question, lambda each: place(each, work.effort)), seconds_in_memories)


def _predicted(
    question: Question, placing: Callable[[Question], Placement | None], seconds: Callable[[Placement], float]
) -> Predicted | None:
    """Without the limits where they leave no placement."""
    found = placing(question)
    if found is not None:
        return Predicted(seconds(found), True)
    found = placing(replace(question, problem=question.problem.without_limits()))
    return None if found is None else Predicted(seconds(found), False)


def _better(before: Predicted | None, after: Predicted, enough: Callable[[float, float], bool]) -> bool:
    if before is None or before.within != after.within:
        return before is None or after.within
    return enough(before.seconds, after.seconds)


def _refused(decision: Decision, parts: Predicted | None, whole: Predicted | None) -> Decision:
    """What was decided about a graph that is not taken after all: `whole` is the prediction with it, `parts` as it is."""
    if not decision.taken:
        return decision
    if whole is None or parts is None:
        return replace(decision, taken=False, reason="with it the model has no valid placement")
    if parts.within and not whole.within:
        return replace(decision, taken=False, reason="with it no plan keeps the limits")
    with_it, as_parts = times(whole.seconds, parts.seconds)
    return replace(decision, taken=False, reason=f"predicted time of the model: {with_it} with it, {as_parts} without")

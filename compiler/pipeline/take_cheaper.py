"""The model with rules applied, or as it is: both graphs are placed, and the cheaper one stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...passes.place.place_operators import ask, place, state
from ...passes.place.place_with_memories import least_seconds
from ...passes.rule.apply import apply
from ...passes.rule.rewrite import Decision, Rewrite
from ...passes.stages import simplify
from ..quantities import times
from .work import Work


def take_cheaper(
    work: Work, rules: Sequence[Rewrite], enough: Callable[[float, float], bool], seconds: Callable[[Work], float | None] | None = None
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
    if after is None or (before is not None and not enough(before, after)):
        names = {rule.name for rule in rules}
        work.decisions.extend(_refused(decision, before, after) for decision in decisions if decision.rule in names)
        return
    work.graph = twin.graph
    work.decisions.extend(decisions)
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))


def predicted(work: Work) -> float | None:
    """What the placement predicts for the whole model, each device in its own memory; None if there is none. For a choice that wants a
    gain of some size, which must not change with the size of other memories: or more of them could be slower."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    placement = None if asked.unplaceable else place(state(asked, share=0), work.effort)
    return None if placement is None else placement.solution.price.total


def predicted_in_memories(work: Work) -> float | None:
    """The same in all memories of the devices."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    return None if asked.unplaceable else least_seconds(state(asked), lambda question: place(question, work.effort))


def _refused(decision: Decision, parts: float | None, whole: float | None) -> Decision:
    """What was decided about a graph that is not taken after all: `whole` seconds with it, `parts` as it is."""
    if not decision.taken:
        return decision
    if whole is None or parts is None:
        return replace(decision, taken=False, reason="with it the model has no valid placement")
    with_it, as_parts = times(whole, parts)
    return replace(decision, taken=False, reason=f"predicted time of the model: {with_it} with it, {as_parts} without")

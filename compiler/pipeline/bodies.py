"""What each pass of the table does with the work: reads what it needs, leaves what it gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...passes import stages
from ...passes.place.cut_segments import cut
from ...passes.place.fuse_formulas import fuse
from ...passes.place.memory.place_with_memories import fastest
from ...passes.place.objectives import aimed
from ...passes.place.place_operators import ask, state
from ...passes.place.placed import Unplaceable
from ...passes.place.realise_placement import realise
from ...passes.place.solve_placement import place, place_relaxing
from ...targets.admit import Edit, admit_all, opsets_for
from ...targets.model import Device
from ..errors import Infeasible, TargetError
from .tune_segments import rules_of, tune
from .work import Work

MOST_ADMITTED = 100
"""Operators without a device for which changes of a table are looked for."""


def recover(work: Work) -> None:
    work.decisions.extend(stages.recover(work.graph, work.without, work.allow))


def simplify(work: Work) -> None:
    work.decisions.extend(stages.simplify(work.graph, work.without, work.allow))
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))


def fuse_formulas(work: Work) -> None:
    decisions, sites = fuse(work.graph, work.target, work.formulas, work.allow)
    work.decisions.extend(decisions)
    work.sites = (*work.sites, *sites)
    work.graph.sweep()


def ask_devices(work: Work) -> None:
    """Raises TargetError for operators no device runs."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    if asked.unplaceable:
        raise _unplaceable(work, asked.unplaceable)
    work.question = state(asked)


def place_operators(work: Work) -> None:
    """Raises Infeasible where the operators cannot be placed at all. A plan that breaks a limit only because every plan does is
    left for the limits to refuse: they can say by how much."""
    question = work.question
    assert question is not None
    known = work.plan or work.settled
    if known is not None:
        work.placement = replace(known, question=question)
        return
    placing = place_relaxing if work.diagnose else place
    work.placement = fastest(question, lambda asked: placing(aimed(asked, work.objective), work.effort, work.objective))
    if work.placement is None:
        message = "no placement of the operators keeps the limits, or some tensor needs a link that the target does not have"
        raise Infeasible("placement", 0, 0, (), message=message)
    work.question = work.placement.question


def realise_placement(work: Work) -> None:
    assert work.placement is not None
    work.parts, sites = realise(work.placement, {rewrite.name: rewrite for rewrite in work.substitutes}, work.allow)
    work.sites = (*work.sites, *sites)


def cut_segments(work: Work) -> None:
    work.segments = cut(work.graph, work.parts, work.target)


def tune_segments(work: Work) -> None:
    used = {
        device.name: {s.implementation.rule for s in work.sites if s.implementation.device == device.name} for device in work.target.devices
    }
    rules = {d.name: work.enabled(rules_of(d, work.target.precision, used[d.name])) for d in work.target.devices}
    work.segments, decisions = tune(work.segments, work.target, rules, work.allow)
    work.decisions.extend(decisions)


def _unplaceable(work: Work, found: Sequence[Unplaceable]) -> TargetError:
    first = found[0]
    more = f" (and {len(found) - 1} more: {', '.join(sorted({h.operator for h in found[1:]}))})" if len(found) > 1 else ""
    reasons = "; ".join(f"{refusal.device}: {refusal}" for refusal in first.refusals)
    message = f"no device of the target runs {first.operator}{more}: {reasons}"
    return TargetError(message, where=f"node {first.node}", help=_admitted(work, found[:MOST_ADMITTED]))


def _admitted(work: Work, found: Sequence[Unplaceable]) -> str:
    """The device whose table needs the fewest changes to run these operators, and which; "" where no change of one table is enough."""
    nodes = {node.name or node.writes[0]: node for node in work.graph.nodes}
    views = [work.graph.view(nodes[one.node]) for one in found]
    best: tuple[Device, tuple[Edit, ...]] | None = None
    for device in work.target.devices:
        admitted = admit_all(device, views, work.target.precision)
        if admitted is not None and (best is None or len(admitted[1]) < len(best[1])):
            best = admitted
    opsets = opsets_for(best[1], work.target.opset) if best is not None else None
    if best is None or opsets is None:
        return ""
    device, edits = best
    lines = [*([f"`onnx opset {opsets[0]}..{opsets[1]};`"] if opsets != work.target.opset else []), *map(str, edits)]
    where = ", ".join(dict.fromkeys(str(edit.origin) for edit in edits))
    taken = f"{device.name} takes {'it' if len(found) == 1 else 'them'}"
    return f"{taken} with {' and '.join(lines)} ({where}), if its hardware and runtime do"

"""What the manifest says about how things were decided: rewrites, error bounds, and the guesses that mattered."""

from __future__ import annotations

from ...passes.place.candidates import Implementation, Refusal
from ...passes.place.known_plans import greedy_assignment
from ...passes.place.placed import Placement
from ..bundle.manifest import BoundRecord, DecisionRecord, ErrorsRecord, GuessRecord
from ..pipeline.work import Work
from ..plan.sensitivity import deciding_guesses

MEASURED = "the inputs it was checked on"
"""What the bound of a user's pass holds for: it is declared and measured, not proved."""


def decisions(work: Work) -> tuple[DecisionRecord, ...]:
    """Every rule taken or declined, every operator rewritten for its device, and why an operator is not on a faster one."""
    records = [DecisionRecord(rule=d.rule, site=d.site or d.tensor, taken=d.taken, reason=d.reason) for d in work.decisions]
    for site in work.sites:
        chosen = site.implementation
        reason = f"{site.operator} on {chosen.device}: {site.contract}, {chosen.origin}"
        records.append(DecisionRecord(rule=chosen.rule, site=site.node or site.tensor, taken=True, reason=reason))
    if work.placement is not None:
        records.extend(_refusals(work.placement))
    return tuple(records)


def _refusals(placement: Placement) -> list[DecisionRecord]:
    """One record for every operator that runs on the host although another device exists: the first device's reasons."""
    question, records = placement.question, []
    device_of = {k: d for members, d in zip(question.units, placement.solution.assignment, strict=True) for k in members}
    for number, (node, row) in enumerate(zip(question.nodes, question.answers, strict=True)):
        if device_of[number] != question.problem.host:
            continue
        for answer in row[: question.problem.host]:
            name = node.name or node.writes[0]
            reason = str(answer) if isinstance(answer, Refusal) else "it could run there; the plan without it there is faster"
            records.append(DecisionRecord(rule=f"place on {answer.device}", site=name, taken=False, reason=f"{node.kind}: {reason}"))
    return records


def errors(work: Work) -> ErrorsRecord:
    """The bound of every approximation taken: proved for our rules, declared for the user's passes. The whole model is not measured yet."""
    over = {rule.name: rule.contract.over for rule in (*work.substitutes, *work.formulas)}
    bounds = tuple(
        BoundRecord(
            rule=s.implementation.rule,
            site=s.node or s.tensor,
            bound=s.implementation.bound,
            over=over.get(s.implementation.rule, "all reals"),
        )
        for s in work.sites
        if s.contract == "bounded"
    )
    bounds += tuple(
        BoundRecord(rule=d.rule, site=d.site or d.tensor, bound=d.bound, over=MEASURED) for d in work.own_passes if d.contract == "bounded"
    )
    return ErrorsRecord(bounds=bounds, measured=())


def guesses(placement: Placement) -> tuple[GuessRecord, ...]:
    """The `@guess` numbers without which another plan would have won."""
    problem = placement.question.problem
    host = problem.host
    rivals = {
        f"all on {problem.devices[host]}": [host if u.seconds[host] is not None else u.devices[0] for u in problem.units],
        "greedy": greedy_assignment(problem),
    }
    for device, name in enumerate(problem.devices):
        if device != host:
            rivals[f"all that {name} can"] = [
                device if u.seconds[device] is not None else host if u.seconds[host] is not None else u.devices[0] for u in problem.units
            ]
    return tuple(
        GuessRecord(
            path=decider.fact.path,
            text=decider.fact.text,
            origin=str(decider.fact.origin),
            decided=f"at {decider.factor:g} times this, '{decider.rival}' would be faster",
        )
        for decider in deciding_guesses(placement, rivals)
    )


def implementations(placement: Placement) -> list[Implementation]:
    """How every operator is implemented, in graph order."""
    device_of = {k: d for ms, d in zip(placement.question.units, placement.solution.assignment, strict=True) for k in ms}
    found = []
    for number, row in enumerate(placement.question.answers):
        answer = row[device_of[number]]
        assert isinstance(answer, Implementation)
        found.append(answer)
    return found

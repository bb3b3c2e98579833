"""Rules of a target's own file whose `match` is several operators, applied where a `rewrite` line of a device asks for them.

Devices are asked about single operators, so a rule for several must be applied before. It is applied wherever some device has a line for
it, the line's guard and tolerance hold, and the device runs all that the rule writes; the placement then decides where that runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...targets.model import Target
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.apply import insert
from ..rule.rewrite import Allow, Decision, Declined, Rewrite, anywhere
from .candidates import Candidates, Implementation
from .placed import Site

MAX_ROUNDS = 8


def fuse(graph: Graph, target: Target, rules: Sequence[Rewrite], allow: Allow = anywhere) -> tuple[tuple[Decision, ...], tuple[Site, ...]]:
    """Applies the rules until nothing changes, from the outputs back; returns why rules were not applied, and what was rewritten."""
    decisions: dict[tuple[str, str], Decision] = {}
    sites: list[Site] = []
    for _ in range(MAX_ROUNDS if rules else 0):
        changed = False
        for node in reversed(graph.nodes):
            for rule in rules:
                if not node.live or node.kind not in rule.operators or (rule.name, node.outputs[0]) in decisions:
                    continue
                outcome = _try(graph, target, rule, node, allow)
                if outcome is None:
                    continue
                decision, site = outcome
                decisions[rule.name, decision.tensor] = decision
                sites += [site] if site else []
                changed |= decision.taken
        if not changed:
            break
    return tuple(decision for decision in decisions.values() if not decision.taken), tuple(sites)


def _try(graph: Graph, target: Target, rule: Rewrite, node: Node, allow: Allow) -> tuple[Decision, Site | None] | None:
    proposal = rule.propose(graph, node)
    if proposal is None:
        return None
    if isinstance(proposal, Declined):
        return _decision(rule, node, False, proposal.reason), None
    answer = _offer(graph, target, rule, node)
    if isinstance(answer, str) or not allow(rule.name, node.outputs[0]):
        graph.discard(proposal.nodes)
        return (_decision(rule, node, False, answer), None) if isinstance(answer, str) else None
    site = Site(node.name, node.kind, node.outputs[0], answer, rule.contract.kind, rule.contract.range, several=True)
    if not insert(graph, node, proposal):
        reason = f"{node.outputs[0]} is an output of the graph or read inside a body, so its name must stay"
        return _decision(rule, node, False, reason), None
    return _decision(rule, node, True, rule.summary), site


def _offer(graph: Graph, target: Target, rule: Rewrite, node: Node) -> Implementation | str:
    """What the first device with a line for the rule would make of it, or why none takes it."""
    reason = f"no device has a line `rewrite {node.kind} -> {rule.name}`"
    for device in target.devices:
        if any(line.rule == rule.name and line.operator == node.kind for line in device.rewrites):
            answer = Candidates(graph, target, (), {rule.name: (rule,)}).ask(node, device)
            if isinstance(answer, Implementation) and answer.rule == rule.name:
                return answer
            reason = f"{device.name} would run {node.kind} by {answer.rule}" if isinstance(answer, Implementation) else str(answer)
    return reason


def _decision(rule: Rewrite, node: Node, taken: bool, reason: str) -> Decision:
    return Decision(rule.name, node.name, node.outputs[0], taken, reason, rule.contract.absolute, rule.contract.kind)

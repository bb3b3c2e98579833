"""Applies rules to a graph until none fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from ..formula.grids import Grids
from ..formula.reach import Reach
from ..formula.reading import Readings
from ..formula.region import FUNCTION_OF, Reader
from ..graph.graph import Graph
from ..graph.node import Node
from .rewrite import Allow, Decision, Declined, Replacement, Rewrite, Site, anywhere

MAX_ROUNDS = 8


def insert(graph: Graph, node: Node, replacement: Replacement) -> bool:
    """Puts a proposal in place and removes what only fed the old node. False where users cannot be redirected (a graph output)."""
    feeders = [p for p in map(graph.producer, node.reads) if p is not None]
    if replacement.nodes:
        graph.replace(node, replacement.nodes, replacement.outputs)
    elif not redirect(graph, replacement.outputs):
        return False
    else:
        graph.sweep([node])
    graph.sweep(feeders)
    return True


def redirect(graph: Graph, outputs: Mapping[str, str]) -> bool:
    """Lets the readers of each tensor read another instead; False, with nothing changed, where a name must stay."""
    if any(name_stays(graph, old) for old in outputs):
        return False
    for old, new in outputs.items():
        for user in graph.users(old):
            for _ in range(user.inputs.count(old)):
                graph.set_input(user, user.inputs.index(old), new)
    return True


def name_stays(graph: Graph, tensor: str) -> bool:
    """Whether the tensor must keep its name: an output of the graph, or one that a body reads."""
    return graph.is_output(tensor) or any(tensor in user.captures for user in graph.users(tensor))


def apply(graph: Graph, rules: Sequence[Rewrite], allow: Allow = anywhere, *, past_grids: bool = False) -> tuple[Decision, ...]:
    """Applies rules wherever they fit and `allow` lets them, until nothing changes: sweeps from the outputs back, so that the largest
    reading of a formula is seen before its parts; at one root the first rule wins. Linear in the number of nodes per sweep.
    past_grids: formulas are read as if nothing inside them was quantised and dequantised."""
    decisions: dict[tuple[str, str], Decision] = {}
    made: dict[str, set[str]] = defaultdict(set)
    abouts = [rule.about for rule in rules]
    others, calls = any(about.others for about in abouts), max((about.calls for about in abouts), default=0)
    functions = frozenset(needs for about in abouts for needs in about.functions)
    for _ in range(MAX_ROUNDS):
        reader = Reader(graph, others, calls, functions, Grids(graph) if past_grids else None)
        nodes, readings, changed = graph.nodes, Readings(reader), False
        by_root, reach = _by_root(rules, nodes), Reach(reader, nodes)
        for node in reversed(nodes):
            if not node.live or node.kind not in by_root:
                continue
            here = [rule for rule in by_root[node.kind] if not rule.pattern or reach.may_hold(node, rule.about)]
            for decision in _visit(graph, Site(graph, node, readings), here, allow, made):
                decisions[decision.rule, decision.tensor] = decision
                if decision.taken:
                    changed = True
                    reader.forget()
        if not changed:
            break
    return tuple(decisions.values())


def _by_root(rules: Sequence[Rewrite], nodes: Sequence[Node]) -> Mapping[str, list[Rewrite]]:
    """Rules by the kind of their root, without those whose formula needs a function that the graph does not have."""
    present = {FUNCTION_OF.get(node.operator) for node in nodes}
    by_root: dict[str, list[Rewrite]] = defaultdict(list)
    for rule in rules:
        if rule.about.common <= present:
            for kind in rule.operators:
                by_root[kind].append(rule)
    return by_root


def _visit(graph: Graph, site: Site, rules: Sequence[Rewrite], allow: Allow, made: dict[str, set[str]]) -> Iterator[Decision]:
    """made: by rule, tensors that it wrote and is not to look at (`Rewrite.once`)."""
    node = site.node
    for rule in rules:
        if node.outputs[0] in made[rule.name] or (rule.pattern and not rule.about.common <= site.region.functions):
            continue
        outcome = rule.propose(graph, node, site)
        if outcome is None:
            continue
        if isinstance(outcome, Declined):
            yield _decision(rule, node, False, outcome.reason)
        elif not allow(rule.name, node.outputs[0]):
            graph.discard(outcome.nodes)
        elif insert(graph, node, outcome):
            if rule.pattern or rule.once:
                made[rule.name].update(name for new in outcome.nodes for name in new.outputs if name not in node.outputs)
            yield _decision(rule, node, True, rule.summary)
            return
        else:
            yield _decision(rule, node, False, f"{node.outputs[0]} is an output of the graph or read inside a body, so its name must stay")


def _decision(rule: Rewrite, node: Node, taken: bool, reason: str) -> Decision:
    return Decision(rule.name, node.name, node.outputs[0], taken, reason, rule.contract.absolute, rule.contract.kind)

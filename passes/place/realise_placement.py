"""Change the graph into what the placement decided: each chosen rewrite is applied at its operator, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.rewrite import Allow, Declined, Rewrite, anywhere
from .candidates import NATIVE, Implementation
from .placed import Part, Placement, Site


def realise(placement: Placement, rewrites: Mapping[str, Rewrite], allow: Allow = anywhere) -> tuple[tuple[Part, ...], tuple[Site, ...]]:
    """Edits the placement's graph; returns its segments in execution order and what was rewritten. An operator whose rewrite `allow`
    forbids stays as it is."""
    question, solution = placement.question, placement.solution
    problem, graph = question.problem, question.graph
    parts: list[Part] = []
    sites: list[Site] = []
    placed: list[tuple[int, list[Node], list[str]]] = []
    for piece in solution.price.pieces:
        nodes: list[Node] = []
        dtypes: list[str] = []
        for number in sorted(k for unit in piece.units for k in question.units[unit]):
            answer = question.answers[number][piece.device]
            assert isinstance(answer, Implementation)
            dtypes.append(answer.compute_dtype)
            old = question.nodes[number]
            if answer.rule == NATIVE or not allow(answer.rule, old.writes[0]):
                nodes.append(old)
                continue
            rewrite = rewrites[answer.rule]
            tensor = old.writes[0]
            new = _apply(graph, old, rewrite)
            nodes.extend(new)
            made = tuple(node.writes[0] for node in new)
            sites.append(Site(old.name, old.kind, tensor, answer, rewrite.contract.kind, rewrite.contract.range, made=made))
        placed.append((piece.device, nodes, dtypes))
    order = {id(node): k for k, node in enumerate(graph.nodes)}
    for piece, (device, nodes, dtypes) in zip(solution.price.pieces, placed, strict=True):
        seconds = problem.dispatch[device] + sum(problem.units[u].seconds[device] or 0.0 for u in piece.units)
        live = sorted((node for node in nodes if node.live), key=lambda node: order[id(node)])
        ranked = sorted(set(dtypes), key=lambda dtype: (-dtypes.count(dtype), dtype))
        parts.append(Part(problem.devices[device], tuple(live), seconds, tuple(ranked)))
    return tuple(parts), tuple(sites)


def _apply(graph: Graph, node: Node, rewrite: Rewrite) -> tuple[Node, ...]:
    proposal = rewrite.propose(graph, node)
    if proposal is None or isinstance(proposal, Declined):
        raise AssertionError(f"{rewrite.name} was offered for {node.name} and no longer applies")
    return graph.replace(node, proposal.nodes, proposal.outputs)

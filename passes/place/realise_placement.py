"""Change the graph into what the placement decided: each chosen rewrite is applied at its operator, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from ...targets.dtypes import FLOATS
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.rewrite import Allow, Declined, Rewrite, anywhere
from ..solve.partition import Piece
from .candidates import NATIVE, Implementation
from .placed import Part, Placement, Question, Site


def realise(placement: Placement, rewrites: Mapping[str, Rewrite], allow: Allow = anywhere) -> tuple[tuple[Part, ...], tuple[Site, ...]]:
    """Edits the placement's graph; returns its segments in execution order and what was rewritten. An operator whose rewrite `allow`
    forbids stays as it is."""
    question, solution = placement.question, placement.solution
    pieces = [_realise_piece(question, piece, rewrites, allow) for piece in solution.price.pieces]
    order = {id(node): k for k, node in enumerate(question.graph.nodes)}
    parts = []
    for piece, (nodes, dtypes, _) in zip(solution.price.pieces, pieces, strict=True):
        problem, device = question.problem, piece.device
        seconds = problem.dispatch[device] + sum(problem.units[u].seconds[device] or 0.0 for u in piece.units)
        live = sorted((node for node in nodes if node.live), key=lambda node: order[id(node)])
        ranked = sorted(set(dtypes), key=lambda dtype: (-dtypes.count(dtype), dtype))
        saved = question.saved_by(piece.units, device)
        parts.append(Part(problem.devices[device], tuple(live), seconds, tuple(ranked), _in_integers(question, piece), saved))
    return tuple(parts), tuple(site for _, _, sites in pieces for site in sites)


def _in_integers(question: Question, piece: Piece) -> frozenset[str]:
    """A QuantizeLinear reads floats: one that is computed in integers ends a unit that the device takes in integers."""
    found = []
    for number in (k for unit in piece.units for k in question.units[unit]):
        answer, node = question.answers[number][piece.device], question.nodes[number]
        if node.kind == "QuantizeLinear" and isinstance(answer, Implementation) and answer.compute_dtype not in FLOATS:
            found.append(node.writes[0])
    return frozenset(found)


def _realise_piece(
    question: Question, piece: Piece, rewrites: Mapping[str, Rewrite], allow: Allow
) -> tuple[list[Node], list[str], list[Site]]:
    """The nodes of a segment once rewritten, the dtype that each operator is computed in, and what was rewritten."""
    nodes: list[Node] = []
    dtypes: list[str] = []
    sites: list[Site] = []
    for number in sorted(k for unit in piece.units for k in question.units[unit]):
        answer, old = question.answers[number][piece.device], question.nodes[number]
        assert isinstance(answer, Implementation)
        dtypes.append(answer.compute_dtype)
        tensor = old.writes[0]
        if answer.rule == NATIVE or not allow(answer.rule, tensor):
            nodes.append(old)
            continue
        rewrite = rewrites[answer.rule]
        new = _apply(question.graph, old, rewrite)
        nodes.extend(new)
        made = tuple(node.writes[0] for node in new)
        sites.append(Site(old.name, old.kind, tensor, answer, rewrite.contract.kind, rewrite.contract.range, made=made))
    return nodes, dtypes, sites


def _apply(graph: Graph, node: Node, rewrite: Rewrite) -> tuple[Node, ...]:
    proposal = rewrite.propose(graph, node)
    if proposal is None or isinstance(proposal, Declined):
        raise AssertionError(f"{rewrite.name} was offered for {node.name} and no longer applies")
    return graph.replace(node, proposal.nodes, proposal.outputs)

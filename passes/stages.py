"""The two stages that are the same for every target: recovering operators, and simplifying."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .graph.graph import Graph
from .layout import move_transposes
from .library import PAST_GRIDS, RECOVER, REPEATED, ROWS, SIMPLIFY, SPELLED_OUT
from .rule.apply import apply
from .rule.bodies import apply_everywhere
from .rule.rewrite import Allow, Decision, Rewrite, anywhere
from .simplify import merge_equal, split_dequantize
from .simplify.remove_identity import name_outputs

NONE: frozenset[str] = frozenset()


def recover(graph: Graph, without: frozenset[str] = NONE, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """What exporters scattered becomes one operator again, in bodies too; and functions that were quantised step by step. Rules named in
    `without` are not used."""
    decisions = apply_everywhere(graph, _enabled(RECOVER, without), allow)
    if any(node.kind == "QuantizeLinear" for node in graph.nodes):
        decisions += apply(graph, _enabled(PAST_GRIDS, without), allow, past_grids=True)
    return decisions


def simplify(graph: Graph, without: frozenset[str] = NONE, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """Equal nodes are merged (in the graph, not in bodies), rules of SIMPLIFY applied everywhere, Transposes moved to where they cancel,
    dequantised tensors split by reader and graph outputs named; nodes that nothing reads are removed. Rules named in `without` are not
    used."""
    decisions = [] if merge_equal.NAME in without else [*merge_equal.merge_equal(graph, allow)]
    decisions += apply_everywhere(graph, _enabled(SIMPLIFY, without), allow)
    if move_transposes.NAME not in without and (moved := move_transposes.move_transposes(graph, allow)):
        decisions += [*moved, *merge_equal.merge_equal(graph, allow), *apply_everywhere(graph, _enabled(SIMPLIFY, without), allow)]
    if split_dequantize.NAME not in without:
        decisions += split_dequantize.split_dequantize(graph, allow)
    decisions += name_outputs(graph)
    graph.sweep()
    return tuple(decisions)


def spell_out(graph: Graph, taken: Collection[str]) -> tuple[Decision, ...]:
    """Operators that stand for several (Attention, Einsum, RotaryEmbedding) as the several, but those that are `taken`; then simplified."""
    decisions = apply(graph, [rule for rule in SPELLED_OUT if not set(taken).issuperset(rule.operators)])
    return (*decisions, *simplify(graph)) if any(one.taken for one in decisions) else decisions


def in_rows(graph: Graph, without: frozenset[str] = NONE, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """For onnxruntime's CPU alone, before activations become integers: a product and its bias are one Gemm, rounded once."""
    decisions = apply(graph, _enabled(ROWS, without), allow)
    graph.sweep()
    return decisions


def share_masks(graph: Graph, tuned: Sequence[Decision], allow: Allow = anywhere) -> tuple[Decision, ...]:
    """Equal nodes are merged where a segment's tuning wrote the same in front of several layers."""
    return merge_equal.merge_equal(graph, allow) if any(decision.rule in REPEATED for decision in tuned) else ()


def _enabled(rules: Iterable[Rewrite], without: frozenset[str]) -> tuple[Rewrite, ...]:
    return tuple(rule for rule in rules if rule.name not in without)

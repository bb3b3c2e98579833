"""Spells every cut segment as its runtime is fastest: rules that would only be in the way of other devices, or of placing operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from ..passes.cut_segments import KERNEL, Cut, recut
from ..passes.graph import Graph
from ..passes.rewrite import Allow, Decision, Rewrite, anywhere, apply
from ..targets.model import Target

Rules = Mapping[str, Sequence[Rewrite]]


def tune(cuts: Sequence[Cut], target: Target, rules: Rules, allow: Allow = anywhere) -> tuple[tuple[Cut, ...], tuple[Decision, ...]]:
    """The segments, those of devices with rules rewritten; border tensors keep their names. And what was decided."""
    tuned: list[Cut] = []
    decisions: list[Decision] = []
    for k, cut in enumerate(cuts):
        chosen = rules.get(cut.part.device, ())
        found = _tune(cut, k, target, chosen, allow) if chosen else None
        tuned.append(cut if found is None else found[0])
        decisions.extend(() if found is None else found[1])
    return tuple(tuned), tuple(decisions)


def _tune(cut: Cut, k: int, target: Target, rules: Sequence[Rewrite], allow: Allow) -> tuple[Cut, tuple[Decision, ...]] | None:
    """None where no rule applies."""
    model = onnx.ModelProto()
    model.CopyFrom(cut.model)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key != KERNEL]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    graph = Graph(model)
    taken = tuple(decision for decision in apply(graph, rules, allow) if decision.taken)
    graph.sweep()
    return (recut(graph, k, cut, target), taken) if taken else None

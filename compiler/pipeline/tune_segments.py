"""Spells every cut segment as its runtime is fastest: rules that would only be in the way of other devices, or of placing operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import onnx

from ...passes.graph.graph import Graph
from ...passes.library import FOLLOW, FUSED_FOR_ORT, TUNE
from ...passes.place.cut_segments import KERNEL, Cut, recut
from ...passes.rule.bodies import apply_everywhere
from ...passes.rule.rewrite import Allow, Bindings, Decision, Rewrite, anywhere
from ...targets.model import Device, Precision, Target
from ...targets.support import No, supports

Rules = Mapping[str, Sequence[Rewrite]]


def rules_of(device: Device, precision: Precision, used: Iterable[str] = ()) -> tuple[Rewrite, ...]:
    """What suits the device's runtime, and what goes with the rules `used` for its operators, where the device runs the result."""
    following = dict.fromkeys(rule for name in sorted(used) for rule in FOLLOW.get(name, ()))
    tuned = (_if_supported(rule, device, precision) if rule in FUSED_FOR_ORT else rule for rule in TUNE.get(device.runtime.adapter, ()))
    return (*tuned, *(_if_supported(rule, device, precision) for rule in following))


def _if_supported(rule: Rewrite, device: Device, precision: Precision) -> Rewrite:
    def unless(graph: Graph, found: Bindings) -> str | None:
        if (reason := rule.unless(graph, found)) is not None:
            return reason
        proposal = rule.replacement(graph, found)
        graph.infer(proposal.nodes)
        answers = [supports(device, graph.view(node), precision) for node in proposal.nodes]
        graph.discard(proposal.nodes)
        return next((str(answer) for answer in answers if isinstance(answer, No)), None)

    return replace(rule, unless=unless)


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
    taken = tuple(decision for decision in apply_everywhere(graph, rules, allow) if decision.taken)
    graph.sweep()
    return (recut(graph, k, cut, target), taken) if taken else None

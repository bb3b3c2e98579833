"""Spells every cut segment as its runtime is fastest: rules that would only be in the way of other devices, or of placing operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import onnx

from ...passes.graph.graph import Graph
from ...passes.library import FOLLOW, FUSED_FOR_ORT, TUNE
from ...passes.place.cut_segments import cut_again
from ...passes.place.segment import Segment
from ...passes.rule.bodies import apply_everywhere
from ...passes.rule.build import UnknownDtype
from ...passes.rule.rewrite import UNFIT, Allow, Bindings, Decision, Rewrite, anywhere
from ...passes.stages import share_masks
from ...targets.model import Device, Target
from ...targets.precision import Precision
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
        try:
            proposal = rule.replacement(graph, found)
        except (UnknownDtype, *UNFIT) as problem:
            return str(problem)
        graph.infer(proposal.nodes)
        answers = [supports(device, graph.view(node), precision) for node in proposal.nodes]
        graph.discard(proposal.nodes)
        return next((str(answer) for answer in answers if isinstance(answer, No)), None)

    return replace(rule, unless=unless)


def tune(
    segments: Sequence[Segment], target: Target, rules: Rules, allow: Allow = anywhere
) -> tuple[tuple[Segment, ...], tuple[Decision, ...]]:
    """The segments, rewritten where a rule of their device applies, and what was decided. Tensors at borders keep their names."""
    tuned: list[Segment] = []
    decisions: list[Decision] = []
    for segment in segments:
        found, taken = _tune(segment, target, rules.get(segment.device, ()), allow)
        tuned.append(found)
        decisions.extend(taken)
    return tuple(tuned), tuple(decisions)


def _tune(segment: Segment, target: Target, rules: Sequence[Rewrite], allow: Allow) -> tuple[Segment, tuple[Decision, ...]]:
    if not rules:
        return segment, ()
    graph, _ = segment.graph.copy()
    for node in graph.nodes:
        node.proto = node.proto or onnx.NodeProto()  # written at the segment's opset, which `Graph.version` reads from this
    taken = tuple(decision for decision in apply_everywhere(graph, rules, allow) if decision.taken)
    taken += share_masks(graph, taken, allow)
    graph.sweep()
    return (cut_again(graph, segment, target), taken) if taken else (segment, ())

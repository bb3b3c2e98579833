"""Writes a quantised model in floats, where that makes the placement cheaper.

A device without integers (the Neural Engine) can run nothing of a model between QuantizeLinear and DequantizeLinear as it stands. With
weights stored as floats and roundings written as arithmetic it can, for a larger bundle. Both graphs are placed; the cheaper one stays.
"""

from __future__ import annotations

from collections import Counter

from ...passes.library import IN_FLOATS
from ...passes.rule.apply import apply
from ...passes.stages import simplify
from .recover_whole import predicted, refused
from .work import Work


def write_in_floats(work: Work) -> None:
    """Leaves the work as it is where the model is not quantised, only one device is there, or the placement is no cheaper."""
    rules = work.enabled(IN_FLOATS)
    if len(work.target.devices) == 1 or not any(rule.find(work.graph, node) for rule in rules for node in work.graph.nodes):
        return
    twin = work.copy()
    decisions = apply(twin.graph, rules, work.allow)
    if not any(decision.taken for decision in decisions):
        return
    decisions += simplify(twin.graph, work.without, work.allow)
    quantised, floats = predicted(work), predicted(twin)
    if floats is None or (quantised is not None and floats >= quantised):
        names = {rule.name for rule in rules}
        work.decisions.extend(refused(decision, quantised, floats) for decision in decisions if decision.rule in names)
        return
    work.graph = twin.graph
    work.decisions.extend(decisions)
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))

"""Weights of operators that stay in floats, kept in 8 bits: smaller files, at an error far below that of activations in 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ...targets.model import Target
from ...targets.precision import FORMS, Form
from ..graph.graph import Graph
from .operators import weight_operands
from .unit_forms import unit_forms

NOWHERE: Mapping[str, str] = MappingProxyType({})
LEAST_BYTES = 4096
"""A smaller weight is left: its scale and the operators around it take as much."""


def narrow_weights(
    graph: Graph, target: Target, forms: Mapping[str, Form], devices: Mapping[str, str] = NOWHERE
) -> dict[str, tuple[Form, int]]:
    """By the first tensor that an operator in floats writes: the form that keeps its weights in 8 bits, and the bytes that this saves, the
    most first. Only where the device that the operator was placed on reads such weights (`devices`, by the same tensor), or where that is
    not known every device that runs it: so that no operator must leave its device."""
    found: dict[str, tuple[Form, int]] = {}
    offered = unit_forms(graph, target)
    for node in graph.nodes:
        name = node.writes[0] if node.writes else ""
        each = offered.get(name, {}) if name not in forms else {}
        asked = [each.get(devices[name], ())] if name in devices else each.values()
        w8 = [[form for form in own if form.name == FORMS["w8"].name] for own in asked]
        size = sum(graph.tensor(node.inputs[k]).bytes or 0 for k in weight_operands(graph, node))
        if w8 and all(w8) and size >= LEAST_BYTES:
            found[name] = (_in_channels(node.operator, w8[0][0], target), size - size // 4)
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def _in_channels(operator: str, form: Form, target: Target) -> Form:
    """With a scale for each channel, where that is a form of every device too: fewer scales than blocks have."""
    lines = [[line for line in device.weights if not line.operators or operator in line.operators] for device in target.devices]
    plain = all(any(not line.block and line.dtype == form.weights for line in own) for own in lines if own)
    return replace(form, block=0, per_channel=True) if plain else form

"""Operators whose weights may be stored in fewer bits on a target, and what each form takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.block_rounding import BlockRounding
from ....passes.precision.narrow_weights import narrow_weights
from ....passes.precision.operators import weight_operands
from ....passes.precision.stored_weights import weights_alone
from ....passes.precision.weight_forms import in_blocks_of_4
from ....passes.precision.weights import restored
from ....targets.dtypes import BITS
from ....targets.model import Target
from ....targets.precision import FORMS, Form
from .weight_prices import WeightPrices

SCALE_BYTES = 4
NONE: Mapping[str, Form] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WayToStore:
    """A form that an operator's weights may be in."""

    form: Form
    seconds: float
    """Of one row."""
    device: str
    """That is fastest in it; "" where it makes no difference."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operator whose weights may be stored in several forms."""

    node: Node
    ways: tuple[WayToStore, ...]
    """The coarsest first, fp32 last."""

    @property
    def tensor(self) -> str:
        """The first that it writes."""
        return self.node.writes[0]


def candidates(graph: Graph, target: Target, prices: WeightPrices, own: Mapping[str, Form] = NONE) -> tuple[Candidate, ...]:
    """In the order of the graph. own: forms in which operators keep the levels of their weights, in place of those of the same width."""
    coarse = in_blocks_of_4(graph, target)
    fine: Mapping[str, Form] = {name: form for name, (form, _) in narrow_weights(graph, target, {}).items()}
    found = []
    for node in graph.nodes:
        name = node.writes[0] if node.writes else ""
        usual = [each[name] for each in (coarse, fine) if name in each]
        forms = [own[name] if name in own and own[name].name == form.name else form for form in usual]
        if forms:
            found.append(Candidate(node, tuple(_way(graph, node, form, prices) for form in (*forms, FORMS["fp32"]))))
    return tuple(found)


def _way(graph: Graph, node: Node, form: Form, prices: WeightPrices) -> WayToStore:
    own = None if form.name == "fp32" else form
    seconds, device = prices.fastest(graph, node, own)
    return WayToStore(form, seconds, device, bytes_in(graph, node, own))


def bytes_in(graph: Graph, node: Node, form: Form | None) -> int:
    """Of the operator's weights in a form, with scales; None: as they are."""
    total = 0.0
    for k in weight_operands(graph, node):
        elements, shape = graph.tensor(node.inputs[k]).elements or 0, graph.tensor(node.inputs[k]).shape or (1,)
        scales = 0.0 if form is None else elements / form.block if form.block else max(size or 0 for size in shape)
        total += elements * BITS["fp32" if form is None else form.weights] / 8 + SCALE_BYTES * scales
    return round(total)


def rounded(graph: Graph, node: Node, form: Form, rounding: BlockRounding) -> dict[str, np.ndarray]:
    """The operator's weights as they are in the form, in fp32, by name."""
    return {node.inputs[k]: restored(weight) for k, weight in weights_alone(graph, node, form, rounding).items()}

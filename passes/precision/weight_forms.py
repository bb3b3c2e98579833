"""Fewer bits for the weights alone: activations stay in floats, so that nothing of the inputs has to be known.

Matrices that sums run over are in 4 bits where a device reads such; in 8 are tables of embeddings, the matrix that makes an output of the
model (the head of a language model, whose errors nothing behind it makes smaller), and all other weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...targets.model import Target
from ...targets.precision import Form, FormName
from ...targets.quantised.forms_on import stored_forms
from ..graph.graph import Graph
from ..graph.node import Node
from .eligible import writable
from .narrow_weights import LEAST_BYTES, narrow_weights
from .operators import weight_operands
from .unit_forms import unit_forms

NONE: Mapping[str, Form] = MappingProxyType({})

ELEMENTWISE = frozenset({
    "Add", "Mul", "Div", "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Tanh", "Softmax", "LogSoftmax",
})  # fmt: skip
"""What may lie between the head and the output: a bias, a scale, a cap, the last token's row."""


def weight_forms(graph: Graph, target: Target, form: FormName, exact: Mapping[str, Form] = NONE) -> dict[str, Form]:
    """By the first tensor that an operator writes, w8 or, where `form` is w4, w4 for the products before the head. exact: forms that lose
    nothing, which stand for any that is no finer."""
    heads = heads_of(graph)
    blocks = in_blocks_of_4(graph, target) if form == "w4" else {}
    found = {name: own for name, own in blocks.items() if name not in heads}
    found |= {name: own for name, own in exact.items() if own.name == "w4" and form == "w4"}
    narrow = {name: own for name, (own, _) in narrow_weights(graph, target, found).items()}
    return {**found, **narrow, **{name: own for name, own in exact.items() if name in narrow and own.name == "w8"}}


def grids_on(graph: Graph, target: Target, node: Node) -> tuple[Form, ...]:
    """The forms in which a device of the target reads the operator's weights where they are on such grids already; the longest blocks
    first, a scale for each channel before all."""
    view = graph.view(node)
    each = [one for device in target.devices for one in stored_forms(device, view) if writable(graph, node, one)]
    return tuple(sorted(dict.fromkeys(each), key=lambda one: (one.block > 0, -one.block)))


def in_blocks_of_4(graph: Graph, target: Target) -> dict[str, Form]:
    """Products that a device of the target runs with weights of 4 bits, by the first tensor that each writes."""
    found: dict[str, Form] = {}
    for name, devices in unit_forms(graph, target).items():
        own = next((one for offered in devices.values() for one in offered if one.name == "w4"), None)
        if own is not None and _bytes(graph, name) >= LEAST_BYTES:
            found[name] = own
    return found


def heads_of(graph: Graph) -> frozenset[str]:
    """What products write of which an output of the model is made, element by element."""
    found: set[str] = set()
    for output in graph.outputs:
        node = graph.producer(output)
        while node is not None and not node.domain and node.operator in ELEMENTWISE and not weight_operands(graph, node):
            varying = [name for name in node.inputs if name and name not in graph.constants]
            node = graph.producer(varying[0]) if len(varying) == 1 else None
        if node is not None and weight_operands(graph, node):
            found.add(node.writes[0])
    return frozenset(found)


def _bytes(graph: Graph, name: str) -> int:
    node = graph.producer(name)
    return 0 if node is None else sum(graph.tensor(node.inputs[k]).bytes or 0 for k in weight_operands(graph, node))

"""Which operators of a float graph may run in which forms on a target, and the same form for as many of them as can have it."""

from __future__ import annotations

from collections.abc import Mapping

from ...targets.model import Device, Target
from ...targets.precision import Form, FormName
from ...targets.quantised.forms_on import choices_on
from ..graph.graph import Graph
from ..graph.node import Node
from .eligible import writable
from .operators import moves, operands_of

INTEGER_KERNELS = frozenset({
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool", "LeakyRelu", "MatMul", "Mul", "Relu",
    "Sigmoid", "Softmax", "Where",
})  # fmt: skip
"""Besides what moves values, the operators that a runtime which takes everything (onnxruntime on a CPU: QLinearConv, QLinearAdd …,
onnxruntime/core/optimizer/qdq_transformer at v1.23) computes in integers; any other it would dequantise, compute in floats and quantise."""
UnitForms = Mapping[str, Mapping[str, tuple[Form, ...]]]


def unit_forms(graph: Graph, target: Target) -> UnitForms:
    """By the first tensor that an operator writes and by device, the forms that the operator may run in there, preferred ones first.
    Operators that have no other form than fp32 anywhere are left out."""
    found: dict[str, dict[str, tuple[Form, ...]]] = {}
    for node in graph.nodes:
        if not node.writes:
            continue
        forms = {device.name: _forms(graph, node, device) for device in target.devices}
        if any(form.name != "fp32" for offered in forms.values() for form in offered):
            found[node.writes[0]] = {device: offered for device, offered in forms.items() if offered}
    return found


def uniform(graph: Graph, target: Target, wanted: FormName) -> dict[str, Form]:
    """The form for every operator that a device of the target runs in it, for `quantise`. What moves values takes the form of what it
    moves: alone it gains nothing by integers."""
    offered = unit_forms(graph, target)
    order = sorted(target.devices, key=lambda device: device.name == target.host.name)
    found: dict[str, Form] = {}
    for node in graph.nodes:
        forms = offered.get(node.writes[0], {}) if node.writes else {}
        form = next((form for device in order for form in forms.get(device.name, ()) if form.name == wanted), None)
        if form is not None:
            found[node.writes[0]] = form
    return _without_idle_moves(graph, found)


def _forms(graph: Graph, node: Node, device: Device) -> tuple[Form, ...]:
    everything = any(block.everything for block in device.supports)
    view = graph.view(node)
    forms = tuple(choice.form for choice in choices_on(device, view) if writable(graph, node, choice.form))
    if everything and not moves(graph, node) and (node.domain or node.operator not in INTEGER_KERNELS):
        return tuple(form for form in forms if not form.quantised)
    return forms


def _without_idle_moves(graph: Graph, forms: Mapping[str, Form]) -> dict[str, Form]:
    """Without what moves values between floats: from the front what reads integers stays, from the back what integers alone read."""
    computes = {name for name, form in forms.items() if form.quantised and not _moves(graph, name)}
    kept = dict(forms)
    useful = set(computes)
    for nodes, forwards in ((graph.nodes, True), (graph.nodes[::-1], False)):
        for node in nodes:
            name = node.writes[0] if node.writes else ""
            if name not in forms or not forms[name].quantised or name in useful:
                continue
            if _reads_useful(graph, node, useful) if forwards else _read_by_useful(graph, node, useful):
                useful.add(name)
    return {name: form for name, form in kept.items() if not form.quantised or name in useful}


def _moves(graph: Graph, name: str) -> bool:
    producer = graph.producer(name)
    return producer is not None and moves(graph, producer)


def _reads_useful(graph: Graph, node: Node, useful: set[str]) -> bool:
    read = [node.inputs[k] for k in operands_of(graph, node).moved]
    varying = [producer for name in read if (producer := graph.producer(name)) is not None]
    return len(varying) > 0 and all(producer.writes[0] in useful for producer in varying) and len(varying) == len(read)


def _read_by_useful(graph: Graph, node: Node, useful: set[str]) -> bool:
    users = [user for name in node.writes for user in graph.users(name)]
    return bool(users) and all(user.writes and user.writes[0] in useful for user in users)

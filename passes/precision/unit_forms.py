"""Which operators of a float graph may run in which forms on a target, and the same form for as many of them as can have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...targets.model import Device, Target
from ...targets.precision import FORMS, Form, FormName
from ...targets.quantised.forms_on import choices_on
from ...targets.support import takes_all
from ..graph.graph import Graph
from ..graph.node import Node
from .eligible import writable
from .operators import leaves_floats, moves, operands_of

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
    moves: alone it gains nothing by integers. Where every device of the target computes in floats as well, operators that are no products
    are in integers only between integers: a residual Add beside a normalisation in floats costs a transformer most of its accuracy (MiniLM
    in a8w8: cosine 0.71 with it, 0.88 without), and saves a conversion at best."""
    offered = unit_forms(graph, target)
    found = _everywhere(graph, target, offered, wanted, "")
    kept = _where_it_pays(graph, found) if _flexible(target) else without_idle_moves(graph, found)
    if not FORMS[wanted].quantised or not kept:
        return kept
    tables = (node.writes[0] for node in graph.nodes if node.writes and _is_table(graph, node))
    return {**kept, **{name: FORMS["w8"] for name in tables if name not in kept and _may(offered, name, "w8")}}


def everywhere(graph: Graph, target: Target, offered: UnitForms, wanted: FormName) -> tuple[dict[str, Form], ...]:
    """For each device, the form for every operator that some device runs in it, whether that pays or not: as that device takes it, else as
    the first that does. Devices may want other dtypes or scales under one name."""
    return tuple(_everywhere(graph, target, offered, wanted, device.name) for device in target.devices)


def _everywhere(graph: Graph, target: Target, offered: UnitForms, wanted: FormName, first: str) -> dict[str, Form]:
    order = sorted(target.devices, key=lambda device: (device.name != first, device.name == target.host.name))
    found: dict[str, Form] = {}
    for node in graph.nodes:
        forms = offered.get(node.writes[0], {}) if node.writes else {}
        form = next((form for device in order for form in forms.get(device.name, ()) if form.name == wanted), None)
        if form is not None:
            found[node.writes[0]] = form
    return found


def _may(offered: UnitForms, name: str, wanted: FormName) -> bool:
    return any(form.name == wanted for forms in offered.get(name, {}).values() for form in forms)


PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedMatMul"})
"""Operators that take less time in integers themselves; others only save conversions."""


def _flexible(target: Target) -> bool:
    return all(map(takes_all, target.devices))


def _where_it_pays(graph: Graph, forms: Mapping[str, Form]) -> dict[str, Form]:
    """Without what is not between integers: its operands and its readers are in integers, or it is a product."""
    kept = dict(forms)
    pending = list(reversed(graph.nodes))
    while pending:
        node = pending.pop()
        if node.operator in PRODUCTS or not _is_integer(kept, node):
            continue
        if not (_reads_integers(graph, node, kept) and _read_by_integers(graph, node, kept)):
            del kept[node.writes[0]]
            makers = (graph.producer(name) for name in node.reads)
            pending += [maker for maker in makers if maker is not None]
            pending += [user for name in node.writes for user in graph.users(name)]
    return kept


def _is_table(graph: Graph, node: Node) -> bool:
    """Whether it gathers rows of a constant: what runs Gather, Cast and Mul can have them in integers, each with its scale."""
    return node.kind == "Gather" and writable(graph, node, FORMS["w8"])


def _reads_integers(graph: Graph, node: Node, forms: Mapping[str, Form]) -> bool:
    operands = operands_of(graph, node)
    read = [node.inputs[k] for k in (*operands.moved, *operands.others) if node.inputs[k] not in graph.constants]
    makers = [graph.producer(name) for name in read]
    return all(maker is None or _is_integer(forms, maker) for maker in makers)


def _read_by_integers(graph: Graph, node: Node, forms: Mapping[str, Form]) -> bool:
    return all(_is_integer(forms, user) for name in node.writes for user in graph.users(name))


def _is_integer(forms: Mapping[str, Form], node: Node) -> bool:
    form = forms.get(node.writes[0]) if node.writes else None
    return form is not None and form.quantised


def _forms(graph: Graph, node: Node, device: Device) -> tuple[Form, ...]:
    forms = tuple(choice.form for choice in choices_on(device, graph.view(node)) if writable(graph, node, choice.form))
    if takes_all(device) and leaves_floats(graph, node):
        forms = tuple(replace(form, float_results=form.quantised) for form in forms)
    if takes_all(device) and _is_table(graph, node) and not any(form.name == "w8" for form in forms):
        return (*forms, FORMS["w8"])
    return forms


def without_idle_moves(graph: Graph, forms: Mapping[str, Form]) -> dict[str, Form]:
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

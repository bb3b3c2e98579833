"""At which opsets an operator means the same as in the graph: what an emitted segment may declare.

Most versions after 18 widen dtypes or add an attribute whose default is the old behaviour; REINTERPRETED lists those that do not
(older_opsets.py the same for a range that ends below 18).
A segment for the `ort` runtime declares the graph's own opset: load has checked that this runtime accepts it. A target's `onnx opset`
range is what its other runtimes read: their segments are declared inside it, and an operator that means something else there, or does not
exist, cannot be placed on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import onnx

from ...targets.dtypes import FLOATS
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView
from ...targets.operators import key_of, version_at
from .node import Node
from .older_opsets import not_as_old
from .schema import first_opset, plain, schema

NEWEST = 24
"""The newest opset whose operators our rewrites emit."""
FORWARD_COMPATIBLE = 18
"""From this opset on a graph may hold operators of newer opsets, up to `newest`, beside its own."""
REINTERPRETED: Mapping[str, int] = {
    "DFT": 20,  # axis became an input
    "GridSample": 20,  # modes were renamed
    "GroupNormalization": 21,  # scale and bias per channel instead of per group
    "AveragePool": 22,  # with ceil_mode, windows that start in the padding are left out
    "MaxPool": 22,
    "Range": 27,  # float16 is counted in float32
    "BitShift": 28,  # shifts by more than the width are defined
}
"""Operator -> the opset that changed what an older spelling of it means, of the versions after FORWARD_COMPATIBLE."""
UNREGISTERED: Mapping[str, int] = dict.fromkeys(
    ("GlobalLpPool", "MaxRoiPool", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "RoiAlign"), 22
)
"""Operator -> the opset from which on onnxruntime (1.32) has no kernel for it, so that its segment must be declared at an older one."""
CHANGED_CEIL_MODE = frozenset({"AveragePool", "MaxPool"})
FLOORED_MOD = 28
"""From this opset on Mod takes floats without fmod."""
NAMES_MORE_DTYPES = 25
"""The opset that brought the last of the dtypes that a view has no name for (4-bit and 8-bit exponents, 2-bit integers)."""


def newest(model: onnx.ModelProto, opset: int) -> int:
    """The newest opset that a graph of this opset may be declared at with every operator in it, bodies included, as it is and runnable."""
    return _newest(((node.op_type, node.attribute, opset) for node in _every(model.graph)), opset)


def newest_among(nodes: Sequence[Node], opset: int, written: Callable[[Node], int]) -> int:
    """The same of some nodes alone, each `written` at an opset of its own: those of rewrites mean what the newest opset says."""
    inside = ((proto.op_type, proto.attribute, opset) for node in nodes for body in node.bodies() for proto in _every(body))
    return _newest((*((node.operator, node.attributes.values(), written(node)) for node in nodes), *inside), opset)


def _newest(operators: Iterable[tuple[str, Iterable[onnx.AttributeProto], int]], opset: int) -> int:
    if opset < FORWARD_COMPATIBLE:
        return opset
    limits = [NEWEST]
    for operator, given, written in operators:
        for change, known in ((reinterpreted(operator, given), written), (UNREGISTERED.get(operator, 0), opset)):
            if known < change:
                limits.append(change - 1)
    return max(opset, min(limits))


def reinterpreted(operator: str, given: Iterable[onnx.AttributeProto]) -> int:
    """The opset that changed what the operator's older spelling means; 0 for one that no version changed."""
    if operator in CHANGED_CEIL_MODE and not any(attribute.name == "ceil_mode" and attribute.i for attribute in given):
        return 0
    return REINTERPRETED.get(operator, 0)


def _every(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of the graph and of the bodies in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _every(body)


def readable(device: Device, target: Target) -> tuple[int, int] | None:
    """The opsets that the device's runtime reads; None for onnxruntime here, which load has checked."""
    return None if device.runtime.adapter == "ort" else target.opset


def declared(opset: int, first: int, last: int) -> int:
    """What a segment of a graph at `opset` declares for a runtime that reads first..last."""
    return min(max(opset, first), last)


def unlike(view: OperatorView, written: int, opset: int, given: Mapping[str, onnx.AttributeProto]) -> str:
    """Why the operator, written at opset `written`, does not mean the same at `opset`; "" if it does.

    given: the attributes on the node itself; the view's are completed by defaults.
    """
    if view.domain or written == opset:
        return ""
    first = first_opset(view.operator)
    if first > opset:
        return f"{view.operator} exists since opset {first}"
    if view.has_body:
        own = {n for n in view.functions if "::" not in n}
        younger = sorted(n for n in own if first_opset(n) > opset)
        if younger:
            return f"its body contains {younger[0]}, which exists since opset {first_opset(younger[0])}"
        changed = sorted(n for n in own if first_opset(n) <= written and schema(n, "", written).since != schema(n, "", opset).since)
        return f"its body contains {changed[0]} of opset {schema(changed[0], '', written).since}" if changed else ""
    here, there = schema(view.operator, "", written), schema(view.operator, "", opset)
    if here.since == there.since:
        return ""
    if min(written, opset) < FORWARD_COMPATIBLE and (older := not_as_old(view, written, opset, given)):
        return older
    change = reinterpreted(view.operator, given.values())
    if min(written, opset) < change <= max(written, opset):
        return f"opset {change} changed the meaning of {view.operator}"
    if view.operator == "Mod" and opset < FLOORED_MOD and not view.attributes.get("fmod") and view.inputs["A"].dtype in FLOATS:
        return f"Mod of opset {opset} does not take {view.inputs['A'].dtype} without fmod"
    return _attributes(view, opset, given, here.defaults, there.defaults) or _operands(view, opset)


def attributes_at(node: Node, opset: int) -> dict[str, onnx.AttributeProto]:
    """The node's attributes that its operator has at the opset. `unlike` has found that the others hold what is the default there."""
    version = None if node.domain else version_at(key_of("", node.operator), opset)
    return {name: a for name, a in node.attributes.items() if version is None or name in version.attributes}


def _attributes(
    view: OperatorView, opset: int, given: Mapping[str, onnx.AttributeProto], here: Mapping[str, object], there: Mapping[str, object]
) -> str:
    version = version_at(key_of("", view.operator), opset)
    for name, attribute in given.items():
        if version is not None and name not in version.attributes and plain(attribute) != here.get(name):
            return f"opset {opset} has no attribute {name} of {view.operator}"
    differs = sorted(name for name in here.keys() & there.keys() if name not in given and here[name] != there[name])
    return f"the default of {view.operator}'s {differs[0]} differs at opset {opset}" if differs else ""


def _operands(view: OperatorView, opset: int) -> str:
    version = version_at(key_of("", view.operator), opset)
    if version is None:
        return ""
    for slots, tensors in ((version.inputs, view.inputs), (version.outputs, view.outputs)):
        types = {slot.name: slot.dtypes for slot in slots}
        for label, tensor in tensors.items():
            allowed = types.get(label.partition(".")[0])
            if allowed is None:
                return f"opset {opset} has no operand {label} of {view.operator}"
            if tensor.dtype == "unknown" and tensor.shape is not None and opset < NAMES_MORE_DTYPES:
                return f"{label} has a dtype that opset {opset} may not have"
            if tensor.dtype not in allowed and tensor.dtype != "unknown":
                return f"{view.operator} of opset {opset} does not take {tensor.dtype} as {label}"
    return ""

"""Which operators of a graph can be written in a form at all, whatever a device takes."""

from __future__ import annotations

from collections.abc import Mapping

from ...targets.dtypes import BITS, FLOATS
from ...targets.operators import key_of, version_at
from ...targets.precision import Form
from ..graph.graph import Graph
from ..graph.node import RANDOM, Node
from .operators import NEVER, RECURRENT, inner_axis, moves, operands_of, weight_operands
from .scales import Range
from .sharing import range_of

FLOATS_ONLY = frozenset({"LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "Softmax", "LogSoftmax"})
"""Operators that sum many numbers: in fp16 they lose what they are for, so they stay in fp32."""


INDICES = ("int64", "int32")
"""Dtypes that places and shapes are counted in, which what moves values may write beside them."""
WIDE = 21
"""The opset from which on QuantizeLinear and DequantizeLinear take 16 and 4 bits, and blocks."""


def first_opset_of(form: Form) -> int:
    """The opset that a graph must be declared at to hold operators in the form."""
    wide = BITS.get(form.weights, 8) == 4 or form.block or (form.quantised and BITS[form.activations] == 16)
    return WIDE if wide else 0


def writable(graph: Graph, node: Node, form: Form) -> bool:
    """Whether the operator can stand in the graph in this form; ranges are not asked."""
    if form.name == "fp32":
        return True
    if graph.newest < first_opset_of(form):
        return False
    floats = [name for name in node.writes if graph.tensor(name).dtype == "fp32"]
    if not floats or node.captures or next(node.bodies(), None) is not None or node.operator in RANDOM:
        return False
    if form.name == "fp16":
        return not node.domain and node.operator not in NEVER | FLOATS_ONLY and _takes_half(graph, node)
    if form.quantised:
        return _in_integers(graph, node)
    weights = weight_operands(graph, node)
    if form.block and node.operator != "Gather":
        return any(inner_axis(graph, node, k) is not None for k in weights)
    if node.operator == "Gather":
        rows = graph.attribute(node, "axis") in (None, 0) and len(graph.tensor(node.inputs[0]).shape or ()) == 2
        return bool(weights) and rows and BITS[form.weights] == 8
    return bool(weights) and (node.operator in RECURRENT or node.operator in ("Conv", "ConvTranspose", "Gemm", "MatMul"))


def _takes_half(graph: Graph, node: Node) -> bool:
    """Whether its operator is one of floats of any width, of which it reads some."""
    version = version_at(key_of("", node.operator), graph.version(node))
    if version is None:
        return False
    slots = (*version.inputs, *version.outputs)
    floats = [slot for slot in slots if "fp32" in slot.dtypes]
    return "fp32" in {graph.tensor(name).dtype for name in node.inputs if name} and all("fp16" in slot.dtypes for slot in floats)


def _in_integers(graph: Graph, node: Node) -> bool:
    """Something that varies must come in, and floats only."""
    if node.operator in NEVER or (node.domain and node.kind != "com.microsoft::FusedMatMul"):
        return False
    if any(name and graph.tensor(name).dtype in FLOATS - {"fp32"} for name in (*node.inputs, *node.writes)):
        return False
    operands = operands_of(graph, node)
    if moves(graph, node):
        written = {graph.tensor(name).dtype for name in node.writes}
        return bool(operands.moved) and written <= {"fp32", *INDICES}
    varies = any(node.inputs[k] not in graph.constants for k in operands.others)
    return varies and all(graph.tensor(name).dtype == "fp32" for name in node.writes)


def kept_forms(graph: Graph, forms: Mapping[str, Form], ranges: Mapping[str, Range]) -> dict[str, Form]:
    """The forms other than fp32 that the graph can be written in: of operators that have them, with ranges for all that is in integers."""
    found: dict[str, Form] = {}
    for node in graph.nodes:
        form = forms.get(node.writes[0]) if node.writes else None
        if form is None or form.name == "fp32" or not writable(graph, node, form):
            continue
        if not form.quantised or _has_ranges(graph, node, ranges):
            found[node.writes[0]] = form
    return found


def _has_ranges(graph: Graph, node: Node, ranges: Mapping[str, Range]) -> bool:
    operands = operands_of(graph, node)
    read = [node.inputs[k] for k in (*operands.moved, *operands.others)]
    written = [] if moves(graph, node) else [name for name in node.writes if graph.tensor(name).dtype == "fp32"]
    known = [range_of(graph, name, ranges) for name in (*read, *written)]
    return all(one is not None and one.usable for one in known)

"""Which nodes compute the same for every input, and which of them a simplifier must not compute because the result is too large."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

from ..structure import bodies

if TYPE_CHECKING:
    import onnx

KEPT = "autoglmc.kept."
"""Before the domain under which a node is hidden from the simplifier: it knows no operator there, so it computes none."""
FOLD_LIMIT = 1 << 12
"""Bytes of a result above which it is not the simplifier that computes it: as large as a weight that it is not shown."""
FREE, ROOM = 128, 1 << 20
"""Bytes of a result that count for nothing, and of all others together: many small constants add up too."""
RANDOM = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"})

NO_TENSOR = frozenset({"SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase", "SplitToSequence", "Optional"})
"""Operators whose result no initializer can hold; the simplifier would put a tensor in its place."""


def constant_nodes(graph: onnx.GraphProto, shaped: Container[str] = ()) -> Iterator[onnx.NodeProto]:
    """Nodes of the main graph of which every input is constant, in order; none with bodies, none that is random.

    shaped: tensors whose shape is known, so that asking for it is constant too.
    """
    constant = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        reads = [name for name in node.input if name]
        asks = node.op_type in ("Shape", "Size") and all(name in shaped for name in reads)
        if asks or ((reads or node.op_type == "Constant") and constant.issuperset(reads) and not _opaque(node)):
            constant.update(node.output)
            yield node


def _opaque(node: onnx.NodeProto) -> bool:
    return node.op_type in RANDOM or any(True for _ in bodies(node))


def may_fold(model: onnx.ModelProto) -> bool:
    """Whether a simplifier could compute anything: a constant node, a Shape or Size, or a node with bodies that may hold some."""
    if any(node.op_type in ("Shape", "Size") or (node.attribute and any(True for _ in bodies(node))) for node in model.graph.node):
        return True
    return any(node.op_type != "Constant" for node in constant_nodes(model.graph))


def keep_large(model: onnx.ModelProto) -> int:
    """Puts constant nodes whose result would be large, or is not a tensor, into the domain KEPT, in place; how many.

    Needs value_info. A result of unknown size counts as large: it may be anything; and a dequantised weight is kept quantised, for
    devices that compute with it so. What reads such a result is no longer constant. Bodies are not looked at: the simplifier does not.
    """
    from onnx import OperatorSetIdProto

    sizes = _sizes(model.graph)
    kept: set[str] = set()
    count, room = 0, ROOM
    for node in [node for node in model.graph.node if node.op_type in NO_TENSOR and node.domain in ("", "ai.onnx")]:
        kept.update(_keep(node))
        count += 1
    for node in constant_nodes(model.graph, sizes):
        if node.op_type == "Constant" or node.domain.startswith(KEPT) or not kept.isdisjoint(node.input):
            kept.update(node.output if node.op_type != "Constant" else ())
            continue
        made = sum(sizes.get(name, math.inf) for name in node.output if name)
        counted = made if made > FREE else 0
        if node.op_type == "DequantizeLinear" or made > FOLD_LIMIT or counted > room:
            kept.update(_keep(node))
            count += 1
        else:
            room -= int(counted)
    if count:
        domains = sorted({node.domain for node in model.graph.node if node.domain.startswith(KEPT)})
        model.opset_import.extend(OperatorSetIdProto(domain=domain, version=1) for domain in domains)
    return count


def show_kept(model: onnx.ModelProto) -> None:
    """The inverse of `keep_large`, in place."""
    for node in model.graph.node:
        if node.domain.startswith(KEPT):
            node.domain = node.domain.removeprefix(KEPT)
    imports = [entry for entry in model.opset_import if not entry.domain.startswith(KEPT)]
    del model.opset_import[:]
    model.opset_import.extend(imports)


def _keep(node: onnx.NodeProto) -> list[str]:
    """Hides the node; what it writes."""
    node.domain = KEPT + node.domain
    return list(node.output)


def _sizes(graph: onnx.GraphProto) -> dict[str, float]:
    """Bytes per tensor where dtype and every dim are known; strings count eight a piece."""
    from onnx import helper

    widths: dict[int, int] = {0: 0, 8: 8}
    sizes: dict[str, float] = {}
    values = (*graph.input, *graph.value_info, *graph.output)
    kinds = [(value.name, value.type.tensor_type) for value in values if value.type.HasField("tensor_type")]
    for name, kind in kinds:
        dims = kind.shape.dim
        if kind.elem_type and kind.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            if kind.elem_type not in widths:
                widths[kind.elem_type] = int(helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize)
            sizes[name] = widths[kind.elem_type] * math.prod(dim.dim_value for dim in dims)
    sizes.update((tensor.name, float(tensor.ByteSize())) for tensor in graph.initializer)
    return sizes

"""Whether a segment may write a result over one of its inputs: a proof over the graph that a runtime executes, node by node.

The bytes of an input may be written once nobody reads them any more. A runtime writes a result when the node that makes it runs, so that is
so where every other node that reads the input must run before that one, in any order that the edges allow, and where that node itself
either does not read the input or is known to read an element before it writes the same one.
The graph has to be the executed one: a runtime that fuses MatMul and Add to a Gemm makes one node of two, which reads while it writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import onnx

VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
"""Their first output holds the bytes of their first input. Over their own input they write nothing (onnxruntime compares the addresses)."""
SHARING = VIEWS | {
    "Dropout", "Optional", "OptionalGetElement", "Cast", "CastLike", "Expand", "SequenceConstruct", "SequenceInsert", "SequenceErase",
    "SequenceAt",
}  # fmt: skip
"""Their outputs may hold the bytes of an input inside onnxruntime: who reads those reads the input."""
UNARY = frozenset({
    "Relu", "LeakyRelu", "Elu", "Selu", "HardSigmoid", "ThresholdedRelu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Log", "Sqrt", "Floor",
    "Ceil", "Reciprocal", "Not", "Clip",
})  # fmt: skip
"""Operators whose kernels in onnxruntime take an element, then write it at the same place: tested byte for byte, odd sizes included."""
BINARY = frozenset({"Add", "Sub", "Mul", "Div"})
"""The same for either operand of the result's own shape. Not Gelu, QuickGelu or Softmax: their kernels pass twice over the output."""


@runtime_checkable
class TellsExecution(Protocol):
    """An adapter that writes a result when its node runs, never earlier, and that tells which nodes it runs."""

    def executed(self, model: Path | bytes) -> onnx.ModelProto:
        """The graph that it runs in place of the one given, with or without weights. Raises BundleError where it refuses the model."""
        ...


@runtime_checkable
class KeepsCaches(Protocol):
    """An adapter whose runtime leaves a cache, with its new rows, where it came in (`caches_in`): nothing else is known of its writes."""

    keeps_caches: bool


def caches_in(model: onnx.ModelProto) -> dict[str, str]:
    """Of the inputs of a model that are caches of an attention in it, and that nothing else reads, the outputs that they become."""
    pasts = [value.name for value in model.graph.input]
    presents = [value.name for value in model.graph.output]
    return {past: present for past in pasts for present in presents if extends_cache(model, past, present)}


def proof_of(model: onnx.ModelProto, source: str, result: str) -> str:
    """Why the bytes of the input `source` may be those of the output `result`, for people; "" where that is not known."""
    nodes = list(model.graph.node)
    names = _names_of(nodes, source, SHARING)
    maker = next((k for k, node in enumerate(nodes) if result in node.output), None)
    if maker is None or source == result or not {value.name for value in model.graph.input} >= {source}:
        return ""
    readers = [k for k, node in enumerate(nodes) if not names.isdisjoint(_reads(node))]
    if any(_has_body(nodes[k]) for k in (*readers, maker)):
        return ""
    if not set(readers) - {maker} <= _before(nodes, maker):
        return ""
    if maker not in readers:
        return f"{_kind(nodes[maker])} writes it after every operator that reads {source!r}"
    if nodes[maker].op_type in VIEWS and result in _names_of(nodes, source, VIEWS):
        return f"{_kind(nodes[maker])} leaves every byte where it is"
    if _element_by_element(nodes[maker], names, _shapes(model), source, result):
        return f"{_kind(nodes[maker])} reads an element before it writes it"
    return ""


CACHES = {3: 1, 4: 2}
"""Operands of com.microsoft's GroupQueryAttention that are caches, and the results that they become."""


def extends_cache(model: onnx.ModelProto, past: str, present: str) -> str:
    """Why a cache that comes in as `past` may go out as `present` at the same address, for people; "" where that is not known.

    onnxruntime (1.32, CPU) then writes the new rows, reads rows that are filled, and leaves all others as they are: tested with NaN there.
    """
    for node in model.graph.node:
        if present in node.output and node.op_type == "GroupQueryAttention" and node.domain == "com.microsoft":
            places = [k for k, name in enumerate(node.input) if name == past]
            alone = sum(past in _reads(other) for other in model.graph.node) == 1
            if alone and len(places) == 1 and CACHES.get(places[0]) == list(node.output).index(present):
                return f"{node.op_type} writes the new rows behind those that {past!r} has"
    return ""


def _element_by_element(
    node: onnx.NodeProto, names: set[str], shapes: Mapping[str, tuple[int, tuple[int, ...]]], source: str, result: str
) -> bool:
    """Whether the node reads each element of the input only to write the same one of the result."""
    places = [k for k, name in enumerate(node.input) if name in names]
    operands = 2 if node.op_type in BINARY else 1
    known = not node.domain and node.op_type in UNARY | BINARY and list(node.output) == [result]
    if not known or max(places) >= operands or source not in shapes or result not in shapes:
        return False
    # a view of another shape would be stretched to the result's: then an element is read for several
    return shapes[source] == shapes[result] and all(node.input[k] == source for k in places)


def _names_of(nodes: Sequence[onnx.NodeProto], source: str, kinds: Set[str]) -> set[str]:
    """The names under which the bytes of the input are known, through operators of these kinds. Nodes come in topological order."""
    names = {source}
    for node in nodes:
        through = node.input[:1] if node.op_type in VIEWS else node.input
        if node.op_type in kinds and not node.domain and not names.isdisjoint(through):
            names |= set(node.output) - {""}
    return names


def _before(nodes: Sequence[onnx.NodeProto], last: int) -> set[int]:
    """The nodes that the edges put before one."""
    maker = {name: k for k, node in enumerate(nodes) for name in node.output if name}
    found: set[int] = set()
    waiting = [last]
    while waiting:
        new = {maker[name] for name in _reads(nodes[waiting.pop()]) if name in maker} - found
        found |= new
        waiting += sorted(new)
    return found


def _reads(node: onnx.NodeProto) -> set[str]:
    """What a node reads, in its bodies too."""
    found = set(node.input) - {""}
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            found |= {name for inner in body.node for name in _reads(inner)} | {value.name for value in body.output}
    return found


def _has_body(node: onnx.NodeProto) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Element type and shape of the graph's inputs and outputs, where every dimension is known."""
    found = {}
    for value in (*model.graph.input, *model.graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[value.name] = tensor.elem_type, tuple(dim.dim_value for dim in tensor.shape.dim)
    return found


def _kind(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type

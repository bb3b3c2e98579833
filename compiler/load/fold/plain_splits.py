"""A sequence that is split off a tensor and read at constant places is a Split: devices have no sequences.

    SequenceAt(SplitToSequence(x; lengths), k)   ->   the k-th result of Split(x; lengths)

torch.onnx.export(dynamo=True, optimize=False) writes every chunk and split so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....passes.mapped.mapped_tensor import array_of
from ..known.types import sizes_of
from ..structure import all_names, fresh_name, names_read
from ..versions import opset_of

if TYPE_CHECKING:
    import onnx

STANDARD = ("", "ai.onnx")
FIRST_OPSET = 13
"""From which on the lengths of a Split are an operand."""
MOST = 4096
"""Elements of a constant that may be lengths or a place."""


def split_plainly(model: onnx.ModelProto) -> int:
    """In place, in the main graph: how many sequences became a Split. One that is read in another way, or whose lengths or places are
    computed, stays."""
    graph = model.graph
    if opset_of(model) < FIRST_OPSET:
        return 0
    constants = {tensor.name: array_of(tensor) for tensor in graph.initializer if math.prod(tensor.dims) <= MOST}
    sizes = {value.name: sizes_of(value.type) for value in (*graph.input, *graph.value_info, *graph.output)}
    sizes.update((tensor.name, list(tensor.dims)) for tensor in graph.initializer)
    reads = Counter(name for node in graph.node for name in names_read(node))
    reads.update(value.name for value in graph.output)
    taken, found = all_names(graph), 0
    for node in list(graph.node):
        if node.op_type == "SplitToSequence" and node.domain in STANDARD and len(node.input) > 1 and node.input[1] in constants:
            readers = [other for other in graph.node if node.output[0] in other.input]
            lengths = _lengths(node, constants[node.input[1]], sizes.get(node.input[0]))
            places = _places(readers, constants, len(lengths))
            if places and reads[node.output[0]] == len(readers):
                _rewrite(graph, node, list(zip(readers, places, strict=True)), lengths, taken)
                found += 1
    return found


def _lengths(node: onnx.NodeProto, given: Any, sizes: Sequence[int | None] | None) -> list[int]:
    """Of the parts; none where a length for all of them divides an axis whose size is not known, or with keepdims = 0: onnxruntime drops
    the axis then, although the standard ignores keepdims beside lengths."""
    if given.ndim:
        return [int(length) for length in given]
    size = None if not sizes else sizes[_attribute(node, "axis", 0) % len(sizes)]
    length = int(given)
    if size is None or length < 1 or not _attribute(node, "keepdims", 1):
        return []
    return [min(length, size - start) for start in range(0, size, length)]


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _places(readers: Sequence[onnx.NodeProto], constants: Mapping[str, Any], count: int) -> list[int] | None:
    """Which part each of them reads; None where one does something else, or at a place that is computed."""
    if any(node.op_type != "SequenceAt" or node.domain not in STANDARD or node.input[1] not in constants for node in readers):
        return None
    places = [int(constants[node.input[1]].item()) for node in readers]
    return places if all(-count <= place < count for place in places) else None


def _rewrite(
    graph: onnx.GraphProto, node: onnx.NodeProto, read: Sequence[tuple[onnx.NodeProto, int]], lengths: list[int], taken: set[str]
) -> None:
    """read: who reads which part; taken: names that are no longer free."""
    import numpy
    from onnx import helper, numpy_helper

    parts = [fresh_name(f"{node.output[0]}_part_{k}", taken) for k in range(len(lengths))]
    sizes = numpy_helper.from_array(numpy.array(lengths, numpy.int64), fresh_name(f"{node.output[0]}_lengths", taken))
    graph.initializer.append(sizes)
    for reader, place in read:
        reader.CopyFrom(helper.make_node("Identity", [parts[place]], list(reader.output), name=reader.name))
    node.CopyFrom(helper.make_node("Split", [node.input[0], sizes.name], parts, name=node.name, axis=_attribute(node, "axis", 0)))

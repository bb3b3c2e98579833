"""The operators that stand in a bundle's segment files, without their weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...targets.dtypes import DTYPE, packed_bytes
from ..errors import BundleError, first_line
from .graph import Operator
from .manifest import Manifest
from .plan_records import SegmentRecord

if TYPE_CHECKING:
    import onnx


def segment_operators(folder: Path, manifest: Manifest) -> tuple[dict[int, tuple[Operator, ...]], dict[str, int | None]]:
    """The operators of every segment by its index, and the bytes of their tensors. Raises BundleError for a file that cannot be read."""
    models = {segment.index: read_segment(folder / segment.file) for segment in manifest.segments}
    sizes = {name: size for model in models.values() for name, size in _sizes(model)}
    return {s.index: tuple(_operator(node, s) for node in models[s.index].node) for s in manifest.segments}, sizes


def read_segment(file: Path) -> onnx.GraphProto:
    """The graph of a segment's file; its weights stay where they are. Raises BundleError for a file that cannot be read."""
    return read_model(file).graph


def read_model(file: Path) -> onnx.ModelProto:
    """The whole model, as `read_segment`."""
    import onnx

    try:
        return onnx.load_model(str(file), load_external_data=False)
    except Exception as problem:  # protobuf's own error types differ between its back ends
        message = f"cannot read a segment's model: {first_line(problem)}"
        raise BundleError(message, where=str(file), help="compile the model again") from None


def _operator(node: onnx.NodeProto, segment: SegmentRecord) -> Operator:
    name = node.name or node.output[0]
    kernel = next((number for number, group in enumerate(segment.kernels) if name in group), None)
    writes = tuple(name for name in node.output if name)
    facts = {"kernel": kernel, "seconds": None}
    return Operator(name=name, kind=node.op_type, domain=node.domain, reads=tuple(reads_of(node)), writes=writes, facts=facts)


def reads_of(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node reads, its bodies included; what a body makes itself is not a tensor of the graph around it."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            own = {value.name for value in (*body.input, *body.initializer)} | {name for inner in body.node for name in inner.output}
            inside = [name for inner in body.node for name in reads_of(inner)]
            yield from (name for name in (*inside, *(value.name for value in body.output)) if name not in own)


def _sizes(graph: onnx.GraphProto) -> Iterator[tuple[str, int | None]]:
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        dims = tuple(dim.dim_value for dim in tensor.shape.dim if dim.HasField("dim_value"))
        known = tensor.HasField("shape") and len(dims) == len(tensor.shape.dim)
        yield value.name, packed_bytes(DTYPE.get(tensor.elem_type, ""), dims) if known else None

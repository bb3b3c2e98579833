"""Operators and tensors of a bundle's segment files, with the shapes that stand there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....targets.dtypes import DTYPE, packed_bytes
from ...bundle.manifest import Manifest
from ...bundle.segment_operators import read_segment, reads_of

if TYPE_CHECKING:
    import onnx


def operators_of(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """{"tensors": [[name, dtype, shape]], "operators": [[segment, kernel, kind, domain, name, reads, writes, weights]]}.

    Reads and writes are indices of tensors; an extent is a number, a name, or None; dtype "" and shape None where the file has none; a
    kernel is an index into the segment's kernels or None; weights: bytes of the constants it reads, as they are stored. Constants are no
    tensors here: they are read but listed only with a shape that the file has. Raises BundleError for a file that cannot be read.
    """
    rows = _Rows()
    for segment in manifest.segments:
        graph = read_segment(folder / segment.file)
        kernels = {name: number for number, group in enumerate(segment.kernels) for name in group}
        rows.add(graph, segment.index, kernels)
    return {"tensors": rows.tensors, "operators": rows.operators}


class _Rows:
    """Tensors are numbered as they are met; one of several segments has one number."""

    def __init__(self) -> None:
        self.tensors: list[list[Any]] = []
        self.operators: list[list[Any]] = []
        self._index: dict[str, int] = {}

    def add(self, graph: onnx.GraphProto, segment: int, kernels: dict[str, int]) -> None:
        known, stored = _types(graph), _stored(graph)
        for node in graph.node:
            name = node.name or next((one for one in node.output if one), "")
            read = dict.fromkeys(reads_of(node))
            reads = [self._number(one, known) for one in read]
            writes = [self._number(one, known) for one in node.output if one]
            weights = sum(stored.get(one, 0) for one in read)
            self.operators.append([segment, kernels.get(name), node.op_type, node.domain, name, reads, writes, weights])

    def _number(self, name: str, known: dict[str, tuple[str, Any]]) -> int:
        if name not in self._index:
            self._index[name] = len(self.tensors)
            self.tensors.append([name, *known.get(name, ("", None))])
        return self._index[name]


def _types(graph: onnx.GraphProto) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {one.name: (DTYPE.get(one.data_type, ""), list(one.dims)) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        shape = [_extent(dim) for dim in tensor.shape.dim] if tensor.HasField("shape") else None
        found[value.name] = (DTYPE.get(tensor.elem_type, ""), shape)
    return found


def _stored(graph: onnx.GraphProto) -> dict[str, int]:
    """Bytes of every constant."""
    return {one.name: packed_bytes(DTYPE.get(one.data_type, ""), one.dims) or 0 for one in graph.initializer}


def _extent(dim: Any) -> int | str | None:
    return dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None

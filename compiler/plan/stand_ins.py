"""A segment whose large weights are zeros, as a file: to ask a runtime what it makes of the operators, which does not depend on weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import inlined
from ...targets.dtypes import DTYPE, packed_bytes
from ..load.part_of import GRAPH, INITIALIZER, part_of

if TYPE_CHECKING:
    import onnx

LARGE = 1 << 20
"""Bytes from which on a weight is left out. Smaller ones are kept: shapes, scales, what an optimiser may look at."""
ZEROS = "zeros.bin"


def write_stand_in(model: onnx.ModelProto, weights: Iterable[onnx.TensorProto], folder: Path) -> Path:
    """The file, in `folder`, of a model without weights, and these. Those that are left out are one hole in a file beside it, which takes
    no room and is mapped."""
    made = part_of(model, lambda number: number != GRAPH)
    made.graph.CopyFrom(part_of(model.graph, lambda number: number != INITIALIZER))
    longest = 0
    for tensor in weights:
        size = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
        if size < LARGE:
            made.graph.initializer.append(inlined(tensor))
            continue
        light = made.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        light.data_location = light.EXTERNAL
        for key, value in (("location", ZEROS), ("offset", "0"), ("length", str(size))):
            light.external_data.add(key=key, value=value)
        longest = max(longest, size)
    with (folder / ZEROS).open("wb") as stream:
        stream.truncate(longest)
    place = folder / "segment.onnx"
    place.write_bytes(made.SerializeToString())
    return place

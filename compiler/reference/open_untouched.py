"""The untouched model in onnxruntime: large weights are passed by address, so that nothing larger than the graph is serialised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.mapped.mapped_tensor import array_of, inlined
from ...targets.dtypes import EXOTIC
from ..devices.ort_values import to_ort
from ..load.hide_weights import SMALL
from ..load.part_of import GRAPH, INITIALIZER, part_of
from ..load.tensor_data import packed_bits
from ..load.weights import is_external

if TYPE_CHECKING:
    import onnx
    import onnxruntime

STRING = 8
SILENT = 4
"""Of onnxruntime's log levels: fatal errors only."""
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
PACKED = 1 << 28
"""Bytes of weights up to which onnxruntime may hold them a second time, as its kernels like them."""
IN_MEMORY = "in-memory"
"""Stands for the file of a weight that onnxruntime is given by address."""


@dataclass(frozen=True, slots=True)
class Opened:
    session: onnxruntime.InferenceSession
    weights: tuple[Any, ...]
    """The memory that the session reads: keep it as long as the session."""


def light_copy(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[onnx.TensorProto, ...]]:
    """A copy of the model, and the model's large weights: they are declared in the copy, without their values."""
    copy = part_of(model, lambda number: number != GRAPH)
    copy.graph.CopyFrom(part_of(model.graph, lambda number: number != INITIALIZER))
    large = []
    for tensor in model.graph.initializer:
        by_value = is_external(tensor) or tensor.data_type == STRING or tensor.data_type in EXOTIC
        tensor = inlined(tensor) if by_value else tensor
        if by_value or math.prod(tensor.dims) * packed_bits(tensor) < 8 * SMALL:
            copy.graph.initializer.add().CopyFrom(tensor)
            continue
        large.append(tensor)
        stub = copy.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        stub.data_location = stub.EXTERNAL
        stub.external_data.add(key="location", value=IN_MEMORY)
    return copy, tuple(large)


def open_untouched(copy: onnx.ModelProto, weights: Sequence[onnx.TensorProto], folder: Path | None, *, optimise: bool = False) -> Opened:
    """A session of a light copy and its weights; `folder`: where weights in other files lie. Raises what onnxruntime raises."""
    import onnxruntime

    values = {tensor.name: to_ort(array_of(tensor)) for tensor in weights}
    options = onnxruntime.SessionOptions()  # our own, not those of segments: what is judged must not set how it is judged
    options.log_severity_level = SILENT
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if sum(math.prod(tensor.dims) * packed_bits(tensor) for tensor in copy.graph.initializer) > 8 * PACKED:
        options.add_session_config_entry("session.disable_prepacking", "1")
    if folder is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, str(folder.resolve()))
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    if not optimise:  # named so too, they are read where they lie: else the session copies each (measured, onnxruntime 1.32)
        for name, value in values.items():
            options.add_initializer(name, value)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Opened(session, tuple(values.values()))

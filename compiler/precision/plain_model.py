"""A graph as an ONNX model that any runtime of the standard reads, and its file."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ...passes.graph.graph import Graph
from ...passes.precision.eligible import WIDE
from ...targets.dtypes import BYTES, NARROW_INTEGERS
from ..devices.cpu_session import open_session
from ..errors import UsageError
from ..pipeline.whole_model import graph_model
from ..quantities import size

if TYPE_CHECKING:
    import onnx
    import onnxruntime

LARGEST_MESSAGE = (1 << 31) - (1 << 20)
"""Bytes that a protobuf message may have."""
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def plain_model(graph: Graph, opened: Collection[str] = ()) -> onnx.ModelProto:
    """The graph, declared at the first opset that has all its operators, and quantisers of its dtypes and blocks. opened: constants that
    become inputs."""
    from onnx import helper

    model = graph_model(graph, opened)
    if any(_is_wide(graph, node.op_type, node) for node in model.graph.node):
        entry = next(entry for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        entry.version = max(entry.version, WIDE)
        model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True))
    return model


def _is_wide(graph: Graph, operator: str, node: onnx.NodeProto) -> bool:
    if operator not in QUANTISERS or node.domain:
        return False
    if any(attribute.name == "block_size" and attribute.i for attribute in node.attribute):
        return True
    stored = node.output[0] if operator == "QuantizeLinear" else node.input[0]
    return graph.tensor(stored).dtype in NARROW_INTEGERS - BYTES


def serialised(model: onnx.ModelProto, path: Path) -> bytes:
    """The bytes of its file. Raises UsageError where one file cannot hold them."""
    if model.ByteSize() >= LARGEST_MESSAGE:
        raise UsageError(f"the quantised model has {size(model.ByteSize())}, and {path} can have 2 GiB", help="quantise more of it")
    return bytes(model.SerializeToString(deterministic=True))


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Of onnxruntime on the CPU; raises what that raises."""
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        place = Path(folder) / "model.onnx"
        write_model(model, place)
        return open_session(place, spin=False)


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """One file; weights beside it, as NAME.data, where it would be larger than a file of ONNX can be."""
    import onnx

    if model.ByteSize() < LARGEST_MESSAGE:
        path.write_bytes(model.SerializeToString(deterministic=True))
        return
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)
    onnx.save(copied, path, save_as_external_data=True, location=data.name)

"""One operator on constants: how large its results would be, and what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ....passes.mapped.mapped_tensor import array_of, inlined, whole_size
from ...activity import doing
from ...devices.cpu_session import open_session
from ...devices.interruption import halting, run_options
from ...devices.ort_values import run_session
from ...devices.silence import silenced
from ...errors import UserError
from ..structure import describe_node
from ..tensor_data import packed_bits

if TYPE_CHECKING:
    import onnx

TELLING = 1 << 12
"""Bytes of an operand up to which shape inference is shown its values: a shape, axes, repeats."""
STRING = 8
"""Bytes that one string counts for."""


def result_bytes(model: onnx.ModelProto, node: onnx.NodeProto, operands: Mapping[str, onnx.TensorProto]) -> float:
    """Bytes of all results together, by shape inference on the node alone; infinite where it cannot tell, or one is not a tensor.

    model: whose opsets count. NonZero, Compress and Unique, whose size depends on the values, count for the most it can be.
    """
    from onnx import shape_inference

    most = _most(node, operands)
    if most is not None:
        return most
    telling = [inlined(tensor) for tensor in operands.values() if whole_size(tensor) <= TELLING]
    alone = _alone(model, node, [tensor for tensor in operands.values() if whole_size(tensor) > TELLING], telling)
    try:
        inferred = shape_inference.infer_shapes(alone, check_type=False, strict_mode=False, data_prop=False)
    except Exception:  # shape inference raises what it likes; then nothing is known
        return math.inf
    types = {value.name: value.type for value in (*inferred.graph.value_info, *inferred.graph.output)}
    return sum(_bytes(types.get(name)) for name in node.output if name)


def compute(
    model: onnx.ModelProto, node: onnx.NodeProto, operands: Mapping[str, onnx.TensorProto], wanted: Sequence[str]
) -> list[onnx.TensorProto] | None:
    """The wanted outputs of the node; None where onnxruntime's CPU does not run it, or gives something else than a tensor. Raises
    TimeLimit."""
    import numpy as np
    from onnx import numpy_helper

    options = run_options()
    try:
        with silenced(2), doing(f"folding {describe_node(node)}", halt=halting(options)):
            alone = _alone(model, node, list(operands.values()), ())
            del alone.graph.output[:]
            alone.graph.output.extend(map(_untyped, wanted))
            session = open_session(alone.SerializeToString(), optimise=False, threads=1)
            arrays = run_session(session, list(wanted), {name: array_of(tensor) for name, tensor in operands.items()}, options)
            if not all(isinstance(array, np.ndarray | np.generic) for array in arrays):
                return None
            return [numpy_helper.from_array(np.asarray(array), name) for array, name in zip(arrays, wanted, strict=True)]
    except UserError:
        raise
    except Exception:  # onnxruntime's exceptions share no base class; such an operator stays in the graph
        return None


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Bytes of its elements, as weights are stored."""
    return int(math.prod(tensor.dims)) * (packed_bits(tensor) or STRING * 8) // 8


def _alone(
    model: onnx.ModelProto, node: onnx.NodeProto, inputs: Sequence[onnx.TensorProto], initializers: Sequence[onnx.TensorProto]
) -> onnx.ModelProto:
    """A model of this node."""
    from onnx import helper

    given = [helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in inputs]
    graph = helper.make_graph([node], "constant", given, [_untyped(name) for name in node.output if name], list(initializers))
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _untyped(name: str) -> onnx.ValueInfoProto:
    from onnx import ValueInfoProto

    return ValueInfoProto(name=name)


def _most(node: onnx.NodeProto, operands: Mapping[str, onnx.TensorProto]) -> float | None:
    if node.op_type not in ("NonZero", "Compress", "Unique"):
        return None
    data = operands[node.input[0]]
    indices = 8 * int(math.prod(data.dims))
    sizes = {"NonZero": indices * len(data.dims), "Compress": tensor_bytes(data), "Unique": tensor_bytes(data) + 3 * indices}
    return sizes[str(node.op_type)]


def _bytes(kind: onnx.TypeProto | None) -> float:
    from onnx import TensorProto

    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.elem_type or not kind.tensor_type.HasField("shape"):
        return math.inf
    dims = kind.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return math.inf
    return tensor_bytes(TensorProto(data_type=kind.tensor_type.elem_type, dims=[dim.dim_value for dim in dims]))

"""Twelve fp16 models, as an export of `model.half()` is: weights, activations, graph inputs and outputs in fp16; and their fp32 twins.

- `HALF_NAMES`: their names. `half_model(name)`, `twin(name)`: the fp16 model and the fp32 one it was made of, the same on every call;
  of `half_nets.WIDE`, too.
- `half_shapes(name)`: sizes of dynamic dims, for `compile_model(shapes=)`.
- `as_half(model, keep_io=False)`: any fp32 model in fp16. keep_io: graph inputs and outputs stay fp32, behind Casts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from half_nets import NETS, WIDE
from onnx import TensorProto, helper, numpy_helper

FILES: Mapping[str, Mapping[str, int | tuple[int, ...]]] = {"bert_tiny": {"batch": 1, "seq": 32}, "lightnet": {"batch": 1}}
"""Of tests/models."""
HALF_NAMES = (*FILES, *NETS)
SINGLE, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
STAY = {"Resize": (1, 2)}
"""Operands that the standard wants in fp32."""
LARGEST = 65504.0


def half_model(name: str) -> onnx.ModelProto:
    return as_half(twin(name))


def twin(name: str) -> onnx.ModelProto:
    made = {**NETS, **WIDE}
    return made[name]() if name in made else onnx.load_model(Path(__file__).parent / "models" / f"{name}.onnx")


def half_shapes(name: str) -> Mapping[str, int | tuple[int, ...]]:
    return FILES.get(name, {})


def as_half(model: onnx.ModelProto, keep_io: bool = False) -> onnx.ModelProto:
    """Numbers beyond fp16 become its largest: `torch.finfo(dtype).min` of a mask is -65504 in a half model. Bodies of If and Loop are
    left as they are."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    stay = {node.input[k] for node in graph.node for k in STAY.get(node.op_type, ()) if k < len(node.input)}
    for tensor in graph.initializer:
        if tensor.name not in stay:
            _halve(tensor)
    for node in graph.node:
        _halve_node(node, bool(stay & set(node.output)))
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == SINGLE:
            value.type.tensor_type.elem_type = HALF
    del graph.value_info[:]
    if keep_io:
        _with_single_borders(graph)
    inferred = onnx.shape_inference.infer_shapes(result, check_type=True, strict_mode=True)
    onnx.checker.check_model(inferred)
    return inferred


def _halve(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == SINGLE:
        numbers = np.clip(numpy_helper.to_array(tensor), -LARGEST, LARGEST).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))


def _halve_node(node: onnx.NodeProto, stays: bool) -> None:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and not stays:
            _halve(attribute.t)
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == SINGLE:
            attribute.i = HALF
        elif node.op_type == "Constant" and attribute.name == "value_float":
            attribute.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(np.float16(attribute.f))))


def _with_single_borders(graph: onnx.GraphProto) -> None:
    first, last = [], []
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type != HALF:
            continue
        inner = f"{value.name}_half"
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [inner if name == value.name else name for name in names]
        value.type.tensor_type.elem_type = SINGLE
        if any(value is one for one in graph.input):
            first.append(helper.make_node("Cast", [value.name], [inner], to=HALF))
        else:
            last.append(helper.make_node("Cast", [inner], [value.name], to=SINGLE))
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)

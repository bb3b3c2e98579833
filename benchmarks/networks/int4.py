"""Weights in four bits: MatMulNBits (onnxruntime's) or DequantizeLinear on int4 tensors (opset 21), blocks of 32 along the inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

BLOCK = 32
GEMM: Mapping[str, float] = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}
SMALLEST = 1 << 14
"""Elements of a weight that is worth packing."""


def in_blocks(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[inputs, outputs] to (integers -8..7 [blocks, BLOCK, outputs], scales [blocks, outputs])."""
    blocks = weight.reshape(-1, BLOCK, weight.shape[1])
    scales = np.maximum(np.abs(blocks).max(axis=1), 1e-8) / 7
    return np.clip(np.rint(blocks / scales[:, None]), -8, 7).astype(np.int8), scales.astype(np.float32)


def matmul_nbits(source: onnx.ModelProto) -> onnx.ModelProto:
    """Every MatMul with a constant [K, N], K a multiple of BLOCK, as com.microsoft.MatMulNBits; a Gemm like it also as an Add."""
    model = _copy(source)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        weight = _packable(weights.get(node.input[1])) if _plain_product(node) else None
        nodes += [node] if weight is None else _packed(model, weights, node, weight)
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return _without_unread(model)


def _plain_product(node: onnx.NodeProto) -> bool:
    """A MatMul, or a Gemm with a bias that turns and scales nothing."""
    if node.op_type == "Gemm":
        given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        return len(node.input) == 3 and all(given.get(name, plain) == plain for name, plain in GEMM.items())
    return node.op_type == "MatMul"


def _packed(model: onnx.ModelProto, weights: dict[str, onnx.TensorProto], node: onnx.NodeProto, weight: np.ndarray) -> list[onnx.NodeProto]:
    whole, scales = in_blocks(weight)
    stored = (whole + 8).astype(np.uint8).transpose(2, 0, 1)  # [N, blocks, BLOCK], eight in place of zero
    packed = stored[..., 0::2] | stored[..., 1::2] << 4
    names = [f"{node.input[1]}_q4", f"{node.input[1]}_scale"]
    _add(model, weights, numpy_helper.from_array(packed, names[0]))
    _add(model, weights, numpy_helper.from_array(np.ascontiguousarray(scales.T).reshape(-1), names[1]))
    product = node.output[0] if node.op_type == "MatMul" else f"{node.output[0]}_product"
    made = [helper.make_node("MatMulNBits", [node.input[0], *names], [product], f"{node.name}_q4", domain="com.microsoft",
                             K=weight.shape[0], N=weight.shape[1], bits=4, block_size=BLOCK)]  # fmt: skip
    return (
        made if node.op_type == "MatMul" else [*made, helper.make_node("Add", [product, node.input[2]], node.output, f"{node.name}_bias")]
    )


def dequantized(source: onnx.ModelProto) -> onnx.ModelProto:
    """Weights of MatMul and plain Gemm in blocks, of Conv with a scale per output channel, each read through a DequantizeLinear."""
    model = version_converter.convert_version(_copy(source), 21)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if (node.op_type == "Conv" or _plain_product(node)) and (made := _dequantizer(model, weights, node)) is not None:
            nodes.append(made)
            node.input[1] = made.output[0]
        nodes.append(node)
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    return _without_unread(model)


def _dequantizer(model: onnx.ModelProto, weights: dict[str, onnx.TensorProto], node: onnx.NodeProto) -> onnx.NodeProto | None:
    name, tensor = node.input[1], weights.get(node.input[1])
    if tensor is None or int(np.prod(tensor.dims)) < SMALLEST:
        return None
    if node.op_type == "Conv":
        value = numpy_helper.to_array(tensor)
        scales = (np.maximum(np.abs(value).reshape(len(value), -1).max(axis=1), 1e-8) / 7).astype(np.float32)
        whole, how = np.clip(np.rint(value / scales.reshape(-1, *[1] * (value.ndim - 1))), -8, 7), {"axis": 0}
    elif (weight := _packable(tensor)) is not None:
        blocks, scales = in_blocks(weight)
        whole, how = blocks.reshape(weight.shape), {"axis": 0, "block_size": BLOCK}
    else:
        return None
    if f"{name}_q4" not in weights:
        _add(model, weights, helper.make_tensor(f"{name}_q4", TensorProto.INT4, tensor.dims, whole.astype(np.int8).reshape(-1)))
        _add(model, weights, numpy_helper.from_array(scales, f"{name}_scale"))
    made = helper.make_node("DequantizeLinear", [f"{name}_q4", f"{name}_scale"], [f"{node.name}_{name}"], f"{node.name}_dequantize", **how)
    return made


def _packable(tensor: onnx.TensorProto | None) -> np.ndarray | None:
    if tensor is None or len(tensor.dims) != 2 or tensor.dims[0] % BLOCK or int(np.prod(tensor.dims)) < SMALLEST:
        return None
    return numpy_helper.to_array(tensor)


def _add(model: onnx.ModelProto, weights: dict[str, onnx.TensorProto], tensor: onnx.TensorProto) -> None:
    if tensor.name not in weights:
        model.graph.initializer.append(tensor)
        weights[tensor.name] = tensor


def _copy(source: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(source)
    return model


def _without_unread(model: onnx.ModelProto) -> onnx.ModelProto:
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    model.graph.ClearField("initializer")
    model.graph.initializer.extend(kept)
    return model

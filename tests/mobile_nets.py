"""Networks in the manner of MobileNet, of several sizes, quantised with inputs and outputs in 8 bits, as microcontrollers are fed."""

from __future__ import annotations

from pathlib import Path

import onnx
import quantised_models
from half_nets import Net
from onnx import TensorProto, helper


def mobile(size: int, width: int, blocks: int = 4, classes: int = 10) -> onnx.ModelProto:
    """In fp32: a convolution of stride 2, depthwise and pointwise ones whose channels double with each stride, a pool, a classifier."""
    net, c = Net(size + width), width
    x = net.op("Relu", net.conv("x", 3, c, 3, stride=2))
    for k in range(blocks):
        wide = 2 * c if k % 2 == 0 else c
        x = net.op("Relu", net.conv(x, c, c, 3, stride=2 if k % 2 else 1, group=c))
        x, c = net.op("Relu", net.conv(x, c, wide, 1)), wide
    pooled = net.op("Flatten", net.op("GlobalAveragePool", x))
    return net.model({"x": (1, 3, size, size)}, y=net.gemm(pooled, c, classes))


def in_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A QDQ model without the QuantizeLinear behind its input and the DequantizeLinear before its output."""
    (first,) = (node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == model.graph.input[0].name)
    last = next(node for node in model.graph.node if node.output[0] == model.graph.output[0].name)
    assert last.op_type == "DequantizeLinear"
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.input[:], made.graph.output[:], made.graph.node[:], made.graph.value_info[:]
    made.graph.node.extend(node for node in model.graph.node if node not in (first, last))
    made.graph.input.append(helper.make_tensor_value_info(first.output[0], TensorProto.INT8, shape))
    made.graph.output.append(helper.make_tensor_value_info(last.input[0], TensorProto.INT8, None))
    return onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True)


def quantised_mobile(folder: Path, size: int, width: int, blocks: int = 4) -> Path:
    path = quantised_models.quantised_as("signed", mobile(size, width, blocks), folder)
    onnx.save(in_bytes(onnx.load(path)), folder / "bytes.onnx")
    return folder / "bytes.onnx"

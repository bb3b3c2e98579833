"""Operators that onnxruntime's CPU computes otherwise than the ONNX standard says, even without optimisations: refused by name.

Found with the standard's own cases and onnx's reference implementation (onnxruntime 1.32, onnx 1.23.2); tests/compiler/load/
test_runtime_faults.py holds every entry against both, so that one that a later onnxruntime gets right is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...passes.mapped.mapped_tensor import array_of
from ..errors import ModelError
from .structure import all_graphs, describe_node

if TYPE_CHECKING:
    import onnx

BOOL = 9
WHOLE = 1e-4
"""What a scale may be off, in elements of the result: exporters write 7/3 in fp32."""


@dataclass(frozen=True, slots=True)
class _Node:
    """An operator, with what is known of its operands."""

    node: onnx.NodeProto
    sizes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, onnx.TensorProto]
    kinds: Mapping[str, int]
    """Of an element, as ONNX numbers them."""

    def attribute(self, name: str, default: Any) -> Any:
        from onnx import helper

        return next((helper.get_attribute_value(one) for one in self.node.attribute if one.name == name), default)

    def has(self, index: int, names: str = "input") -> bool:
        listed = getattr(self.node, names)
        return len(listed) > index and listed[index] != ""

    def constant(self, index: int) -> list[float] | None:
        """The operand's numbers; None where it is left out, or not known."""
        tensor = self.constants.get(self.node.input[index]) if self.has(index) else None
        return None if tensor is None else [float(value) for value in array_of(tensor).reshape(-1)]

    def size(self, index: int) -> tuple[int, ...] | None:
        return self.sizes.get(self.node.input[index])


def check_runtime_faults(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for the first operator that the runtime computes wrong. The model has inferred types."""
    sizes, constants, kinds = _known(model.graph)
    for graph in all_graphs(model.graph):
        for node in graph.node:
            fault = FAULTS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            found = fault(_Node(node, sizes, constants, kinds)) if fault is not None else None
            if found is not None:
                what, help = found
                raise ModelError(f"onnxruntime's CPU computes {describe_node(node)} wrong: {what}", where=where, help=help)


def _known(graph: onnx.GraphProto) -> tuple[dict[str, tuple[int, ...]], dict[str, onnx.TensorProto], dict[str, int]]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kinds = {name: tensor.data_type for name, tensor in constants.items()}
    sizes = {name: tuple(tensor.dims) for name, tensor in constants.items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kinds[value.name] = value.type.tensor_type.elem_type
        shape = value.type.tensor_type.shape
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in shape.dim):
            sizes[value.name] = tuple(dim.dim_value for dim in shape.dim)
    return sizes, constants, kinds


Fault = Callable[[_Node], tuple[str, str] | None]
"""What is wrong and what to do about it, half a sentence each; None where it is right, or cannot be told."""


def _resize(node: _Node) -> tuple[str, str] | None:
    scales, size = node.constant(2), node.size(0)
    if node.attribute("coordinate_transformation_mode", b"") != b"align_corners" or not scales or size is None:
        return None
    axes = node.attribute("axes", list(range(len(size))))
    for axis, scale in zip(axes, scales, strict=False):
        length = size[axis] * scale
        if abs(length - round(length)) > WHOLE:
            taken = math.floor(length)
            what = f"align_corners with the scale {scale:g} on {size[axis]} elements; it takes {taken} for {length:g}, which ONNX keeps"
            return what, "export with sizes in place of scales (in torch size=, not scale_factor=), or with a scale that gives a whole size"
    return None


def _max_unpool(node: _Node) -> tuple[str, str] | None:
    if not node.has(2):
        return None
    size, wanted = node.size(0), node.constant(2)
    kernel = node.attribute("kernel_shape", [])
    if size is not None and wanted is not None:
        axes = len(kernel)
        strides, pads = node.attribute("strides", [1] * axes), node.attribute("pads", [0] * 2 * axes)
        plain = [(size[2 + k] - 1) * strides[k] - pads[k] - pads[axes + k] + kernel[k] for k in range(axes)]
        if list(map(int, wanted[2:])) == plain:
            return None
    what = "with output_shape it takes the indices for those of the larger output; in ONNX they are of the output without it"
    return what, "leave output_shape out, and pad behind it"


def _attention(node: _Node) -> tuple[str, str] | None:
    masked = bool(node.attribute("is_causal", 0)) or (
        node.has(3) and node.kinds.get(node.node.input[3]) == BOOL
    )  # floats say it themselves
    if not node.has(3, "output") or node.attribute("qk_matmul_output_mode", 0) != 2 or not masked:
        return None
    what = "the scores that it returns (qk_matmul_output_mode 2) hold the lowest number of the dtype where a mask closes, not -inf"
    return what, "leave that output out, or take another mode"


FAULTS: Mapping[str, Fault] = {"Attention": _attention, "MaxUnpool": _max_unpool, "Resize": _resize}

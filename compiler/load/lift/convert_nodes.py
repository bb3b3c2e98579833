"""Operators that a newer opset gave another meaning, written as of opset 18: what onnx.version_converter (1.23) leaves out or gets wrong.

Softmax, LogSoftmax, Hardmax before 13   over all axes from `axis` on: Flatten, along the last axis, Reshape
Upsample, Resize before 11               pixel k of the result lies at k / scale (asymmetric); nearest rounds up where it shrinks, else down
Dropout before 12                        does nothing, and its mask is 0, of the input's dtype before 10 and a bool from then on
Clip before 11                           bounds of the input's own dtype
BatchNormalization before 9              spatial = 0: parameters for every element of a sample
GroupNormalization before 21             one scale and bias per group, not per channel
Add and its like before 7                `axis`: where the second operand's axes lie
PRelu before 7                           one slope per channel

The values are those of onnxruntime, which keeps the old kernels (for opsets below 7, which it does not have: of ONNX's text).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

UNKNOWN = -1
BROADCAST = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")


@dataclass(frozen=True, slots=True)
class OldNode:
    """A node, the opset that it was written for, and what is known of its operands."""

    node: onnx.NodeProto
    opset: int
    dtype: int
    """Of the first operand; 0 where unknown."""
    ranks: tuple[int, ...]
    """Of every operand, UNKNOWN where it is."""
    scales: tuple[float, ...]
    """Of Upsample and Resize where they are constant; else empty."""

    def attribute(self, name: str, default: Any = None) -> Any:
        from onnx import helper

        return next((helper.get_attribute_value(a) for a in self.node.attribute if a.name == name), default)


class Writer:
    """Collects the nodes that stand for an old one; the last writes what that wrote."""

    def __init__(self, old: OldNode, fresh: Callable[[str], str]) -> None:
        self.old, self.fresh, self.nodes = old, fresh, list[Any]()

    def op(self, operator: str, inputs: Iterable[str], output: str = "", **attributes: Any) -> str:
        """Writes to a new tensor where no output is given; the tensor's name."""
        from onnx import helper

        first = next(iter(self.old.node.output), "")
        name = output or self.fresh(f"{first}_{operator.lower()}")
        label = self.old.node.name if name == first else name
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=label, **attributes))
        return name

    def constant(self, values: Any, dtype: int) -> str:
        """A constant of that dtype (a number of TensorProto.DataType): a scalar for a number, else of one axis."""
        from onnx import helper

        listed = isinstance(values, list | tuple)
        value = helper.make_tensor("", dtype, [len(values)] if listed else [], values if listed else [values])
        return self.op("Constant", (), value=value)

    def number(self, value: float) -> str:
        """A number of the first operand's dtype."""
        from onnx import TensorProto

        if self.old.dtype:
            return self.constant(value, self.old.dtype)
        return self.op("CastLike", (self.constant(value, TensorProto.FLOAT), self.old.node.input[0]))


def softmax(w: Writer) -> None:
    """Softmax(x) = Reshape(Softmax(Flatten(x)))."""
    node, rank = w.old.node, w.old.ranks[0]
    axis = w.old.attribute("axis", 1)
    if rank != UNKNOWN and axis in (-1, rank - 1):
        w.op(node.op_type, node.input, node.output[0], axis=-1)
        return
    shape = w.op("Shape", node.input)
    flat = w.op("Flatten", node.input, axis=axis)
    w.op("Reshape", (w.op(node.op_type, (flat,), axis=-1), shape), node.output[0])


def resize(w: Writer) -> None:
    """Linear: one Resize. Nearest: one that shrinks and rounds up, one that enlarges and rounds down, where there is something to do."""
    from onnx import TensorProto

    node = w.old.node
    mode = w.old.attribute("mode", b"nearest").decode()
    scales = w.constant(w.old.scales, TensorProto.FLOAT) if w.old.scales else node.input[1]
    how = {"coordinate_transformation_mode": "asymmetric", "mode": mode}
    if mode != "nearest":
        w.op("Resize", (node.input[0], "", scales), node.output[0], **how)
        return
    shrinks, grows = (not w.old.scales or any(map(test, w.old.scales)) for test in ((1.0).__gt__, (1.0).__lt__))
    if not (shrinks and grows):
        w.op("Resize", (node.input[0], "", scales), node.output[0], nearest_mode="ceil" if shrinks else "floor", **how)
        return
    one = w.constant(1.0, TensorProto.FLOAT)
    smaller = w.op("Resize", (node.input[0], "", w.op("Min", (scales, one))), nearest_mode="ceil", **how)
    w.op("Resize", (smaller, "", w.op("Max", (scales, one))), node.output[0], nearest_mode="floor", **how)


def dropout(w: Writer) -> None:
    from onnx import TensorProto, helper

    node = w.old.node
    w.op("Identity", node.input[:1], node.output[0])
    shape = w.op("Shape", node.input[:1])
    dtype = TensorProto.BOOL if w.old.opset >= 10 else w.old.dtype or TensorProto.FLOAT
    zeros = {"value": helper.make_tensor("", dtype, [1], [0])}
    if w.old.opset >= 10 or w.old.dtype:
        w.op("ConstantOfShape", (shape,), node.output[1], **zeros)
    else:
        w.op("CastLike", (w.op("ConstantOfShape", (shape,), **zeros), node.input[0]), node.output[1])


def clip(w: Writer) -> None:
    node = w.old.node
    bounds = [w.old.attribute(name) for name in ("min", "max")]
    names = ["" if bound is None else w.number(bound) for bound in bounds]
    w.op("Clip", (node.input[0], *names), node.output[0])


def batch_normalization(w: Writer) -> None:
    """(x - mean) / √(var + ε) · scale + bias, each parameter of the shape of one sample."""
    x, scale, bias, mean, var = w.old.node.input
    spread = w.op("Sqrt", (w.op("Add", (var, w.number(w.old.attribute("epsilon", 1e-5)))),))
    scaled = w.op("Mul", (w.op("Div", (w.op("Sub", (x, mean)), spread)), scale))
    w.op("Add", (scaled, bias), w.old.node.output[0])


def group_normalization(w: Writer) -> None:
    """InstanceNormalization over the groups as channels: Reshape to [N, groups, -1], and back."""
    from onnx import TensorProto

    x, scale, bias = w.old.node.input
    grouped = w.op("Reshape", (x, w.constant([0, w.old.attribute("num_groups"), -1], TensorProto.INT64)))
    normal = w.op("InstanceNormalization", (grouped, scale, bias), epsilon=w.old.attribute("epsilon", 1e-5))
    w.op("Reshape", (normal, w.op("Shape", (x,))), w.old.node.output[0])


def broadcast(w: Writer) -> None:
    """The second operand's axes begin at `axis` of the first."""
    node, (rank, own, *_) = w.old.node, w.old.ranks
    axis = w.old.attribute("axis") % rank
    w.op(node.op_type, (node.input[0], _with_trailing(w, node.input[1], own, rank - axis - own)), node.output[0])


def prelu(w: Writer) -> None:
    node, rank = w.old.node, w.old.ranks[0]
    w.op("PRelu", (node.input[0], _with_trailing(w, node.input[1], 1, rank - 2)), node.output[0])


def _with_trailing(w: Writer, tensor: str, rank: int, extra: int) -> str:
    """The tensor with so many axes of extent 1 more behind its own."""
    from onnx import TensorProto

    axes = range(rank, rank + extra)
    return w.op("Unsqueeze", (tensor, w.constant([*axes], TensorProto.INT64))) if axes else tensor


def _has(node: onnx.NodeProto, *names: str) -> bool:
    return any(attribute.name in names for attribute in node.attribute)


@dataclass(frozen=True, slots=True)
class Conversion:
    operators: tuple[str, ...]
    first: int
    """Opsets from here..."""
    changed: int
    """... to before here are converted."""
    write: Callable[[Writer], None]
    applies: Callable[[OldNode], bool] = lambda old: True


CONVERSIONS: tuple[Conversion, ...] = (
    Conversion(("Softmax", "LogSoftmax", "Hardmax"), 1, 13, softmax),
    Conversion(("Upsample",), 7, 10, resize),
    Conversion(("Resize",), 10, 11, resize),
    Conversion(("Dropout",), 7, 12, dropout, lambda old: any(old.node.output[1:])),
    Conversion(("Clip",), 6, 11, clip, lambda old: _has(old.node, "min", "max")),
    Conversion(
        ("BatchNormalization",), 7, 9, batch_normalization, lambda old: old.attribute("spatial", 1) == 0 and len(old.node.output) == 1
    ),
    Conversion(("GroupNormalization",), 18, 21, group_normalization, lambda old: _has(old.node, "num_groups")),
    Conversion(BROADCAST, 1, 7, broadcast, lambda old: _has(old.node, "axis") and UNKNOWN not in old.ranks[:2]),
    Conversion(("PRelu",), 1, 7, prelu, lambda old: UNKNOWN not in old.ranks and old.ranks[1] == 1 and old.ranks[0] > 2),
)


def conversion(old: OldNode) -> Conversion | None:
    """How the node is written as of opset 18; None where onnx.version_converter may do it."""
    fitting = (c for c in CONVERSIONS if old.node.op_type in c.operators and c.first <= old.opset < c.changed)
    return next((c for c in fitting if c.applies(old)), None)

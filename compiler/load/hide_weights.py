"""Take large weights out of a model while tools that copy the whole model work on its graph, and put them back after.

Lifting, simplifying and shape inference each parse and serialise the model several times; none needs the values of a large
weight. It stands as a graph input meanwhile, so that cost follows the graph, not the weights, and a model of more than 2 GiB fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import is_mapped
from .structure import bodies

if TYPE_CHECKING:
    import onnx

SMALL = 4096
"""Bytes below which hiding a weight saves nothing, and a tool may want to look at it (a shape, axes, scales)."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """The weights taken out of a model."""

    weights: tuple[onnx.TensorProto, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(weight.name for weight in self.weights)


def hide_weights(model: onnx.ModelProto) -> Hidden:
    """Replaces, in place, each large initializer by a graph input of its type."""
    from onnx import helper

    # parsed tensors stay alive after `del`: only a reference is kept here, never a copy
    tensors = list(model.graph.initializer)
    large = [is_mapped(tensor) or tensor.ByteSize() >= SMALL for tensor in tensors]
    hidden = Hidden(tuple(tensor for tensor, hide in zip(tensors, large, strict=True) if hide))
    if hidden.weights:
        kept = [tensor for tensor, hide in zip(tensors, large, strict=True) if not hide]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
        model.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in hidden.weights)
    return hidden


def restore_weights(model: onnx.ModelProto, hidden: Hidden) -> None:
    """The inverse, in place; a weight that nothing reads any more stays out."""
    names = hidden.names
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    used = {name for name in _all_reads(model.graph)} | {value.name for value in model.graph.output}
    model.graph.initializer.extend(weight for weight in hidden.weights if weight.name in used)


def _all_reads(graph: onnx.GraphProto) -> set[str]:
    names: set[str] = set()
    for node in graph.node:
        names.update(node.input)
        for body in bodies(node):
            names |= _all_reads(body) | {value.name for value in body.output}
    return names

"""The constants of an operator in the integers of its form."""

from __future__ import annotations

import numpy as np

from ...targets.precision import Form
from ..graph.graph import Graph
from ..graph.node import Node
from .block_rounding import TO_NEAREST, BlockRounding
from .operators import channel_axis, inner_axis, operands_of, weight_operands
from .scales import SMALLEST
from .weights import Weight, bias_of, in_rows, least_scale_for, per_channel


def constants_beside(graph: Graph, node: Node, form: Form, input_scale: float, rounding: BlockRounding = TO_NEAREST) -> dict[int, Weight]:
    """Of an operator in integers, by index of its inputs: weights, and its bias in int32 with the scale input x weights. Scales of weights
    leave room for the bias. rounding: how weights in blocks are rounded."""
    operands = operands_of(graph, node)
    bias = None if operands.bias is None else _value(graph, node, operands.bias)
    found: dict[int, Weight] = {}
    for k in operands.weights:
        axis = channel_axis(graph, node, k) if form.per_channel else None
        least = np.full((), SMALLEST) if bias is None else least_scale_for(bias, input_scale)
        inner = inner_axis(graph, node, k) if form.block else None
        if inner is not None:
            words = (_value(graph, node, k), inner, form.block, form.weights)
            found[k] = rounding.weight(node.inputs[0], node.inputs[k], *words, float(least.max()))
        else:
            found[k] = per_channel(_value(graph, node, k), axis, form.weights, least.max() if axis is None else least)
    if bias is not None and operands.bias is not None:
        scale = input_scale * _of_channels(found[operands.weights[0]]).astype(np.float64)
        found[operands.bias] = Weight(bias_of(bias, scale), scale.astype(np.float32), 0 if scale.ndim else None, 0, "int32")
    return found


def _of_channels(weight: Weight) -> np.ndarray:
    """Scales of a bias beside the weights: of blocks the largest of each channel."""
    return weight.scale.max(axis=weight.axis) if weight.block else weight.scale


def weights_alone(graph: Graph, node: Node, form: Form, rounding: BlockRounding = TO_NEAREST) -> dict[int, Weight]:
    """Of an operator in floats whose weights are integers, by index of its inputs. rounding: that of `constants_beside`."""
    found: dict[int, Weight] = {}
    for k in weight_operands(graph, node):
        inner = 1 if node.operator == "Gather" else inner_axis(graph, node, k)
        own = rounding.made(node.inputs[0], node.inputs[k], inner, form)
        if own is not None:
            found[k] = own
        elif form.block and inner is not None:
            words = (_value(graph, node, k), inner, form.block, form.weights)
            found[k] = rounding.weight(node.inputs[0], node.inputs[k], *words, None)
        elif node.operator == "Gather":
            found[k] = in_rows(_value(graph, node, k), form.weights)
        else:
            found[k] = per_channel(_value(graph, node, k), channel_axis(graph, node, k), form.weights)
    return found


def _value(graph: Graph, node: Node, index: int) -> np.ndarray:
    value = graph.value(node.inputs[index])
    assert value is not None, "a constant"
    return value

"""LSTM as Core AI's operators, step by step: it has no recurrent operator, and all lengths are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from .api import CoreValue
from .movement import as_shape, sliced
from .tensor import tensor

MOST_STEPS = 256
"""Longer sequences would be thousands of operators."""


def _lstm(node: OnnxNode) -> Any:
    """One direction after the other; gates in ONNX's order, input, output, forget, cell."""
    _check(node)
    outputs, hidden, cells = [], [], []
    for index, backwards in enumerate(_directions(node)):
        steps, h, c = _run(node, index, backwards)
        outputs.append(as_shape(node, steps, (steps.shape[0], 1, *steps.shape[1:])))
        hidden.append(as_shape(node, h, (1, *h.shape)))
        cells.append(as_shape(node, c, (1, *c.shape)))
    made = [_joined(node, outputs, 1), _joined(node, hidden, 0), _joined(node, cells, 0)]
    return made[: len(node.proto.output)]


def _check(node: OnnxNode) -> None:
    """Raises Refused for what is not converted."""
    if node.has(4) or node.has(7) or node.attribute("clip") is not None or node.attribute("input_forget", 0) or node.attribute("layout", 0):
        raise node.refuse("sequence_lens, peepholes, clip, input_forget and layout are not converted")
    if node.attribute("activations") not in (None, [b"Sigmoid", b"Tanh", b"Tanh"] * len(_directions(node))):
        raise node.refuse("other activations than Sigmoid, Tanh, Tanh are not converted")
    if not 0 < node.shape(0)[0] <= MOST_STEPS:
        raise node.refuse(f"{node.shape(0)[0]} steps are not converted, up to {MOST_STEPS} are")


def _directions(node: OnnxNode) -> list[bool]:
    """Whether each goes backwards."""
    return {"forward": [False], "reverse": [True]}.get(node.attribute("direction", "forward"), [False, True])


def _run(node: OnnxNode, index: int, backwards: bool) -> tuple[CoreValue, CoreValue, CoreValue]:
    """Every step's output in the order of time, and the last state."""
    import numpy

    api, x = node.api, tensor(node, 0)
    steps, batch, size = x.shape[0], x.shape[1], node.shape(2)[-1]
    inner, recurrent = (api.value(numpy.ascontiguousarray(node.constant(k)[index].T)) for k in (1, 2))
    gates = api.broadcasting_batch_matmul(x, inner)
    if node.has(3):
        given = node.constant(3)[index]
        gates = api.broadcasting_add(gates, api.value(given[: 4 * size] + given[4 * size :]))
    h, c = (_state(node, k, index, (batch, size)) for k in (5, 6))
    found: list[CoreValue] = []
    for step in reversed(range(steps)) if backwards else range(steps):
        now = as_shape(node, sliced(node, gates, [range(step, step + 1), range(batch), range(4 * size)]), (batch, 4 * size))
        total = api.broadcasting_add(now, api.broadcasting_batch_matmul(h, recurrent))
        i, o, f, g = (sliced(node, total, [range(batch), range(k * size, (k + 1) * size)]) for k in range(4))
        kept = api.broadcasting_mul(api.sigmoid(f), c)
        c = api.broadcasting_add(kept, api.broadcasting_mul(api.sigmoid(i), api.tanh(g)))
        h = api.broadcasting_mul(api.sigmoid(o), api.tanh(c))
        found.append(as_shape(node, h, (1, batch, size)))
    return _joined(node, found[::-1] if backwards else found, 0), h, c


def _state(node: OnnxNode, operand: int, index: int, shape: tuple[int, int]) -> CoreValue:
    """At the beginning: zeros where it is left out."""
    import numpy

    if not node.has(operand):
        made: CoreValue = node.api.value(numpy.zeros(shape, tensor(node, 0).dtype))
        return made
    given = tensor(node, operand)
    return as_shape(node, sliced(node, given, [range(index, index + 1), *map(range, shape)]), shape)


def _joined(node: OnnxNode, parts: list[CoreValue], axis: int) -> CoreValue:
    made: CoreValue = node.api.concat(axis, parts) if len(parts) > 1 else parts[0]
    return made


RECURRENT: Mapping[str, Converter] = {"LSTM": _lstm}

"""LSTM, GRU and RNN as Core AI's operators, step by step: it has no recurrent operator, and all lengths are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..onnx_node import Converter, OnnxNode
from .api import CoreValue
from .movement import as_shape, sliced
from .tensor import tensor

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

MOST_STEPS = 256
"""Longer sequences would be thousands of operators."""
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
FIRST_STATE = 5
"""Operand of the first state at the beginning."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One direction. `recurrent`: R as [H, gates · H]; `bias`, `more`: the halves of B, of which the first is added to W·x."""

    size: int
    recurrent: Array
    bias: Array
    more: Array


Step = Callable[[OnnxNode, Cell, CoreValue, list[CoreValue]], list[CoreValue]]
"""The states after a step (first what comes out) of its W·x with the first bias, and the states before."""


def _lstm(node: OnnxNode, cell: Cell, now: CoreValue, state: list[CoreValue]) -> list[CoreValue]:
    """Gates in ONNX's order: input, output, forget, cell."""
    (h, c), api = state, node.api
    total = api.broadcasting_add(now, _product(node, h, cell.recurrent, cell.more))
    i, o, f, g = _gates(node, total, cell.size)
    kept = api.broadcasting_mul(api.sigmoid(f), c)
    c = api.broadcasting_add(kept, api.broadcasting_mul(api.sigmoid(i), api.tanh(g)))
    return [api.broadcasting_mul(api.sigmoid(o), api.tanh(c)), c]


def _gru(node: OnnxNode, cell: Cell, now: CoreValue, state: list[CoreValue]) -> list[CoreValue]:
    """Gates in ONNX's order: update, reset, hidden. With linear_before_reset the reset gate scales R·h, without it h."""
    (h,), api, n = state, node.api, cell.size
    xz, xr, xh = _gates(node, now, n)
    hz, hr = _gates(node, _product(node, h, cell.recurrent[:, : 2 * n], cell.more[: 2 * n]), n)
    z, r = api.sigmoid(api.broadcasting_add(xz, hz)), api.sigmoid(api.broadcasting_add(xr, hr))
    weights, bias = cell.recurrent[:, 2 * n :], cell.more[2 * n :]
    if node.attribute("linear_before_reset", 0):
        inside = api.broadcasting_mul(r, _product(node, h, weights, bias))
    else:
        inside = _product(node, api.broadcasting_mul(r, h), weights, bias)
    new = api.tanh(api.broadcasting_add(xh, inside))
    return [api.broadcasting_add(new, api.broadcasting_mul(z, api.broadcasting_sub(h, new)))]


def _rnn(node: OnnxNode, cell: Cell, now: CoreValue, state: list[CoreValue]) -> list[CoreValue]:
    return [node.api.tanh(node.api.broadcasting_add(now, _product(node, state[0], cell.recurrent, cell.more)))]


def recurrent(step: Step, states: int) -> Converter:
    """One direction after the other; the results are all steps, then the last of each state."""

    def convert(node: OnnxNode) -> Any:
        _check(node)
        every: list[list[CoreValue]] = [[] for _ in range(1 + states)]
        for index, backwards in enumerate(_directions(node)):
            steps, last = _run(node, step, states, index, backwards)
            every[0].append(as_shape(node, steps, (steps.shape[0], 1, *steps.shape[1:])))
            for found, state in zip(every[1:], last, strict=True):
                found.append(as_shape(node, state, (1, *state.shape)))
        made = [_joined(node, parts, 1 if k == 0 else 0) for k, parts in enumerate(every)]
        return made[: len(node.proto.output)]

    return convert


def _check(node: OnnxNode) -> None:
    """Raises Refused for what is not converted."""
    if node.has(4) or node.has(7) or node.attribute("clip") is not None or node.attribute("input_forget", 0) or node.attribute("layout", 0):
        raise node.refuse("sequence_lens, peepholes, clip, input_forget and layout are not converted")
    usual = ACTIVATIONS[node.proto.op_type]
    given = [name.decode() if isinstance(name, bytes) else name for name in node.attribute("activations") or []]
    if given not in ([], usual * len(_directions(node))):
        raise node.refuse(f"other activations than {', '.join(usual)} are not converted")
    if not 0 < node.shape(0)[0] <= MOST_STEPS:
        raise node.refuse(f"{node.shape(0)[0]} steps are not converted, up to {MOST_STEPS} are")


def _directions(node: OnnxNode) -> list[bool]:
    """Whether each goes backwards."""
    return {"forward": [False], "reverse": [True]}.get(node.attribute("direction", "forward"), [False, True])


def _run(node: OnnxNode, step: Step, states: int, index: int, backwards: bool) -> tuple[CoreValue, list[CoreValue]]:
    """Every step's output in the order of time, and the last states."""
    import numpy

    x = tensor(node, 0)
    steps, batch, size = x.shape[0], x.shape[1], node.shape(2)[-1]
    weights, rows = (node.constant(k)[index] for k in (1, 2))
    biases = node.constant(3)[index] if node.has(3) else numpy.zeros(2 * len(weights), weights.dtype)
    cell = Cell(size, rows.T, biases[: len(weights)], biases[len(weights) :])
    if node.proto.op_type != "GRU":  # whose second bias is added in another place
        cell = Cell(size, rows.T, cell.bias + cell.more, numpy.zeros_like(cell.more))
    gates = _product(node, x, weights.T, cell.bias)
    state = [_state(node, FIRST_STATE + k, index, (batch, size)) for k in range(states)]
    found: list[CoreValue] = []
    for number in reversed(range(steps)) if backwards else range(steps):
        spans = [range(number, number + 1), range(batch), range(len(weights))]
        state = step(node, cell, as_shape(node, sliced(node, gates, spans), (batch, len(weights))), state)
        found.append(as_shape(node, state[0], (1, batch, size)))
    return _joined(node, found[::-1] if backwards else found, 0), state


def _product(node: OnnxNode, x: CoreValue, weights: Array, bias: Array) -> CoreValue:
    """x · weights + bias."""
    import numpy

    made: CoreValue = node.api.broadcasting_batch_matmul(x, node.api.value(numpy.ascontiguousarray(weights)))
    return node.api.broadcasting_add(made, node.api.value(numpy.ascontiguousarray(bias))) if bias.any() else made


def _gates(node: OnnxNode, total: CoreValue, size: int) -> list[CoreValue]:
    batch = total.shape[0]
    return [sliced(node, total, [range(batch), range(start, start + size)]) for start in range(0, total.shape[1], size)]


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


RECURRENT: Mapping[str, Converter] = {"GRU": recurrent(_gru, 1), "LSTM": recurrent(_lstm, 2), "RNN": recurrent(_rnn, 1)}

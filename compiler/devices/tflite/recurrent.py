"""LSTM, GRU and RNN, unrolled: their length is known, so that each step is a few operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from .elementwise import joined
from .node import FLOAT, Converter, TfliteNode
from .order import plain
from .pieces import split
from .products import connected
from .records import Tensor

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]

LONGEST = 256
"""Steps that are unrolled at most: each is ten operators or so."""
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
CODES = {"Sigmoid": "LOGISTIC", "Tanh": "TANH", "Relu": "RELU"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One direction: W [G·H, I], R [G·H, H], and the two halves of B [G·H], as ONNX has them."""

    w: Array
    r: Array
    bias: Array
    more: Array
    size: int
    codes: tuple[str, ...]


Step = Callable[[TfliteNode, Cell, Tensor, list[Tensor]], list[Tensor]]
"""The next state (what comes out first) of a step's share of W·x and the state before."""


def _of_gates(node: TfliteNode, x: Tensor, size: int) -> list[Tensor]:
    return split(node, x, 1, [size] * (x.shape[1] // size))


def _lstm(node: TfliteNode, cell: Cell, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    h, c = state
    i, o, f, g = _of_gates(node, joined(node, "ADD", x, connected(node, h, cell.r.T)), cell.size)
    inner, outer, last = cell.codes
    kept = joined(node, "MUL", node.emit(inner, [f]), c)
    c = joined(node, "ADD", kept, joined(node, "MUL", node.emit(inner, [i]), node.emit(outer, [g])))
    return [joined(node, "MUL", node.emit(inner, [o]), node.emit(last, [c])), c]


def _gru(node: TfliteNode, cell: Cell, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    """With linear_before_reset the reset gate scales R·h, without it h."""
    (h,), n = state, cell.size
    inner, outer = cell.codes
    xz, xr, xh = _of_gates(node, x, n)
    gates = connected(node, h, cell.r[: 2 * n].T, cell.more[: 2 * n])
    hz, hr = _of_gates(node, gates, n)
    z = node.emit(inner, [joined(node, "ADD", xz, hz)])
    r = node.emit(inner, [joined(node, "ADD", xr, hr)])
    weights, bias = cell.r[2 * n :].T, cell.more[2 * n :]
    if node.attribute("linear_before_reset", 0):
        inside = joined(node, "MUL", r, connected(node, h, weights, bias))
    else:
        inside = connected(node, joined(node, "MUL", r, h), weights, bias)
    new = node.emit(outer, [joined(node, "ADD", xh, inside)])
    return [joined(node, "ADD", new, joined(node, "MUL", z, joined(node, "SUB", h, new)))]


def _rnn(node: TfliteNode, cell: Cell, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    return [node.emit(cell.codes[0], [joined(node, "ADD", x, connected(node, state[0], cell.r.T))])]


def recurrent(step: Step, states: int) -> Converter:
    def convert(node: TfliteNode) -> None:
        _check(node)
        length, batch, _ = node.shape(0)
        direction = node.attribute("direction", "forward")
        back = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        made = [_run(node, step, _cell(node, k), _states(node, k, states, batch), turned) for k, turned in enumerate(back)]
        size = made[0][1][0].shape[1]
        stacked = [_stack(node, [node.reshape(out[t], (1, 1, batch, size)) for t in range(length) for out, _ in made], length, len(back))]
        stacked += [_joined_states(node, [state[k] for _, state in made]) for k in range(states)]
        for index, name in enumerate(node.proto.output):
            if name:
                node.write(stacked[index], index, order=plain(stacked[index].rank))

    return convert


def _check(node: TfliteNode) -> None:
    if node.dtype(0) != FLOAT:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    for name in ("clip", "layout", "input_forget"):
        if node.attribute(name, 0):
            raise node.refuse(f"{name} is not converted")
    length = node.shape(0)[0]
    if length > LONGEST:
        raise node.refuse(f"a sequence of {length} steps is not unrolled, only of up to {LONGEST}")
    if node.has(4) and not (node.is_constant(4) and (node.constant(4) == length).all()):
        raise node.refuse("sequences of different lengths are not converted")
    if node.has(7):
        raise node.refuse("peepholes are not converted")


def _cell(node: TfliteNode, direction: int) -> Cell:
    w, r = node.constant(1)[direction], node.constant(2)[direction]
    size = node.attribute("hidden_size", r.shape[1])
    usual = ACTIVATIONS[node.proto.op_type]
    given = node.attribute("activations") or usual * (direction + 1)
    names = [name.decode() if isinstance(name, bytes) else name for name in given]
    names = names[direction * len(usual) : (direction + 1) * len(usual)]
    if not set(names) <= set(CODES):
        raise node.refuse(f"activations {', '.join(names)} are not converted")
    both = node.constant(3)[direction] if node.has(3) else numpy.zeros(2 * w.shape[0], w.dtype)
    half = w.shape[0]
    return Cell(w, r, both[:half], both[half:], size, tuple(CODES[name] for name in names))


def _states(node: TfliteNode, direction: int, states: int, batch: int) -> list[Tensor]:
    """Initial ones, [B, H] each; zeros where none are given."""
    size, found = node.constant(2).shape[2], []
    for index in range(5, 5 + states):
        if not node.has(index):
            found.append(node.numbers(numpy.zeros((batch, size)), FLOAT))
        elif node.is_constant(index):
            found.append(node.numbers(node.constant(index)[direction], FLOAT))
        else:
            whole = node.read(index, plain(3))
            part = whole if whole.shape[0] == 1 else split(node, whole, 0, [1] * whole.shape[0])[direction]
            found.append(node.reshape(part, (batch, size)))
    return found


def _run(node: TfliteNode, step: Step, cell: Cell, state: list[Tensor], back: bool) -> tuple[list[Tensor], list[Tensor]]:
    """What comes out at each time, and the last state. W·x is one product for all steps."""
    length, batch, width = node.shape(0)
    bias = cell.bias if step is _gru else cell.bias + cell.more
    x = connected(node, node.reshape(node.read(0, plain(3)), (length * batch, width)), cell.w.T, bias)
    parts = [x] if length == 1 else split(node, x, 0, [batch] * length)
    out: list[Tensor] = list(parts)
    for t in reversed(range(length)) if back else range(length):
        state = step(node, cell, parts[t], state)
        out[t] = state[0]
    return out, state


def _stack(node: TfliteNode, parts: Sequence[Tensor], length: int, directions: int) -> Tensor:
    """[T, D, B, H] of the pieces in that order."""
    if len(parts) == 1:
        return parts[0]
    batch, size = parts[0].shape[2:]
    whole = node.emit("CONCATENATION", parts, (length * directions, 1, batch, size), axis=0)
    return node.reshape(whole, (length, directions, batch, size))


def _joined_states(node: TfliteNode, states: Sequence[Tensor]) -> Tensor:
    wide = [node.reshape(state, (1, *state.shape)) for state in states]
    return wide[0] if len(wide) == 1 else node.emit("CONCATENATION", wide, (len(wide), *wide[0].shape[1:]), axis=0)


RECURRENT: Mapping[str, Converter] = {"GRU": recurrent(_gru, 1), "LSTM": recurrent(_lstm, 2), "RNN": recurrent(_rnn, 1)}

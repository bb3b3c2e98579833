"""RNN, GRU and LSTM. X [time, batch, in] (batch first with layout 1), W [directions, gates · H, in], R, B as the standard orders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .activation import sigmoid, softplus
from .call import Call, Kernel, Value

Activation = Callable[[Value], Value]
Step = Callable[[Value, Value, Value], tuple[Value, Value]]
"""(the inputs' part of the gates, h, c) -> (h, c) of the next time."""
_DEFAULTS: Mapping[str, tuple[float, float]] = {
    "LeakyRelu": (0.01, 0.0), "ThresholdedRelu": (1.0, 0.0), "HardSigmoid": (0.2, 0.5), "Elu": (1.0, 0.0), "ScaledTanh": (1.0, 1.0),
    "Affine": (1.0, 0.0),
}  # fmt: skip
_ACTIVATIONS: Mapping[str, Callable[[Value, float, float], Value]] = {
    "Relu": lambda x, a, b: np.maximum(x, 0),
    "Tanh": lambda x, a, b: np.tanh(x),
    "Sigmoid": lambda x, a, b: sigmoid(x),
    "Affine": lambda x, a, b: a * x + b,
    "LeakyRelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "ThresholdedRelu": lambda x, a, b: np.where(x >= a, x, 0.0),
    "ScaledTanh": lambda x, a, b: a * np.tanh(b * x),
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "Elu": lambda x, a, b: np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0))),
    "Softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "Softplus": lambda x, a, b: softplus(x),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One direction: its weights and activations."""

    w: Value
    r: Value
    bias_w: Value
    bias_r: Value
    peepholes: Value
    """[input, output, forget] of an LSTM."""
    activations: tuple[Activation, ...]


def _activations(call: Call, directions: int, default: tuple[str, ...]) -> list[tuple[Activation, ...]]:
    """Of each direction; alpha and beta are given, in order, to those activations that take them."""
    names = call.attributes.get("activations") or list(default) * directions
    known = {name.lower(): name for name in _ACTIVATIONS}
    alphas, betas = list(call.attributes.get("activation_alpha") or ()), list(call.attributes.get("activation_beta") or ())
    clip = call.attributes.get("clip")
    made = []
    for name in (known[name.lower()] for name in names):
        alpha, beta = _DEFAULTS.get(name, (0.0, 0.0))
        if name in _DEFAULTS and alphas:
            alpha = alphas.pop(0)
        if name in ("HardSigmoid", "ScaledTanh", "Affine") and betas:
            beta = betas.pop(0)
        made.append(_clipped(_ACTIVATIONS[name], alpha, beta, clip))
    number = len(default)
    return [tuple(made[i * number : (i + 1) * number]) for i in range(directions)]


def _clipped(function: Callable[[Value, float, float], Value], alpha: float, beta: float, clip: float | None) -> Activation:
    if not clip:
        return lambda x: function(x, alpha, beta)
    return lambda x: function(np.clip(x, -clip, clip), alpha, beta)


def _cells(call: Call, gates: int, default: tuple[str, ...]) -> list[Cell]:
    w, r, bias, peepholes = call.inputs[1], call.inputs[2], call.input(3), call.input(7)
    directions, hidden = r.shape[0], r.shape[2]
    bias = np.zeros((directions, 2 * gates * hidden)) if bias is None else bias
    activations = _activations(call, directions, default)
    return [
        Cell(
            w[d].T,
            r[d].T,
            bias[d, : gates * hidden],
            bias[d, gates * hidden :],
            np.zeros((3, hidden)) if peepholes is None else peepholes[d].reshape(3, hidden),
            activations[d],
        )
        for d in range(directions)
    ]


def _rnn_step(call: Call, cell: Cell) -> Step:
    (f,) = cell.activations

    def step(gates: Value, h: Value, c: Value) -> tuple[Value, Value]:
        return f(gates + h @ cell.r + cell.bias_r), c

    return step


def _gru_step(call: Call, cell: Cell) -> Step:
    """Gates in the order z, r, h."""
    f, g = cell.activations
    n = cell.r.shape[0]
    before = bool(call.attributes.get("linear_before_reset", 0))
    r_zr, r_h, b_zr, b_h = cell.r[:, : 2 * n], cell.r[:, 2 * n :], cell.bias_r[: 2 * n], cell.bias_r[2 * n :]

    def step(gates: Value, h: Value, c: Value) -> tuple[Value, Value]:
        zr = f(gates[:, : 2 * n] + h @ r_zr + b_zr)
        z, r = zr[:, :n], zr[:, n:]
        inner = r * (h @ r_h + b_h) if before else (r * h) @ r_h + b_h
        return (1 - z) * g(gates[:, 2 * n :] + inner) + z * h, c

    return step


def _lstm_step(call: Call, cell: Cell) -> Step:
    """Gates in the order i, o, f, c."""
    f, g, h_function = cell.activations
    n = cell.r.shape[0]
    couple = bool(call.attributes.get("input_forget", 0))
    p_i, p_o, p_f = cell.peepholes

    def step(gates: Value, h: Value, c: Value) -> tuple[Value, Value]:
        whole = gates + h @ cell.r + cell.bias_r
        i, o, forget, new = (whole[:, k * n : (k + 1) * n] for k in range(4))
        i = f(i + p_i * c)
        forget = 1 - i if couple else f(forget + p_f * c)
        c = forget * c + i * g(new)
        return f(o + p_o * c) * h_function(c), c

    return step


def _run(x: Value, cell: Cell, step: Step, state: tuple[Value, Value], lengths: Value, backward: bool) -> tuple[Value, Value, Value]:
    """Y [time, batch, H] of one direction with its last h and c. Beyond its length a sequence's state stays and Y is 0."""
    h, c = state
    y = np.zeros((x.shape[0], *h.shape))
    gates = x @ cell.w + cell.bias_w
    for t in reversed(range(x.shape[0])) if backward else range(x.shape[0]):
        alive = (t < lengths)[:, None]
        new_h, new_c = step(gates[t], h, c)
        h, c = np.where(alive, new_h, h), np.where(alive, new_c, c)
        y[t] = np.where(alive, new_h, 0)
    return y, h, c


def _recurrent(gates: int, default: tuple[str, ...], make: Callable[[Call, Cell], Step]) -> Kernel:
    """Results Y, Y_h, Y_c."""

    def kernel(call: Call) -> tuple[Value, ...]:
        first = bool(call.attributes.get("layout", 0))
        x = call.inputs[0].transpose(1, 0, 2) if first else call.inputs[0]
        cells = _cells(call, gates, default)
        lengths = np.full(x.shape[1], x.shape[0]) if call.input(4) is None else call.input(4)
        states: list[Any] = []
        for index in (5, 6):
            given = call.input(index) if index == 5 or gates == 4 else None
            given = given.transpose(1, 0, 2) if first and given is not None else given
            states.append(np.zeros((len(cells), x.shape[1], cells[0].r.shape[0])) if given is None else given)
        found = []
        for d, cell in enumerate(cells):
            backward = d == 1 or call.attributes.get("direction", "forward") == "reverse"
            found.append(_run(x, cell, make(call, cell), (states[0][d], states[1][d]), lengths, backward))
        y, h, c = (np.stack(part) for part in zip(*found, strict=True))
        if first:
            return y.transpose(2, 1, 0, 3), h.transpose(1, 0, 2), c.transpose(1, 0, 2)
        return y.transpose(1, 0, 2, 3), h, c

    return kernel


KERNELS: Mapping[str, Kernel] = {
    "RNN": _recurrent(1, ("Tanh",), _rnn_step),
    "GRU": _recurrent(3, ("Sigmoid", "Tanh"), _gru_step),
    "LSTM": _recurrent(4, ("Sigmoid", "Tanh", "Tanh"), _lstm_step),
}

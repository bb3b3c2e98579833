"""Mistakes in what a model has learned: weights, biases, norms, tables, scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .edit import Edit, Place, attribute
from .kind import Kind, Site

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
NORMS = ("LayerNormalization", "RMSNormalization", "BatchNormalization", "InstanceNormalization", "GroupNormalization")
Change = Callable[[Any, float], Any]
"""From a constant and a strength to a wrong one; None where there is none."""


def _operands(view: Edit, operators: tuple[str, ...], k: int, least: int = 1) -> Iterator[tuple[Place, str, Any]]:
    """Constants of floating-point numbers of at least `least` dims that these operators read as their k-th operand."""
    for place, node in view.places(*operators):
        array = view.operand(node, k)
        if array is not None and array.dtype.kind == "f" and array.ndim >= least and array.size > 1:
            yield place, node.output[0], array


def _changed(view: Edit, found: Iterator[tuple[Place, str, Any]], k: int, change: Change, strength: float = 0.0) -> Iterator[Site]:
    for place, name, array in found:
        wrong = change(array.copy(), strength)
        if wrong is None or (not strength and np.array_equal(wrong, array)):
            continue

        def make(edit: Edit, s: float, place: Place = place, array: Any = array) -> None:
            edit.give(place, k, np.asarray(change(array.copy(), s), array.dtype))

        yield Site(name, make, strength)


def _weights(change: Change, strength: float = 0.0) -> Callable[[Edit], Iterator[Site]]:
    """Of products; their second operand, and the first of a MatMul."""
    return lambda view: _changed(view, _operands(view, PRODUCTS, 1, 2), 1, change, strength)


def _biases(change: Change, strength: float = 0.0) -> Callable[[Edit], Iterator[Site]]:
    def find(view: Edit) -> Iterator[Site]:
        yield from _changed(view, _operands(view, ("Gemm", "Conv", "ConvTranspose"), 2), 2, change, strength)
        for k in (0, 1):
            yield from _changed(view, (one for one in _operands(view, ("Add",), k) if one[2].size == one[2].shape[-1]), k, change, strength)

    return find


def _norms(k: int, change: Change, *operators: str) -> Callable[[Edit], Iterator[Site]]:
    return lambda view: _changed(view, _operands(view, operators or NORMS, k), k, change)


def _vectors(view: Edit) -> Iterator[Site]:
    """A Mul with a vector is what is left of a norm's gamma."""
    for k in (0, 1):
        found = (one for one in _operands(view, ("Mul",), k) if one[2].size == one[2].shape[-1])
        yield from _changed(view, found, k, lambda a, s: np.ones_like(a))
    yield from _norms(1, lambda a, s: np.ones_like(a))(view)


def _put(array: Any, index: int, change: Callable[[Any], Any]) -> Any:
    array.reshape(-1)[index] = change(array.reshape(-1)[index])
    return array


def _element(array: Any, s: float) -> Any:
    """The largest weight: a small one may matter to nothing."""
    return _put(array, int(np.abs(array).argmax()), lambda value: value * (1 + s))


def _bias_element(array: Any, s: float) -> Any:
    return _put(array, array.size // 2, lambda value: value + s * max(float(np.abs(array).max()), 1e-2))


def _zero_channel(array: Any, s: float) -> Any:
    array[(array.shape[0] // 2,) if array.ndim > 2 else (Ellipsis, array.shape[-1] // 2)] = 0
    return array


def _half_channel(array: Any, s: float) -> Any:
    array[(-1,) if array.ndim > 2 else (Ellipsis, -1)] *= 0.5
    return array


def _swap_channels(array: Any, s: float) -> Any:
    axis = 0 if array.ndim > 2 else -1
    return np.take(array, [1, 0, *range(2, array.shape[axis])], axis) if array.shape[axis] > 1 else None


def _transposed(array: Any, s: float) -> Any:
    return np.swapaxes(array, -1, -2) if array.shape[-1] == array.shape[-2] > 1 else None


def _flipped(array: Any, s: float) -> Any:
    return array[..., ::-1, ::-1] if array.ndim > 3 and array.shape[-1] > 1 else None


def _scaled(array: Any, s: float) -> Any:
    return array * array.dtype.type(1 + s)


def _rounded(array: Any, s: float) -> Any:
    """To eight bits for the whole tensor."""
    step = float(np.abs(array).max()) / 127
    return np.round(array / step) * step if step else None


def _halves(array: Any, s: float) -> Any:
    return array.astype(np.float16).astype(array.dtype) if np.abs(array).max() < 6e4 else None


def _statistics(view: Edit, first: int, second: int) -> Iterator[Site]:
    for place, node in view.places("BatchNormalization"):
        a, b = view.operand(node, first), view.operand(node, second)
        if a is None or b is None or np.array_equal(a, b) or (4 in (first, second) and min(a.min(), b.min()) <= 0):
            continue

        def make(edit: Edit, s: float, place: Place = place, a: Any = a, b: Any = b) -> None:
            edit.give(place, first, b)
            edit.give(place, second, a)

        yield Site(node.output[0], make)


def _tables(change: Change, strength: float = 0.0) -> Callable[[Edit], Iterator[Site]]:
    return lambda view: _changed(view, _operands(view, ("Gather",), 0, 2), 0, change, strength)


def _row(k: int) -> Change:
    def change(array: Any, s: float) -> Any:
        array[k] = array[(k + 1) % len(array)]
        return array

    return change


def _quantised(k: int, *operators: str) -> Callable[[Edit], Iterator[Site]]:
    """Scale (1) or zero point (2) of what is quantised as the model runs."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places(*operators):
            array = view.operand(node, k)
            if array is None:
                continue
            wrong = array * array.dtype.type(1.02) if k == 1 else np.clip(array.astype(np.int64) + 1, *_range(array.dtype))

            def make(edit: Edit, s: float, place: Place = place, wrong: Any = wrong, dtype: Any = array.dtype) -> None:
                edit.give(place, k, wrong.astype(dtype))

            yield Site(node.output[0], make)

    return find


def _range(dtype: Any) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


GATES = {"LSTM": (4, (0, 2, 1, 3)), "GRU": (3, (1, 0, 2))}


def _gates(view: Edit) -> Iterator[Site]:
    for place, node in view.places(*GATES):
        number, order = GATES[node.op_type]
        arrays = {k: view.operand(node, k) for k in (1, 2)}
        if any(array is None for array in arrays.values()):
            continue

        def make(edit: Edit, s: float, place: Place = place, arrays: Any = arrays, number: int = number, order: Any = order) -> None:
            for k, array in arrays.items():
                parts = np.split(array, number, axis=1)
                edit.give(place, k, np.concatenate([parts[i] for i in order], axis=1))

        yield Site(node.output[0], make)


def _exponent(array: Any, s: float) -> Any:
    return array * np.power(np.maximum(np.abs(array), 1e-30), s).astype(array.dtype)


def _frequencies(view: Edit) -> Iterator[Site]:
    """The inverse frequencies of a rotary embedding: a vector of positive numbers behind Cos or Sin."""
    for place, node in view.places("Mul", "MatMul", "Div"):
        for k in (0, 1):
            array = view.operand(node, k)
            if array is None or array.dtype.kind != "f" or array.size < 4 or array.min() <= 0 or not _turns(view, node.output[0], 4):
                continue
            yield from _changed(view, iter([(place, node.output[0], array)]), k, _exponent, 1e-2)


def _turns(view: Edit, name: str, depth: int) -> bool:
    if depth == 0:
        return False
    return any(n.op_type in ("Cos", "Sin") or any(_turns(view, o, depth - 1) for o in n.output) for n in view.readers(name))


def _epsilon(view: Edit) -> Iterator[Site]:
    for place, node in view.places(*NORMS):
        value = attribute(node, "epsilon", 1e-5)
        yield Site(node.output[0], lambda edit, s, place=place, value=value: edit.set(place, "epsilon", value * 100))
    for k in (0, 1):
        for place, node in view.places("Add", "Max"):
            array = view.operand(node, k)
            if array is None or array.size != 1 or array.dtype.kind != "f" or not 0 < float(array.reshape(-1)[0]) <= 1e-3:
                continue
            yield Site(node.output[0], lambda edit, s, place=place, k=k, array=array: edit.give(place, k, array * array.dtype.type(100)))


WEIGHTS = (
    Kind("bias dropped", _biases(lambda a, s: np.zeros_like(a))),
    Kind("bias element changed", _biases(_bias_element, 1e-3)),
    Kind("weight element changed", _weights(_element, 1e-2)),
    Kind("weight column zeroed", _weights(_zero_channel)),
    Kind("weight channel halved", _weights(_half_channel)),
    Kind("weight channels swapped", _weights(_swap_channels)),
    Kind("weight transposed", _weights(_transposed)),
    Kind("kernel flipped", _weights(_flipped)),
    Kind("weights scaled", _weights(_scaled, 1e-4)),
    Kind("weights rounded to 8 bits", _weights(_rounded)),
    Kind("weights rounded to fp16", _weights(_halves)),
    Kind("gamma dropped", _vectors),
    Kind("beta dropped", _norms(2, lambda a, s: np.zeros_like(a))),
    Kind("epsilon times 100", _epsilon),
    Kind("batchnorm mean and bias swapped", lambda view: _statistics(view, 2, 3)),
    Kind("batchnorm scale and variance swapped", lambda view: _statistics(view, 1, 4)),
    Kind("table row 0 replaced", _tables(_row(0))),
    Kind("table last row replaced", _tables(_row(-1))),
    Kind("table shifted by one row", _tables(lambda a, s: np.roll(a, 1, 0))),
    Kind("rotary base", _frequencies),
    Kind("activation scale off by 2 %", _quantised(1, "QuantizeLinear")),
    Kind("dequantisation scale off by 2 %", _quantised(1, "DequantizeLinear")),
    Kind("zero point off by one", _quantised(2, "QuantizeLinear", "DequantizeLinear")),
    Kind("gate order", _gates),
)

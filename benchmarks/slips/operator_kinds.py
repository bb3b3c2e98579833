"""Mistakes in one operator: another attribute, another function, a bound, an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .edit import FLOATS, Chain, Edit, Place, attribute
from .kind import Kind, Site, plain

Find = Callable[[Edit], Iterator[Site]]
Wrong = Callable[[Any], Any]
ACTIVATIONS = (
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Gelu",
    "Tanh",
    "Erf",
    "Elu",
    "Softplus",
    "Swish",
    "Mish",
)
POOLS = ("AveragePool", "MaxPool")
WINDOWS = ("Conv", *POOLS)


def _attribute(operators: tuple[str, ...], name: str, default: Any, wrong: Wrong) -> Find:
    """The attribute with another value; `wrong` gives None where there is none."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places(*operators):
            right = attribute(node, name, default)
            value = None if right is None else wrong(right)
            if value is not None and value != right:
                yield Site(node.output[0], plain(lambda edit, place=place, value=value: edit.set(place, name, value)))

    return find


def _function(operators: tuple[str, ...], build: Callable[[Chain, str, str], object], floats: bool = False) -> Find:
    """Another function of the first operand in place of an operator."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places(*operators):
            if not floats or view.types.get(node.output[0], 1) in FLOATS:
                yield Site(node.output[0], plain(lambda edit, place=place: edit.replace(place, build)))

    return find


def _renamed(operator: str, other: str, dropped: tuple[str, ...] = (), **added: Any) -> Find:
    """An operator of the same operands in place of another."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places(operator):
            yield Site(node.output[0], plain(lambda edit, place=place: make(edit, place)))

    def make(edit: Edit, place: Place) -> None:
        edit.node(place).op_type = other
        for name in dropped:
            edit.set(place, name, None)
        for name, value in added.items():
            edit.set(place, name, value)

    return find


def _both(*finds: Find) -> Find:
    def find(view: Edit) -> Iterator[Site]:
        for one in finds:
            yield from one(view)

    return find


def _tanh_gelu(chain: Chain, u: str, out: str) -> None:
    """erf(u) of the tanh form of GELU: u is x over the root of 2."""
    cube = chain.op("Mul", chain.op("Mul", u, u), chain.const(2 * 0.044715))
    inner = chain.op("Mul", u, chain.op("Add", cube, chain.const(1.0)))
    chain.op("Tanh", chain.op("Mul", inner, chain.const(2 / np.sqrt(np.pi))), out=out)


def _bound(k: int, wrong: Wrong) -> Find:
    """A bound of a Clip: 1 the lower one, 2 the upper one."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places("Clip"):
            name = ("", "min", "max")[k]
            right = attribute(node, name) if view.opset < 11 else view.operand(node, k)
            if right is None or np.asarray(right).dtype.kind != "f" or np.isinf(right):
                continue
            value = wrong(float(np.asarray(right).reshape(-1)[0]))
            if value is None:
                continue
            array = np.asarray(value, np.asarray(right).dtype)

            def make(edit: Edit, s: float, place: Place = place, array: Any = array, name: str = name) -> None:
                edit.set(place, name, float(array)) if edit.opset < 11 else edit.give(place, k, array)

            yield Site(node.output[0], make)

    return find


def _temperature(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Softmax"):

        def make(edit: Edit, s: float, place: Place = place) -> None:
            edit.before(place, 0, lambda c, a, b: c.op("Add", a, c.op("Mul", a, c.const(s)), out=b))

        yield Site(node.output[0], make, 1e-3)


def _softmax_axis(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Softmax", "LogSoftmax"):
        shape = view.shape(node.output[0])
        axis = attribute(node, "axis", -1 if view.opset >= 13 else 1)
        if shape is not None and len(shape) > 1:
            axis %= len(shape)
            other = max((k for k in range(len(shape)) if k != axis), key=lambda k: (shape[k], k))
            yield Site(node.output[0], plain(lambda edit, place=place, other=other: edit.set(place, "axis", other)))


def _shifted_pads(pads: Any) -> Any:
    """One more at the beginning of the first dim that is padded, one less at its end: the shape stays."""
    half = len(pads) // 2
    for k in range(half):
        if pads[k + half] > 0:
            return [*pads[:k], pads[k] + 1, *pads[k + 1 : k + half], pads[k + half] - 1, *pads[k + half + 1 :]]
    for k in range(half):
        if pads[k] > 0:
            return [*pads[:k], pads[k] - 1, *pads[k + 1 : k + half], pads[k + half] + 1, *pads[k + half + 1 :]]
    return None


def _pad_operand(k: int, wrong: Wrong) -> Find:
    """Of a Pad: 1 how much, 2 with what."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places("Pad"):
            right = view.operand(node, k) if k == 1 else np.zeros((), np.float32)
            if right is None or view.opset < 11 or (k == 2 and attribute(node, "mode", "constant") != "constant"):
                continue
            value = wrong([int(x) for x in right.reshape(-1)] if k == 1 else float(right))
            if value is not None:
                array = np.asarray(value, right.dtype)
                yield Site(node.output[0], plain(lambda edit, place=place, array=array: edit.give(place, k, array)))

    return find


def _dilation(view: Edit) -> Iterator[Site]:
    """A dilation of two that is lost; pads shrink so that the shape stays."""
    for place, node in view.places("Conv"):
        d, pads, kernel = attribute(node, "dilations"), attribute(node, "pads"), view.operand(node, 1)
        if not d or max(d) < 2 or not pads or kernel is None:
            continue
        less = [(d[k] - 1) * (kernel.shape[k + 2] - 1) for k in range(len(d))]
        half = len(pads) // 2
        fewer = [pads[k] - less[k] // 2 for k in range(half)] + [pads[k + half] - (less[k] - less[k] // 2) for k in range(half)]
        if min(fewer) >= 0:

            def make(edit: Edit, s: float, place: Place = place, fewer: Any = fewer, n: int = len(d)) -> None:
                edit.set(place, "dilations", [1] * n)
                edit.set(place, "pads", fewer)

            yield Site(node.output[0], make)


def _resize(name: str, wrong: Wrong, default: str) -> Find:
    return _attribute(("Resize",), name, default, wrong)


def _other_axis(view: Edit) -> Iterator[Site]:
    """A concatenation or reduction in the wrong order or over one dim too few is elsewhere; here a sum for a mean."""
    for place, node in view.places("ReduceMean", "ReduceSum"):
        other = "ReduceSum" if node.op_type == "ReduceMean" else "ReduceMean"
        if view.types.get(node.output[0], 1) not in FLOATS or 13 <= view.opset < 18:
            continue
        yield Site(node.output[0], plain(lambda edit, place=place, other=other: setattr(edit.node(place), "op_type", other)))


def _mean_of_sum(view: Edit) -> Iterator[Site]:
    """ReduceMean in opset 13 to 17, whose axes are an attribute there and an operand of ReduceSum."""
    for place, node in view.places("ReduceMean"):
        axes, keep = attribute(node, "axes"), attribute(node, "keepdims", 1)
        if not 13 <= view.opset < 18 or axes is None:
            continue

        def make(edit: Edit, s: float, place: Place = place, axes: Any = axes, keep: int = keep) -> None:
            edit.replace(place, lambda c, a, b: c.op("ReduceSum", a, c.ints(*axes), out=b, keepdims=keep))

        yield Site(node.output[0], make)


def _scalar(view: Edit) -> Iterator[Site]:
    """A factor such as 1/sqrt(d)."""
    for place, node in view.places("Mul", "Div"):
        for k in (0, 1):
            array = view.operand(node, k)
            if array is not None and array.size == 1 and array.dtype.kind == "f":

                def make(edit: Edit, s: float, place: Place = place, k: int = k, array: Any = array) -> None:
                    edit.give(place, k, (array.astype(np.float64) * (1 + s)).astype(array.dtype))

                yield Site(node.output[0], make, 1e-3)


def _less(right: float) -> float | None:
    return right * 0.983 if right else None


OPERATORS = (
    Kind("activation dropped", _function(ACTIVATIONS, lambda c, a, b: c.op("Identity", a, out=b), floats=True)),
    Kind("lower clip bound off by 1.7 %", _bound(1, _less)),
    Kind("upper clip bound off by 1.7 %", _bound(2, _less)),
    Kind(
        "clip bounds 6 for larger ones", _both(_bound(2, lambda b: 6.0 if b > 6 else None), _bound(1, lambda b: -6.0 if b < -6 else None))
    ),
    Kind("Relu6 without its 6", _bound(2, lambda b: 3e38 if b < 6e4 else None)),
    Kind(
        "Tanh form of GELU",
        _both(_function(("Erf",), _tanh_gelu), _attribute(("Gelu",), "approximate", "none", lambda v: "tanh" if v == "none" else "none")),
    ),
    Kind("HardSigmoid for Sigmoid", _renamed("Sigmoid", "HardSigmoid", alpha=1 / 6, beta=0.5)),
    Kind("Sigmoid for HardSigmoid", _renamed("HardSigmoid", "Sigmoid", ("alpha", "beta"))),
    Kind("Swish for HardSwish", _function(("HardSwish",), lambda c, a, b: c.op("Mul", a, c.op("Sigmoid", a), out=b))),
    Kind("alpha of an activation", _attribute(("LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu"), "alpha", 0.01, lambda v: v * 1.1)),
    Kind("softmax axis", _softmax_axis),
    Kind("softmax temperature", _temperature),
    Kind("scalar factor", _scalar),
    Kind("pads off by one", _attribute(WINDOWS, "pads", None, _shifted_pads)),
    Kind("pad off by one", _pad_operand(1, _shifted_pads)),
    Kind("pad value", _pad_operand(2, lambda v: v + 0.5)),
    Kind("dilation lost", _dilation),
    Kind("nearest for linear", _resize("mode", lambda v: {"linear": "nearest", "nearest": "linear", "cubic": "linear"}[v], "nearest")),
    Kind(
        "resize coordinates",
        _resize("coordinate_transformation_mode", lambda v: "asymmetric" if v != "asymmetric" else "half_pixel", "half_pixel"),
    ),
    Kind("nearest rounding", _resize("nearest_mode", lambda v: "ceil" if v != "ceil" else "floor", "round_prefer_floor")),
    Kind(
        "max for average", _both(_renamed("AveragePool", "MaxPool", ("count_include_pad",)), _renamed("GlobalAveragePool", "GlobalMaxPool"))
    ),
    Kind("average for max", _both(_renamed("MaxPool", "AveragePool", ("storage_order",)), _renamed("GlobalMaxPool", "GlobalAveragePool"))),
    Kind("padding counted in an average", _attribute(("AveragePool",), "count_include_pad", 0, lambda v: 1 - v)),
    Kind("sum for mean", _both(_other_axis, _mean_of_sum)),
    Kind(
        "recurrence the other way",
        _attribute(("LSTM", "GRU", "RNN"), "direction", "forward", lambda v: "reverse" if v == "forward" else None),
    ),
    Kind("last of equal maxima", _attribute(("ArgMax", "ArgMin"), "select_last_index", 0, lambda v: 1 - v)),
    Kind("minimum for maximum", _both(_renamed("ArgMax", "ArgMin"), _renamed("Max", "Min"))),
    Kind("alpha of a Gemm", _attribute(("Gemm",), "alpha", 1.0, lambda v: v * 1.001)),
)

"""Of which kind an operator is, besides its size: what a runtime computes by other code, and a rate therefore does not say of it.

A kind is a few words: "2-D", "1-D depthwise", "both ways, rows". Operators that nothing of the like sets apart have the kind "plain".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..operator_view import OperatorView

PLAIN = "plain"
BLOCK = 4
"""Channels that runtimes compute at once, at the least: others take code of their own where each channel stands alone."""
GROUP = 16
"""And of a group."""
THIN = 32
"""Channels of a result that are few for the products that windows on other than planes become."""
SMALL = 8
"""Positions of a window up to which weights are read more often than what they meet."""
SHORT = 32
"""Elements of a row below which what is done once a row is most of the time."""
NARROW = {"fp16": "fp16", "bf16": "bf16", "int8": "int8", "uint8": "int8", "fp64": "fp64"}


def kind_of(view: OperatorView) -> str:
    """Equal for operators of which what was measured of one says something of the other."""
    words = _KINDS.get(view.operator)
    found = [*(words(view) if words else ()), *_narrow(view)]
    return " ".join(found) or PLAIN


def name_of(view: OperatorView) -> str:
    """As the lines of a calibration name it: "Conv", "com.microsoft::FusedMatMul"."""
    return f"{view.domain}::{view.operator}" if view.domain else view.operator


def kind_name(view: OperatorView) -> str:
    """As `of` of a line lists it: "Conv 2-D", "Add"."""
    name, kind = name_of(view), kind_of(view)
    return name if kind == PLAIN else f"{name} {kind}"


def of_kinds(view: OperatorView, kinds: Sequence[str]) -> tuple[str, str] | None:
    """(why, how it is beside those) an operator is of none of these kinds; None if it is of one."""
    name, mine = name_of(view), kind_name(view)
    if mine in kinds:
        return None
    others = [one.removeprefix(name).strip() or PLAIN for one in kinds if one == name or one.startswith(f"{name} ")]
    if not others:
        return f"the rate for {name} is that of other operators", ""
    return f"{name} of a kind that was not measured", f"{kind_of(view)}, measured {', '.join(others)}"


def _shape(view: OperatorView, *places: str) -> Sequence[int | None]:
    """Of the first operand among these; of the first of all without any."""
    named = [view.inputs[place] for place in places if place in view.inputs] or list(view.inputs.values())[: 0 if places else 1]
    return (named[0].shape or ()) if named else ()


def _result(view: OperatorView) -> Sequence[int | None]:
    return (next(iter(view.outputs.values())).shape or ()) if view.outputs else ()


def _narrow(view: OperatorView) -> Iterator[str]:
    first = next(iter(view.inputs.values()), None)
    if first is not None and first.dtype in NARROW:
        yield NARROW[first.dtype]


def _window(view: OperatorView) -> Iterator[str]:
    """Axes that a window moves along; groups, and channels that fill no block."""
    weight = _shape(view, "W", "w", "operand.1") if view.operator not in _POOLS else ()
    yield f"{len(weight or _shape(view)) - 2}-D"
    groups = view.attributes.get("group", 1)
    if isinstance(groups, int) and groups > 1 and len(weight) > 1:
        alone = weight[1] == 1
        yield "depthwise" if alone else "grouped"
        if (weight[0] or 0) % BLOCK if alone else (weight[1] or 0) % GROUP:
            yield "ragged"
    elif len(weight) in (3, 5) and (weight[view.operator == "ConvTranspose"] or 0) <= THIN:
        yield "thin"
    positions = [extent or 0 for extent in _result(view)[2:]]
    if weight and positions and math.prod(positions) <= SMALL:
        yield "small"
    if any(step != 1 for step in _numbers(view, "dilations")):
        yield "dilated"


def _numbers(view: OperatorView, name: str) -> tuple[int, ...]:
    value = view.attributes.get(name, ())
    return tuple(one for one in value if isinstance(one, int)) if isinstance(value, tuple) else ()


def _recurrent(view: OperatorView) -> Iterator[str]:
    """Sequences side by side are one product; two ways are two that wait for none."""
    if view.attributes.get("direction", "forward") == "bidirectional":
        yield "both-ways"
    x = _shape(view, "X")
    rows = x[0 if view.attributes.get("layout") == 1 else 1] if len(x) == 3 else 1
    if (rows or 1) > 1:
        yield "batch"


def _along(view: OperatorView) -> Iterator[str]:
    """Whether what is reduced lies together in memory, and how long it is."""
    shape, axis = _shape(view), view.attributes.get("axis", -1)
    result = _result(view)
    if view.operator.startswith("Reduce"):  # its axes may be an operand
        across = bool(shape and result and (shape[-1] or 0) > 1 and result[-1] == shape[-1])
    else:
        across = isinstance(axis, int) and bool(shape) and axis % len(shape) != len(shape) - 1
    if across:
        yield "across"


def _rows(view: OperatorView) -> Iterator[str]:
    shape = _shape(view)
    if shape and (shape[-1] or 0) <= SHORT:
        yield "short"


def _resized(view: OperatorView) -> Iterator[str]:
    yield str(view.attributes.get("mode", "nearest"))


_POOLS = ("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
_Words = Callable[[OperatorView], Iterator[str]]


def _by(words: _Words, *operators: str) -> dict[str, _Words]:
    return dict.fromkeys(operators, words)


_KINDS: Mapping[str, _Words] = {
    **_by(_window, "Conv", "FusedConv", "QLinearConv", "ConvInteger", "ConvTranspose", *_POOLS),
    **_by(_recurrent, "LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"),
    **_by(_along, "Softmax", "LogSoftmax", "ArgMax", "ArgMin", "TopK", "CumSum", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"),
    **_by(_rows, "LayerNormalization", "RMSNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
    **_by(_resized, "Resize", "Upsample", "GridSample"),
}

"""Which numbers may an input hold? What it is an operand of says so: an index stays inside its table, a shape is the declared one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from .steps import MERGE, Flow, Step

PASSING = frozenset(
    {"Cast", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten", "Transpose", "Expand", "Slice", "Concat", "Tile", "Split", MERGE}
)
"""Operators that move integers without changing them: the first input's values are among the output's."""
FEW = 3
"""Tensors in a sequence that is made up; rounds of a loop."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What an input may hold: numbers from low to high, or exactly these, in order."""

    low: int = 0
    high: int = 0
    exact: tuple[float, ...] | None = None

    def within(self, other: Fit) -> Fit:
        """Both at once; the exact one where there is one."""
        if self.exact is not None or other.exact is not None:
            return self if self.exact is not None else other
        low = max(self.low, other.low)
        return Fit(low, max(min(self.high, other.high), low))


def fits_of(flow: Flow) -> dict[str, Fit]:
    """Per graph input that ends as such an operand, as it is or moved; the narrowest of its uses. `flow` must know the shapes."""
    same: dict[str, set[str]] = {name: {name} for name in flow.inputs}
    found: dict[str, Fit] = {}
    for step in flow.steps:
        _carry(step, same)
        rule = RULES.get(step.operator)
        for k, name in enumerate(step.inputs if rule is not None else ()):
            sources = same.get(name, ())
            fit = rule(_Operand(step, k, flow)) if rule is not None and sources else None
            if fit is not None:
                found.update({source: fit.within(found[source]) if source in found else fit for source in sources})
    return found


def _carry(step: Step, same: dict[str, set[str]]) -> None:
    """What a step that only moves elements hands on."""
    if step.operator in PASSING and step.inputs:
        every = step.inputs if step.operator in (MERGE, "Concat") else step.inputs[:1]
        sources = set[str]().union(*(same.get(name, ()) for name in every))
        for name in step.outputs if sources else ():
            same.setdefault(name, set()).update(sources)


@dataclass(frozen=True, slots=True)
class _Operand:
    """One operand of a step."""

    step: Step
    index: int
    flow: Flow

    def shape(self, index: int) -> tuple[int, ...]:
        """Of an operand; () where it is not known."""
        inputs = self.step.inputs
        return self.flow.shapes.get(inputs[index], ()) if index < len(inputs) else ()

    def result(self, index: int = 0) -> tuple[int, ...]:
        """Shape of an output; () where it is not known."""
        return self.flow.shapes.get(self.step.outputs[index], ()) if index < len(self.step.outputs) else ()

    def axis(self, default: int, rank: int, name: str = "axis") -> int:
        axis = int(self.step.attribute(name, default))
        return axis + rank if axis < 0 else axis

    def axes(self, index: int, rank: int) -> list[int]:
        """The axes that operand `index` or the attribute names; the first ones where an input names them."""
        stated = self.flow.constants.get(self.step.inputs[index]) if index < len(self.step.inputs) else None
        known = list(self.step.attribute("axes", [])) if stated is None else [int(axis) for axis in stated.reshape(-1)]
        return [axis % rank for axis in known] if rank and known else list(range(rank))


def _below(size: int) -> Fit:
    return Fit(0, max(size - 1, 0))


def _exactly(*numbers: float) -> Fit | None:
    return Fit(exact=numbers) if numbers else None


def _gathered(o: _Operand) -> Fit | None:
    table = o.shape(0)
    axis = o.axis(0, len(table))
    return _below(table[axis]) if o.index == 1 and 0 <= axis < len(table) else None


def _gathered_nd(o: _Operand) -> Fit | None:
    table, indices = o.shape(0), o.shape(1)
    first = int(o.step.attribute("batch_dims", 0))
    if o.index != 1 or not table or not indices:
        return None
    return _below(min(table[first : first + indices[-1]], default=1))


def _class(o: _Operand) -> Fit | None:
    return _below(o.shape(0)[1]) if o.index == 1 and len(o.shape(0)) > 1 else None


def _one_hot(o: _Operand) -> Fit | None:
    made = o.result()
    axis = o.axis(-1, len(made))
    if o.index > 1 or not 0 <= axis < len(made):
        return None
    return _below(made[axis]) if o.index == 0 else _exactly(made[axis])


def _top(o: _Operand) -> Fit | None:
    table, made = o.shape(0), o.result()
    if o.index != 1 or not table:
        return None
    axis = o.axis(-1, len(table))
    return _exactly(made[axis]) if len(made) == len(table) else Fit(1, table[axis])


def _an_axis(o: _Operand) -> Fit | None:
    return _below(len(o.shape(0))) if o.index == 1 and o.shape(0) else None


def _recurrent(o: _Operand) -> Fit | None:
    steps = o.shape(0)[1:2] if o.step.attribute("layout", 0) else o.shape(0)[:1]
    return Fit(1, steps[0]) if o.index == 4 and steps else None


def _reversed(o: _Operand) -> Fit | None:
    steps = o.shape(0)[o.step.attribute("time_axis", 0) :]
    return Fit(1, steps[0]) if o.index == 1 and steps else None


def _attention(o: _Operand) -> Fit | None:
    keys = o.shape(1)
    return Fit(1, keys[-2]) if o.index == 6 and len(keys) > 1 else None


def _written(o: _Operand) -> Fit | None:
    past, new = o.shape(0), o.shape(1)
    axis = o.axis(-2, len(past))
    return Fit(0, max(past[axis] - new[axis], 0)) if o.index == 2 and len(past) == len(new) > 1 else None


def _shape(*indices: int) -> Callable[[_Operand], Fit | None]:
    """Operands that are the result's shape."""
    return lambda o: _exactly(*o.result()) if o.index in indices else None


def _tiled(o: _Operand) -> Fit | None:
    given, made = o.shape(0), o.result()
    return _exactly(*(m // max(g, 1) for g, m in zip(given, made, strict=True))) if o.index == 1 and len(given) == len(made) else None


def _resized(o: _Operand) -> Fit | None:
    given, made = o.shape(0), o.result()
    if len(given) != len(made):
        return None
    axes = o.axes(len(o.step.inputs), len(made))
    if o.index == (1 if o.step.operator == "Upsample" else 2):
        return _exactly(*(made[axis] / max(given[axis], 1) for axis in axes))
    return _exactly(*(made[axis] for axis in axes)) if o.index == 3 else None


def _grid(o: _Operand) -> Fit | None:
    made = o.result()
    return _exactly(made[0], 1, *made[1:-1]) if o.index == 1 and len(made) > 2 else None


def _padded(o: _Operand) -> Fit | None:
    given, made = o.shape(0), o.result()
    if o.index == 3:
        return _exactly(*range(len(given)))
    if o.index != 1 or len(given) != len(made):
        return None
    more = [made[axis] - given[axis] for axis in o.axes(3, len(given))]
    return _exactly(*(n // 2 for n in more), *(n - n // 2 for n in more))


def _sliced(o: _Operand) -> Fit | None:
    """From 0 to where the result ends, along the axes that are cut."""
    given, made = o.shape(0), o.result()
    if not made or o.index not in (1, 2, 3, 4):
        return None
    axes = o.axes(3, len(made))
    count = o.shape(o.index)
    if count and count[0] < len(axes):
        axes = sorted(sorted(axes, key=lambda axis: len(given) == len(made) and given[axis] == made[axis])[: count[0]])
    return _exactly(*{1: [0] * len(axes), 2: [made[axis] for axis in axes], 3: axes, 4: [1] * len(axes)}[o.index])


def _split(o: _Operand) -> Fit | None:
    made = [o.result(k) for k in range(len(o.step.outputs))]
    axis = o.axis(0, len(o.shape(0)))
    return _exactly(*(shape[axis] for shape in made)) if o.index == 1 and all(len(shape) > axis for shape in made) else None


def _reduced(o: _Operand) -> Fit | None:
    """Axes that a reduction or a Squeeze takes away, read off the shapes before and after."""
    given, made = o.shape(0), o.result()
    if o.index != 1 or not given:
        return None
    if len(given) == len(made):
        return _exactly(*(k for k, (g, m) in enumerate(zip(given, made, strict=True)) if g != m) or (0,))
    return _exactly(*_missing(given, made))


def _unsqueezed(o: _Operand) -> Fit | None:
    given, made = o.shape(0), o.result()
    return _exactly(*_missing(made, given)) if o.index == 1 and made else None


def _missing(longer: tuple[int, ...], shorter: tuple[int, ...]) -> tuple[int, ...]:
    """Places of `longer` without which it is `shorter`; () where there are none."""
    for places in combinations(range(len(longer)), max(len(longer) - len(shorter), 0)):
        if tuple(dim for place, dim in enumerate(longer) if place not in places) == shorter:
            return places
    return ()


def _unpooled(o: _Operand) -> Fit | None:
    made = o.result()
    return _exactly(*made) if o.index == 2 else _below(math.prod(made)) if o.index == 1 and made else None


def _ranged(o: _Operand) -> Fit | None:
    made = o.result()
    return _exactly((0, made[0], 1)[o.index]) if made else Fit(1, FEW)


def _few(index: int, low: int = 0) -> Callable[[_Operand], Fit | None]:
    """A place in a sequence that is made up; the rounds of a loop."""
    return lambda o: Fit(low, FEW - 1) if o.index == index else None


def _bits(o: _Operand) -> Fit | None:
    return Fit(0, 7) if o.index == 1 else None


def _diagonal(o: _Operand) -> Fit | None:
    return Fit(-1, 2) if o.index == 1 else None


RULES: dict[str, Callable[[_Operand], Fit | None]] = {
    **dict.fromkeys(("Gather", "GatherElements", "ScatterElements", "Scatter"), _gathered),
    **dict.fromkeys(("GatherND", "ScatterND"), _gathered_nd),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"), _class),
    **dict.fromkeys(("RNN", "LSTM", "GRU"), _recurrent),
    **dict.fromkeys(("CumSum", "CumProd"), _an_axis),
    **dict.fromkeys(("Reshape", "Expand", "CenterCropPad"), _shape(1)),
    **dict.fromkeys(("ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow"), _shape(0)),
    **dict.fromkeys(("Resize", "Upsample"), _resized),
    **dict.fromkeys(("SequenceAt", "SequenceErase"), _few(1)),
    **dict.fromkeys(
        ("Squeeze", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
         "ReduceLogSumExp", "ReduceSumSquare"), _reduced),
    "OneHot": _one_hot, "TopK": _top, "ReverseSequence": _reversed, "Attention": _attention, "TensorScatter": _written, "Tile": _tiled,
    "AffineGrid": _grid, "Pad": _padded, "Slice": _sliced, "Split": _split, "Unsqueeze": _unsqueezed, "Range": _ranged,
    "SequenceInsert": _few(2), "Loop": _few(0, 1), "BitShift": _bits, "Trilu": _diagonal,
    "MaxUnpool": _unpooled,
    "Col2Im": lambda o: _exactly(*o.result()[2:]) if o.index == 1 else None,
}  # fmt: skip

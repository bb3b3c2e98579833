"""Which sides of an operator did its values reach? Of a Clip: below its minimum, inside, above its maximum; of an If: true or false.

A side that no value reached can be wrong unseen. What sides a model has, and which of them no value can reach, is stated by
compiler/inputs/points.py in the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kernels.call import Call, Value

BELOW, INSIDE, ABOVE, TRUE, FALSE, FIRST, SECOND = "below", "inside", "above", "true", "false", "first", "second"
PIECES = ("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu")
"""Of one kind up to a number, of another beyond it."""


def reached(call: Call, results: tuple[Value, ...]) -> tuple[str, ...]:
    """The sides that these values reached; nothing for an operator without sides. A number on a bound of a Clip counts as inside.

    Max and Min of two: "first" where some element came from the first operand alone, "second" likewise. `results` are not looked at.
    """
    rule = RULES.get(call.operator) if call.domain in ("", "ai.onnx") else None
    return () if rule is None or not call.inputs else rule(call)


def _sides(x: Any, low: Any, high: Any) -> tuple[str, ...]:
    """Of x against bounds that broadcast; None for one that is absent. NaN is on no side."""
    beneath = np.zeros(x.shape, bool) if low is None else x < low
    beyond = np.zeros(x.shape, bool) if high is None else x > high
    inside = ~(beneath | beyond) & (x == x)
    return tuple(side for side, found in ((BELOW, beneath), (INSIDE, inside), (ABOVE, beyond)) if np.any(found))


def _clip(call: Call) -> tuple[str, ...]:
    low = call.input(1) if call.input(1) is not None else call.attributes.get("min")
    high = call.input(2) if call.input(2) is not None else call.attributes.get("max")
    return _sides(np.asarray(call.inputs[0]), low, high)


def _hard_sigmoid(call: Call) -> tuple[str, ...]:
    line = call.attributes.get("alpha", 0.2) * np.asarray(call.inputs[0]) + call.attributes.get("beta", 0.5)
    return _sides(line, 0.0, 1.0)


def _hard_swish(call: Call) -> tuple[str, ...]:
    return _sides(np.asarray(call.inputs[0]), -3.0, 3.0)


def _piece(call: Call) -> tuple[str, ...]:
    """A number on the bound is on no side: both pieces give the same there."""
    x = np.asarray(call.inputs[0])
    bound = call.attributes.get("alpha", 1.0) if call.operator == "ThresholdedRelu" else 0.0
    return tuple(side for side, found in ((BELOW, x < bound), (ABOVE, x > bound)) if np.any(found))


def _condition(call: Call) -> tuple[str, ...]:
    condition = np.asarray(call.inputs[0]).astype(bool)
    return tuple(side for side, found in ((TRUE, condition), (FALSE, ~condition)) if np.any(found))


def _extreme(call: Call) -> tuple[str, ...]:
    if len(call.inputs) != 2 or call.inputs[0] is None or call.inputs[1] is None:
        return ()
    a, b = call.inputs if call.operator == "Max" else call.inputs[::-1]
    return tuple(side for side, found in ((FIRST, np.greater(a, b)), (SECOND, np.less(a, b))) if np.any(found))


RULES: dict[str, Callable[[Call], tuple[str, ...]]] = {
    "Clip": _clip, "HardSigmoid": _hard_sigmoid, "HardSwish": _hard_swish, "Where": _condition, "If": _condition,
    "Max": _extreme, "Min": _extreme, **dict.fromkeys(PIECES, _piece),
}  # fmt: skip

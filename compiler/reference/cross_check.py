"""Which implementation of an operator is believed: settled once for each operator of a model, when it is first evaluated.

The kernels here, onnxruntime's kernel run alone, and onnx's reference implementation share nothing. A kernel that agrees with
onnxruntime's is believed; where the two differ, onnx's decides; what only one implementation says is used and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .agreement import close
from .held import Held, hold, is_float, widen
from .opinions import Onnxruntime, Silent, by_onnx
from .program import Step
from .rounding import SINGLE, UNIT

How = Literal["kernel", "onnx", "runtime"]
Evaluate = Callable[[Sequence[Held]], list[Held]]
"""The kernel of a step, on operands."""
SEED = 20261126


class CannotEvaluate(Exception):
    """No implementation evaluates an operator."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How an operator is evaluated, and the dtypes of its results ("" where unknown)."""

    how: How
    dtypes: tuple[str, ...]


@dataclass(slots=True)
class CrossCheck:
    """What was settled so far, for all evaluations of a model."""

    runtime: Onnxruntime = field(default_factory=Onnxruntime)
    settled: dict[str, Settled] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    """Operators that onnxruntime's own kernel computes wrong: path -> what is wrong."""
    unchecked: dict[str, str] = field(default_factory=dict)
    """Operators of which only one implementation was heard: path -> why."""

    def settle(self, step: Step, operands: Sequence[Held], kernel: Evaluate | None) -> list[Held]:
        """The results of a step met for the first time; how they came is kept in `settled`. Raises CannotEvaluate."""
        mine = None if kernel is None else kernel(operands)
        ort, deaf = _ask(self.runtime, step, operands)
        how, results = self._choose(step, operands, kernel, mine, ort, deaf)
        shown = ort if ort is not None else results
        self.settled[step.path] = Settled(how, tuple(held.dtype for held in shown) if ort is not None else ())
        return results

    def _choose(
        self, step: Step, operands: Sequence[Held], kernel: Evaluate | None, mine: list[Held] | None, ort: list[Held] | None, deaf: str
    ) -> tuple[How, list[Held]]:
        if mine is not None and ort is not None:
            if close(mine, ort, step.operator) or self._close_on_same(step, operands, kernel, ort):
                return "kernel", mine
            return self._disputed(step, operands, kernel, mine, ort)
        third, silence = _ask(by_onnx, step, operands)
        if mine is not None:
            if third is None or not close(mine, third, step.operator):
                said = f"onnxruntime does not run it alone ({deaf})"
                self.unchecked[step.path] = f"{said}, onnx's reference {'has another result' if third is not None else 'neither'}"
            return "kernel", mine
        if ort is not None:
            if third is not None and close(third, ort, step.operator):
                return "onnx", third
            self.unchecked[step.path] = f"onnxruntime alone: {'onnx has another result' if third is not None else silence}"
            return "runtime", ort
        if third is not None:
            self.unchecked[step.path] = f"onnx's reference alone: {deaf}"
            return "onnx", third
        raise CannotEvaluate(f"{step.operator} {step.path}: {deaf}; {silence}")

    def _close_on_same(self, step: Step, operands: Sequence[Held], kernel: Evaluate | None, ort: list[Held]) -> bool:
        """The second look: the kernel gets just what onnxruntime got, and is allowed what noise in that does to it."""
        assert kernel is not None
        same = rounded(operands)
        results = kernel(same)
        return close(results, ort, step.operator, sensitivity(kernel, same, results))

    def _disputed(
        self, step: Step, operands: Sequence[Held], kernel: Evaluate | None, mine: list[Held], ort: list[Held]
    ) -> tuple[How, list[Held]]:
        assert kernel is not None
        same = rounded(operands)
        results = kernel(same)
        third, silence = _ask(by_onnx, step, same)
        moved = sensitivity(kernel, same, results)
        if third is not None and close(results, third, step.operator, moved):
            self.faults[step.path] = f"onnxruntime's {step.operator} is {apart(results, ort)}"
            return "kernel", mine
        agrees = third is not None and close(third, ort, step.operator, moved)
        why = "" if agrees else f", and onnx's reference {'has a third' if third is not None else f'has none ({silence})'}"
        self.unchecked[step.path] = f"the float64 kernel and onnxruntime differ ({apart(results, ort)}){why}: onnxruntime's was used"
        return "runtime", ort


def _ask(who: Callable[[Step, Sequence[Held]], list[Held]], step: Step, operands: Sequence[Held]) -> tuple[list[Held] | None, str]:
    try:
        return who(step, operands), ""
    except Silent as problem:
        return None, str(problem)


def rounded(operands: Sequence[Held]) -> list[Held]:
    """The operands as a runtime gets them, in float64."""
    return [held if isinstance(held.value, list) else Held(_widened(held), held.dtype, held.in_own_dtype()) for held in operands]


def _widened(held: Held) -> Any:
    return None if held.value is None else widen(np.asarray(held.in_own_dtype()))


def sensitivity(kernel: Evaluate, operands: Sequence[Held], results: Sequence[Held]) -> list[Any]:
    """Per result, how far each element moves when every operand is off by up to its unit roundoff: float64 distances; for integers 1
    where the element changes."""
    random = np.random.default_rng(SEED)
    noisy = []
    for held in operands:
        if held.value is None or isinstance(held.value, list) or not is_float(held.dtype):
            noisy.append(held)
            continue
        unit = UNIT.get(held.dtype, SINGLE)
        noisy.append(Held(held.value * (1 + unit * random.uniform(-1, 1, np.shape(held.value))), held.dtype))
    return [_moved(a.value, b.value) for a, b in zip(results, kernel(noisy), strict=True)]


def _moved(a: Any, b: Any) -> Any:
    if a is None or isinstance(a, list) or np.shape(a) != np.shape(b) or np.asarray(a).dtype.kind in "OUST":
        return np.float64(0)
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)), np.shape(a))


def apart(right: Sequence[Held], wrong: Sequence[Held]) -> str:
    """How far results are apart, in words."""
    for a, b in zip(right, wrong, strict=False):
        if a.value is None or b.value is None or isinstance(a.value, list):
            continue
        x, y = np.asarray(a.value), np.asarray(b.value)
        if x.shape != y.shape:
            return f"of shape {list(y.shape)}, not {list(x.shape)}"
        if x.dtype.kind in "OUST":
            continue
        x, y = x.astype(np.float64), y.astype(np.float64)
        with np.errstate(all="ignore"):
            gap = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
        if gap.size and (np.isnan(gap).any() or gap.max() > 0):
            where = np.unravel_index(int(np.argmax(np.where(np.isnan(gap), np.inf, gap))), gap.shape)
            return f"{y[where]:.6g} at {[int(k) for k in where]}, not {x[where]:.6g}"
    return "not the same"


__all__ = ["CannotEvaluate", "CrossCheck", "Settled", "hold"]

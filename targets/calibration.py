"""What was measured of a device: rates of kinds of operators, in place of the roofline, and how far predictions from them were off.

    t(segment) = dispatch + sum over kernels of (launch + t(kernel))
    t(kernel)  = work / rate + streamed weights / bandwidth;  of a rate in bytes: max(bytes / rate, streamed weights / bandwidth)

Work is counted in the unit of the first line that matches (operations, elements or bytes); `targets/calibrated_cost.py` counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .formula import Expression
from .origin import Origin

Measure = Literal["operations", "elements", "bytes"]
Axis = Literal["channels", "rows", "columns", "inner"]


@dataclass(frozen=True, slots=True)
class Range:
    """From the least to the most that was measured, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`rate Conv 65 GFLOPS seen 0.01..29 MOP inner 8..576 of "Conv 2-D" n 231 within 22 % where attr.group > 1;`"""

    operators: tuple[str, ...]
    """"Conv", "com.microsoft::FusedMatMul"."""
    value: float
    """Units of work a second: operations (a multiply-add counts two), elements or bytes."""
    measure: Measure
    seen: Range | None
    """Work of the operators measured, in the same unit; None where the file does not say."""
    inner: Range | None
    """Extent of what one result is computed from: channels of a group times kernel, K of a product, axis of a Softmax, last axis."""
    samples: int | None
    """Operators measured."""
    spread: float | None
    """Share by which half of them, weighted by time, are off the line: 0.22."""
    where: Expression | None
    origin: Origin
    kinds: tuple[str, ...] | None = None
    """Kinds of operators that were measured to keep to this rate, as `kind_name` has them: "Conv 2-D"; None where the file does not
    say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`block Conv channels 16;`: a runtime rounds extents up to its block before it computes."""

    operators: tuple[str, ...]
    axis: Axis
    multiple: int
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """How whole models were predicted that the fit did not see: `holdout 82 % within 15 %, median 5 %, interval 18 %, models 41;`"""

    within: tuple[tuple[float, float], ...]
    """(share of the models, error they are within): (0.82, 0.15)."""
    median: float | None
    interval: float | None
    """Half the width of the interval that holds 90 % of them, as a share of the prediction (split conformal)."""
    models: int | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryModel:
    """`memory base 2 MiB, weights 102 %, working 110 %, weights Gather 0 %, buffers Attention 300 %;`: private bytes of a process that
    runs a bundle, at the operator where they are most:

        base + sum of weights · bytes of a weight + working · (arena + tensors inside the segment) + buffers · (operands + results)
    """

    base: float
    weights: float
    """Of weights whose operator has no factor of its own."""
    working: float
    origin: Origin
    weights_of: tuple[tuple[str, float], ...] = ()
    """(operator, factor): of what it reads of the weights; a tensor that several read takes the largest of theirs."""
    buffers: tuple[tuple[str, float], ...] = ()
    """(operator, factor): what it takes while it runs; others take nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerModel:
    """`power full 27 W, exponent 0.83;`: average draw P = full · u^exponent, u the share of a run in which the device computes."""

    full: float
    exponent: float
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`calibration @measured("…") { … }` of a device."""

    note: str
    """What was measured with what, when: the text of `@measured`."""
    version: str
    """Runtime it was measured with: "onnxruntime 1.32.0"; "" if the file does not say."""
    launch: float | None
    """Seconds per kernel; the device's own where None."""
    dispatch: float | None
    """Seconds per segment; the device's own where None."""
    weights_bandwidth: float | None
    """Bytes a second at which weights are streamed: added to compute, and of a rate in bytes the least that a
    kernel takes; None where they cost nothing."""
    weights_beyond: float
    """Bytes of weights of a model that stay in caches between runs."""
    activations_bandwidth: float | None = None
    """Bytes a second at which kernels whose line counts operations read and write what is no constant, added to compute; None where that
    costs nothing."""
    blocks: tuple[Block, ...]
    rates: tuple[Rate, ...]
    holdout: Holdout | None
    memory: MemoryModel | None
    power: PowerModel | None
    origin: Origin

    def lines(self, operator: str) -> tuple[Rate, ...]:
        """The rates that may apply to an operator, in their order: none behind one without a condition, nor a second one under the same."""
        found: dict[Expression | None, Rate] = {}
        for rate in self.rates:
            if operator in rate.operators:
                found.setdefault(rate.where, rate)
                if rate.where is None:
                    break
        return tuple(found.values())

    @property
    def priced(self) -> tuple[str, ...]:
        """The operators that have a rate."""
        return tuple(dict.fromkeys(name for rate in self.rates for name in rate.operators))

    @property
    def numbers(self) -> int:
        """Fitted numbers that predict time."""
        scalars = (self.launch, self.dispatch, self.weights_bandwidth, self.activations_bandwidth)
        return len(self.rates) + len(self.blocks) + sum(value is not None for value in scalars) + (self.weights_bandwidth is not None)

"""The read-only view of one operator that predicates, cost and support questions ask; `passes/graph/graph.py` provides it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .dtypes import BITS
from .quantised.scales import Scales

AttributeValue = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorView:
    name: str
    dtype: str
    """A key of BITS, or "string", "sequence", "unknown"."""
    shape: tuple[int | None, ...] | None
    """None when even the rank is unknown; None inside for an unbound dim."""
    const: bool
    scales: Scales | None = None
    """Of an operand or result of a quantised operator: how it is quantised; None for any other."""
    nonnegative: bool = False
    """Of an operand of integers: whether the graph shows that no element is below 0."""

    @property
    def elements(self) -> int | None:
        """Number of elements, None while a dim is unknown."""
        if self.shape is None:
            return None
        total = 1
        for dim in self.shape:
            if dim is None:
                return None
            total *= dim
        return total

    @property
    def bytes(self) -> int | None:
        """Packed size, None while unknown."""
        elements, bits = self.elements, BITS.get(self.dtype)
        return None if elements is None or bits is None else (elements * bits + 7) // 8


@dataclass(frozen=True, slots=True)
class OperatorView:
    """One node: schema defaults are filled into `attributes`, operands carry the schema's names (X, W, B …; a variadic
    operand "inputs" appears as inputs, inputs.1, inputs.2 …). An optional operand left out is absent."""

    name: str
    domain: str
    """"" is ai.onnx."""
    operator: str
    opset: int
    attributes: Mapping[str, AttributeValue]
    inputs: Mapping[str, TensorView]
    outputs: Mapping[str, TensorView]
    has_body: bool = False
    """True for If, Loop, Scan: a subgraph is among the attributes."""
    functions: frozenset[str] = frozenset()
    """Operators the node's bodies contain ("Conv", "com.x::Op"), so that a device can be asked about them too."""
    bodies: tuple[tuple[OperatorView, ...], ...] = ()
    """The operators of each body, with what they read from outside."""
    trips: int | None = 1
    """How often its bodies run: 1 for If, at most that often for Loop; None where nobody knows."""
    quantised: bool = False
    """Whether it stands between DequantizeLinear and QuantizeLinear and is seen as the integer operator it then is, scales and all:
    Add of int8 is saturating there, and wraps around where it is plain arithmetic."""

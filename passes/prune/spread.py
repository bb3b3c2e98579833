"""What hangs together in a graph: the cells of every axis of every tensor, as operators join them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from .cells import Axes, Axis, Cells

Signature = tuple[int, tuple[int, ...]]
"""How a Reshape takes an axis apart: its extent, and those that it becomes."""


@dataclass(frozen=True, slots=True)
class Site:
    """Weights that make channels, or that take a sum over them."""

    node: str
    """The first tensor that the operator writes."""
    constant: str
    axis: int


@dataclass(slots=True)
class Spread:
    """Grows as operators are walked over in topological order (`walk.py`). It knows tensors by name, so that it is of every copy of the
    graph as well."""

    graph: Graph
    turns: dict[Signature, int] = field(default_factory=dict)
    """Which of the axes that an axis becomes carries its channels."""
    cells: Cells = field(default_factory=Cells)
    axes: dict[str, Axes | None] = field(default_factory=dict)
    """None for a tensor of unknown rank."""
    makers: list[Site] = field(default_factory=list)
    sums: list[Site] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    """Cells of products of activations that are computed side by side: heads of attention."""
    loose: list[frozenset[int]] | None = None
    """What `loose_axes` found."""
    seen: dict[Signature, None] = field(default_factory=dict)
    """Where there is a choice of turns."""

    def of(self, name: str) -> Axes | None:
        """The axes of a tensor. A constant has cells of its own, which operators join."""
        if name not in self.axes:
            shape = self.graph.tensor(name).shape
            if name in self.graph.constants and shape is not None:
                self.axes[name] = tuple(self.cells.fresh(extent or 0) for extent in shape)
            else:
                self.axes[name] = self.unmoved(name, f"'{name}' is an input of the model" if name in self.graph.inputs else f"'{name}'")
        return self.axes[name]

    def unmoved(self, name: str, why: str) -> Axes | None:
        """Axes of a tensor of which nothing can be removed."""
        shape = self.graph.tensor(name).shape
        return None if shape is None else tuple(None if extent is None else self.cells.still(extent, why) for extent in shape)

    def join(self, one: Axis, other: Axis, why: str) -> Axis:
        """Two axes that are one. Those of unknown or unequal extents are fixed."""
        if one is None or other is None or len(one) != len(other):
            self.fix((one, other), why)
            return None
        self.cells.join(one, other)
        return one

    def fix(self, axes: Sequence[Axis], why: str) -> None:
        for axis in axes:
            if axis is not None:
                self.cells.fix(axis, why)

    def broadcast(self, operands: Sequence[Axes], rank: int, why: str) -> Axes:
        """The axes of an element-wise result, joined with those of the operands; of axes that are repeated, nothing is removed."""
        found: list[Axis] = []
        for place in range(-rank, 0):
            here = [axes[place] for axes in operands if len(axes) >= -place]
            longest = max((0 if axis is None else len(axis) for axis in here), default=0)
            alike = [axis for axis in here if axis is None or len(axis) == longest]
            self.fix([axis for axis in here if axis is not None and len(axis) != longest], why)
            first = alike[0]
            for other in alike[1:]:
                first = self.join(first, other, why)
            found.append(first)
        return tuple(found)

    def loose_axes(self) -> list[frozenset[int]]:
        """The sets that each axis is made of which nothing keeps from being removed as a whole. Asked for once all is walked over."""
        if self.loose is None:
            whole = (
                one for axes in self.axes.values() for one in axes or () if one is not None and len(one) and self.cells.free(one).all()
            )
            self.loose = list(dict.fromkeys(frozenset(self.cells.roots(one).tolist()) for one in whole))
        return self.loose

    def integers(self, name: str) -> tuple[int, ...] | None:
        """The value of a constant of whole numbers."""
        value = self.graph.value(name)
        return None if value is None else tuple(int(one) for one in np.ravel(value))

    def number(self, node: Node, attribute: str, default: int) -> int:
        value = self.graph.attribute(node, attribute)
        return value if isinstance(value, int) else default

"""Numbers in operators that say how many channels there are, once some are gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import helper

from ..graph.graph import Graph
from ..graph.node import Node
from .cuts import bounds
from .spread import Spread


@dataclass(frozen=True, slots=True)
class Kept:
    """Which indices of each axis stay, by what was spread."""

    spread: Spread
    gone: np.ndarray
    """Roots, sorted."""

    def mask(self, name: str, axis: int) -> np.ndarray:
        axes = self.spread.axes.get(name)
        cells = None if axes is None else axes[axis]
        if cells is None:
            raise KeyError(name)
        return ~np.isin(self.spread.cells.roots(cells), self.gone)

    def number(self, name: str, axis: int) -> int:
        return int(self.mask(name, axis).sum())

    def touches(self, name: str) -> tuple[int, ...]:
        """The axes of a tensor that lose something."""
        axes = self.spread.axes.get(name) or ()
        return tuple(k for k, cells in enumerate(axes) if cells is not None and not self.mask(name, k).all())

    def extents(self, name: str) -> list[int]:
        axes = self.spread.axes.get(name) or ()
        return [self.number(name, k) for k in range(len(axes))]


def conv(graph: Graph, node: Node, kept: Kept) -> None:
    group, per = kept.spread.number(node, "group", 1), (kept.spread.axes[node.inputs[1]] or (None, None))[1]
    depthwise = node.operator == "ConvTranspose" or (per is not None and len(per) == 1)
    if group > 1 and depthwise:
        give(graph, node, group=kept.number(node.inputs[0], 1))


def reshape(graph: Graph, node: Node, kept: Kept) -> None:
    wanted = kept.spread.integers(node.inputs[1]) or ()
    extents = kept.extents(node.outputs[0])
    given = [-1 if asked == -1 else extent for asked, extent in zip(wanted, extents, strict=True)]
    if node.operator == "Expand":
        given = [*wanted[: len(wanted) - len(extents)], *extents[-len(wanted) :]]
    graph.set_input(node, 1, graph.constant(np.array(given, np.int64), f"{node.outputs[0]}_shape"))


def split(graph: Graph, node: Node, kept: Kept) -> None:
    axes = kept.spread.axes[node.inputs[0]] or ()
    axis = kept.spread.number(node, "axis", 0) % len(axes)
    sizes = [kept.number(name, axis) for name in node.outputs]
    if graph.version(node) < 13:
        give(graph, node, split=sizes)
        return
    node.attributes.pop("num_outputs", None)
    graph.set_inputs(node, [node.inputs[0], graph.constant(np.array(sizes, np.int64), f"{node.outputs[0]}_sizes")])


def slice_(graph: Graph, node: Node, kept: Kept) -> None:
    axes = kept.spread.axes[node.inputs[0]] or ()
    rows = []
    for axis, start, end, step in bounds(kept.spread, node, len(axes)) or ():
        if axis in kept.touches(node.inputs[0]):
            mask = kept.mask(node.inputs[0], axis)
            low, high, _ = slice(start, end, step).indices(len(mask))
            start, end = int(mask[:low].sum()), int(mask[: max(low, high)].sum())
        rows.append((start, end, axis, step))
    columns = [np.array(column, np.int64) for column in zip(*rows, strict=True)]
    names = [
        graph.constant(column, f"{node.outputs[0]}_{word}") for column, word in zip(columns, ("from", "to", "axes", "by"), strict=True)
    ]
    graph.set_inputs(node, [node.inputs[0], *names])


def gather(graph: Graph, node: Node, kept: Kept) -> None:
    axis = kept.spread.number(node, "axis", 0) % len(kept.spread.axes[node.inputs[0]] or ())
    places = kept.spread.graph.value(node.inputs[1])
    if places is None or axis not in kept.touches(node.inputs[0]):
        return
    mask = kept.mask(node.inputs[0], axis)
    moved = (np.cumsum(mask) - 1)[places]
    left = moved[mask[places]] if places.ndim else moved
    graph.set_input(node, 1, graph.constant(np.asarray(left, places.dtype), f"{node.outputs[0]}_places"))


def resize(graph: Graph, node: Node, kept: Kept) -> None:
    if len(node.inputs) > 3 and node.inputs[3]:
        extents = np.array(kept.extents(node.outputs[0]), np.int64)
        graph.set_input(node, 3, graph.constant(extents, f"{node.outputs[0]}_sizes"))


def attention(graph: Graph, node: Node, kept: Kept) -> None:
    if len(kept.spread.axes[node.inputs[0]] or ()) != 3:
        return
    heads = {}
    for word, name in (("q_num_heads", node.inputs[0]), ("kv_num_heads", node.inputs[1])):
        mask, before = kept.mask(name, 2), kept.spread.number(node, word, 1)
        heads[word] = int(mask.sum()) * before // len(mask)
    give(graph, node, **heads)


def give(graph: Graph, node: Node, **values: int | list[int]) -> None:
    graph.give_attributes(node, {name: helper.make_attribute(name, value) for name, value in values.items()})


EDITS: Mapping[str, Callable[[Graph, Node, Kept], None]] = {
    "Conv": conv,
    "ConvTranspose": conv,
    "Reshape": reshape,
    "Expand": reshape,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "Resize": resize,
    "Attention": attention,
}

"""AveragePool that leaves its padding out of the count, for devices that can only count it: the zeros are averaged in, and each place is
scaled by the window's size over what of it lies in the image, which is known from the shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

LARGEST = 1 << 16
"""Elements of the factors; a plane beyond it is no feature map."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """Explicit padding of known planes that does not count, undilated and without rounding up; no window lies in the padding alone."""
    view, result = graph.tensor(node.inputs[0]), graph.tensor(node.outputs[0])
    kernel, pads = _integers(graph, node, "kernel_shape"), _integers(graph, node, "pads")
    if view.dtype not in COMPUTED or view.shape is None or result.shape is None or not any(pads):
        return None
    plane = view.shape[2:]
    strides = _integers(graph, node, "strides") or (1,) * len(plane)
    plain = graph.attribute(node, "auto_pad") in (None, "NOTSET") and not graph.attribute(node, "ceil_mode")
    undilated = all(step == 1 for step in _integers(graph, node, "dilations"))
    if not plain or not undilated or graph.attribute(node, "count_include_pad") or None in plane or None in result.shape[2:]:
        return None
    extents = [extent for extent in plane if extent is not None]
    counts = _counts(extents, kernel, strides, pads)
    if [len(part) for part in counts] != list(result.shape[2:]) or not all(min(part) > 0 for part in counts):
        return None
    if int(np.prod([len(part) for part in counts])) > LARGEST:
        return None
    return Bindings(node, {f"axis{k}": tuple(part) for k, part in enumerate(counts)})


def build(b: Builder, found: Bindings) -> str:
    kernel = _integers(b.graph, found.root, "kernel_shape")
    factor = np.ones((1, 1), np.float64)
    for axis, size in enumerate(kernel):
        factor = factor[..., None] * (size / np.asarray(found.integers(f"axis{axis}"), np.float64))
    names = ("kernel_shape", "pads", "strides")
    kept = {name: values for name in names if (values := _integers(b.graph, found.root, name))}
    counted = b.op("AveragePool", found.root.inputs[0], count_include_pad=1, **kept)
    return b.mul(counted, b.array(factor))


def _counts(plane: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]) -> list[list[int]]:
    """For each axis and place, how many elements of the window lie in the image."""
    found = []
    for axis, (extent, size, step) in enumerate(zip(plane, kernel, strides, strict=True)):
        before, after = pads[axis], pads[axis + len(plane)]
        starts = range(-before, extent + after - size + 1, step)
        found.append([min(start + size, extent) - max(start, 0) for start in starts])
    return found


def _integers(graph: Graph, node: Node, name: str) -> tuple[int, ...]:
    value = graph.attribute(node, name)
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, tuple) else ()


POOLS = (
    Rewrite(
        name="averagepool_counted",
        summary="AveragePool(x; padding left out) -> AveragePool(x; padding counted) · k/n",
        operators=("AveragePool",),
        emits=("AveragePool", "Mul"),
        contract=Contract("reassociates"),
        match=match,
        build=build,
    ),
)

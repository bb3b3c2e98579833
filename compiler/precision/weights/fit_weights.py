"""Weights in blocks, rounded so that products with the samples change least (`passes/precision/block_rounding.py`): some matrices
at a time, since the sums of products of what they read take as much as a matrix each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.block_rounding import BlockRounding, Key, compensated
from ....passes.precision.operators import inner_axis
from ....passes.precision.weights import Weight, per_channel, restored
from ....targets.precision import Form
from ...activity import doing
from ..weight_rounding import is_product
from .open_weights import OpenWeights
from .own_grids import NO_GRIDS, OwnGrids

GROUP_BYTES = 1 << 28
"""Of sums of products that are held at once."""


@dataclass(frozen=True, slots=True)
class FittedWeights:
    """Of one graph."""

    rounding: BlockRounding
    finer: Mapping[str, float]
    """By the first tensor that a product writes: how much less it changes with its weights in 8 bits, a scale for each channel."""


def fit_weights(graph: Graph, forms: Mapping[str, Form], samples: Sequence[Mapping[str, Any]], own: OwnGrids = NO_GRIDS) -> FittedWeights:
    """forms: by the first tensor that an operator writes. own: those that are in few bits already, and stay as they are. Where a sample
    makes a number that is not finite, weights are rounded to the nearest step. Raises ModelError where the model does not run on a
    sample."""
    made, finer, kept = dict(own.made), dict[str, float](), own.kept("w4")
    by_read: dict[str, list[Node]] = {}
    for node in graph.nodes:
        open_ = node.writes and node.writes[0] in forms and node.writes[0] not in kept
        if open_ and forms[node.writes[0]].block and is_product(graph, node):
            by_read.setdefault(node.inputs[0], []).append(node)
    for group in _groups(graph, by_read):
        second = _second(graph, group, samples)
        for read in group:
            for node in by_read[read] if np.isfinite(second[read]).all() else ():
                with doing("fitting weights to the samples"):
                    _fit(graph, node, forms[node.writes[0]], second[read].astype(np.float64), made, finer)
                graph.tensors.release(node.inputs[1])
    finer |= {name: 0.0 for name in own.kept("w8") if name in finer}  # in 8 bits they lose nothing
    return FittedWeights(BlockRounding({}, made), finer)


def _fit(graph: Graph, node: Node, form: Form, second: np.ndarray, made: dict[Key, Weight], finer: dict[str, float]) -> None:
    values, axis = graph.value(node.inputs[1]), inner_axis(graph, node, 1)
    assert values is not None and axis is not None, "is_product() has seen them"
    weight = compensated(values, axis, form.block, form.weights, second)
    made[node.inputs[0], node.inputs[1], axis, form.block, form.weights, None] = weight
    errors = [_change(restored(one) - values, axis, second) for one in (weight, per_channel(values, 1 - axis, "int8"))]
    finer[node.writes[0]] = (errors[1] / errors[0]) ** 0.5 if errors[0] else 1.0


def _change(off: np.ndarray, axis: int, second: np.ndarray) -> float:
    """Of all products with the samples, the sum of squares that a change of the weights makes."""
    rows = np.moveaxis(off.astype(np.float64), axis, 0)
    return float(np.vdot(rows, second @ rows))


def _second(graph: Graph, names: Sequence[str], samples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """By tensor, the sums of products of its last axis over the samples; in fp32, whose rounding is far below what is added to them."""
    computed = [name for name in names if name not in graph.inputs]
    model, found = OpenWeights(graph, computed), dict[str, np.ndarray]()
    for sample in samples:
        with doing("measuring what weights are multiplied with"):
            values = model.run(sample)
        for name, array in (*zip(computed, values, strict=True), *((name, sample[name]) for name in names if name in sample)):
            rows = array.reshape(-1, array.shape[-1]).astype(np.float32)
            product = rows.T @ rows
            if name in found:
                found[name] += product
            else:
                found[name] = product
    return found


def _groups(graph: Graph, reads: Mapping[str, Sequence[Node]]) -> Iterator[list[str]]:
    group, total = list[str](), 0
    for name, nodes in reads.items():
        size = 4 * ((graph.tensor(nodes[0].inputs[1]).shape or (0,))[inner_axis(graph, nodes[0], 1) or 0] or 0) ** 2
        if group and total + size > GROUP_BYTES:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group

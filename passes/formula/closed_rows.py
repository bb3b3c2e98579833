"""Whether constant masks close a whole row of attention scores.

There the spellings part: a softmax written out gives NaN where numbers of -∞ close the row, and the mean of all values (or of those that
rounding leaves equal) where finite numbers do; the operator gives 0, NaN or another mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph.graph import Graph
from .region import Reader
from .trace import Extents

CLOSED = -1e4
"""Scores at or below this are closed: exp(-1e4) is 0 in every dtype."""


def closes_a_row(scores: Extents, added: Sequence[np.ndarray], closed: Sequence[np.ndarray]) -> bool:
    """scores: the shape that every mask broadcasts to; added: numbers that are added; closed: booleans, true where a score is closed."""
    shut = np.zeros((1,) * len(scores), bool)
    if added:
        total = added[0]
        with np.errstate(over="ignore", invalid="ignore"):  # in the masks' own dtype, as the model adds them
            for mask in added[1:]:
                total = total + mask
        shut = ~(total > CLOSED)
    for mask in closed:
        shut = shut | mask
    return bool(np.broadcast_to(shut, np.broadcast_shapes(shut.shape, (scores[-1],))).all(axis=-1).any())


def opens_each_row(graph: Graph, mask: str) -> bool:
    """Whether a mask of booleans is known to leave a position of every row open: one of its parts, side by side, is constant and does."""
    value, node = graph.value(mask), graph.producer(mask)
    if value is not None:
        return value.dtype == bool and value.ndim > 0 and bool(value.any(axis=-1).all())
    shape = graph.tensor(mask).shape
    if node is None or node.kind != "Concat" or not shape:
        return False
    beside = graph.attribute(node, "axis") in (-1, len(shape) - 1)
    return beside and any(opens_each_row(graph, part) for part in node.inputs)


def unguarded(reader: Reader, tensor: str) -> tuple[str, int]:
    """What Where puts 0 into where it is NaN, as PyTorch's exporters write it for rows that are all closed, and how often it is read so."""
    graph, node = reader.graph, reader.graph.producer(tensor)
    if node is None or node.kind != "Where" or graph.uses(tensor) != 1 or reader.number(reader.resolve(node.inputs[1])) != 0:
        return tensor, 1
    kept, test = reader.resolve(node.inputs[2]), graph.producer(node.inputs[0])
    guards = test is not None and test.kind == "IsNaN" and reader.resolve(test.inputs[0]) == kept and graph.uses(node.inputs[0]) == 1
    return (kept, 2) if guards else (tensor, 1)

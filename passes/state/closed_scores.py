"""Whether what a model itself adds to its scores, or puts in their place, closes every position behind a token's own.

It is read where all positions are computed at once: a mask is then a constant of [positions, positions].
"""

from __future__ import annotations

import numpy as np

from ..formula.closed_rows import CLOSED
from ..graph.graph import Graph
from ..graph.node import Node

DEEP = 16
"""Operators before a softmax that are looked at."""
KEEPS = frozenset({"Cast", "Div", "Expand", "Flatten", "Identity", "Mul", "Reshape", "Squeeze", "Unsqueeze"})
"""A score that is closed stays so behind these: factors are positive, or the model would open what it closes."""


def is_causal(graph: Graph, tensor: str, length: int) -> bool:
    """Whether scores [..., positions, positions], or the mask of an Attention, close all that is behind the own position. graph: all
    `length` tokens at once."""
    behind = np.triu(np.ones((length, length), bool), 1)
    return bool(np.all(_closed(graph, tensor, length, DEEP) >= behind))


def _closed(graph: Graph, tensor: str, length: int, left: int) -> np.ndarray:
    """bool [length, length]: the scores that are closed in all heads."""
    nothing, node = np.zeros((length, length), bool), graph.producer(tensor)
    value = graph.value(tensor)
    if value is not None:
        return _low(value, length)
    if node is None or node.domain or not left:
        return nothing
    if node.kind in ("Add", "Concat"):  # Concat: a score beside those of the rows, as attention sinks are
        return _any(graph, node, length, left)
    if node.kind == "Where":
        return _filled(graph, node, length, left)
    return _closed(graph, node.inputs[0], length, left - 1) if node.kind in KEEPS else nothing


def _any(graph: Graph, node: Node, length: int, left: int) -> np.ndarray:
    found = np.zeros((length, length), bool)
    for name in node.inputs:
        found |= _closed(graph, name, length, left - 1)
    return found


def _filled(graph: Graph, node: Node, length: int, left: int) -> np.ndarray:
    """Where(condition, a, b): closed where what is taken is closed."""
    condition = graph.value(node.inputs[0])
    if condition is None:
        return np.zeros((length, length), bool)
    a, b = (_closed(graph, name, length, left - 1) for name in node.inputs[1:])
    taken, other = _in_all(condition.astype(bool), length), _in_all(~condition.astype(bool), length)
    return np.asarray((a & b) | (a & taken) | (b & other))


def _low(value: np.ndarray, length: int) -> np.ndarray:
    if value.dtype == bool:
        return _in_all(~value, length)
    return _in_all(value <= CLOSED, length) if value.dtype.kind == "f" else np.zeros((length, length), bool)


def _in_all(closed: np.ndarray, length: int) -> np.ndarray:
    """[length, length] where it is so for all heads; rows may stand on another axis than the last but one."""
    if closed.ndim < 2:
        closed = closed.reshape(1, -1)
    rows = next((axis for axis in range(closed.ndim - 2, -1, -1) if closed.shape[axis] == length), closed.ndim - 2)
    others = tuple(axis for axis in range(closed.ndim - 1) if axis != rows)
    kept = np.asarray(closed.all(axis=others))
    fits = all(extent in (1, length) for extent in kept.shape)
    return np.broadcast_to(kept, (length, length)) if fits else np.zeros((length, length), bool)

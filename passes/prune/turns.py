"""Where a Reshape takes an axis apart (heads and their width, groups and their channels), only one of the new axes can lose elements. Which
one the model does not say: that is taken with which most weights can be removed."""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from .groups import weight_axes
from .spread import Signature, Spread
from .walk import walk

MOST = 12
"""Kinds of Reshape that are tried; the turns of others are the first."""


def spread_of(graph: Graph) -> Spread:
    """What hangs together in the graph, with the best turns found one after another."""
    turns: dict[Signature, int] = {}
    best = walk(graph, turns)
    tried: set[Signature] = set()
    while fresh := [one for one in best.seen if one not in tried][: MOST - len(tried)]:
        signature = fresh[0]
        tried.add(signature)
        wide = [k for k, size in enumerate(signature[1]) if size > 1]
        for turn in wide[1:]:
            other = walk(graph, {**turns, signature: turn})
            if removable(other) > removable(best):
                best, turns = other, {**turns, signature: turn}
    return best


def removable(spread: Spread) -> float:
    """How much can be removed, counted in elements of weights; sets of many channels count less, since they go as a whole."""
    total = 0.0
    for name, _, roots in weight_axes(spread):
        free = spread.cells.free(roots)
        elements = float(spread.graph.tensor(name).elements or 0)
        total += elements * float(free.mean()) * (1 - 1 / max(2, len(np.unique(roots[free]))))
    return total

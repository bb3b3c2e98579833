"""The minimum cut of a network of numbered nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SOURCE, SINK = 0, 1
NEVER = 1 << 44
"""Capacity of an arc that no cut may have."""


def minimum_cut(arcs: Sequence[tuple[int, int, int]]) -> frozenset[int]:
    """The nodes on the side of SINK. Arcs are (tail, head, capacity); one counts where its head is on that side and its tail is not.
    Of several minimum cuts the one with the fewest nodes there. NEVER is for arcs between other nodes than SOURCE and SINK."""
    from ortools.graph.python import max_flow

    flow = max_flow.SimpleMaxFlow()
    tails, heads, capacities = (np.array(column, np.int64) for column in zip(*arcs, strict=True))
    flow.add_arcs_with_capacity(tails, heads, capacities)
    if flow.solve(SOURCE, SINK) != flow.OPTIMAL:
        raise AssertionError("minimum cut without a solution")
    return frozenset(int(node) for node in flow.get_sink_side_min_cut())

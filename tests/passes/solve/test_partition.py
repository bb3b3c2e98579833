"""Segments cover every unit once, run in order, are convex, and no cheaper cut exists (checked against all orders for small graphs)."""

from __future__ import annotations

from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.solve.partition import partition

DISPATCH = (5.0, 100.0, 40.0)


@st.composite
def graphs(draw: st.DrawFn, most: int) -> tuple[list[int], list[list[int]]]:
    count = draw(st.integers(1, most))
    devices = [draw(st.integers(0, 2)) for _ in range(count)]
    predecessors = [draw(st.lists(st.integers(0, k - 1), max_size=3, unique=True)) if k else [] for k in range(count)]
    return devices, predecessors


def segment_cost(order: tuple[int, ...], devices: list[int]) -> float:
    return sum(DISPATCH[devices[u]] for k, u in enumerate(order) if k == 0 or devices[order[k - 1]] != devices[u])


@given(graphs(most=40))
def test_segments_cover_every_unit_once_in_order_and_on_one_device(graph: tuple[list[int], list[list[int]]]) -> None:
    devices, predecessors = graph
    pieces = partition(devices, predecessors, DISPATCH)
    placed = [unit for piece in pieces for unit in piece.units]
    assert sorted(placed) == list(range(len(devices)))
    assert all(devices[unit] == piece.device for piece in pieces for unit in piece.units)
    at = {unit: k for k, piece in enumerate(pieces) for unit in piece.units}
    assert all(at[before] <= at[unit] for unit, needs in enumerate(predecessors) for before in needs)
    assert all(a.device != b.device for a, b in pairwise(pieces))


@given(graphs(most=6))
def test_no_order_of_the_units_needs_less_dispatch(graph: tuple[list[int], list[list[int]]]) -> None:
    devices, predecessors = graph
    orders = [
        order
        for order in permutations(range(len(devices)))
        if all(order.index(before) < order.index(unit) for unit, needs in enumerate(predecessors) for before in needs)
    ]
    pieces = partition(devices, predecessors, DISPATCH)
    assert sum(DISPATCH[piece.device] for piece in pieces) == min(segment_cost(order, devices) for order in orders)

"""Units partition the operators, are convex, and are few."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.solve.coarsen import coarsen


@given(st.integers(1, 80), st.data())
def test_units_cover_everything_once_and_their_order_is_topological(count: int, data: st.DataObject) -> None:
    edges = [(data.draw(st.integers(0, k - 1)), k) for k in range(1, count) for _ in range(data.draw(st.integers(0, 2)))]
    mind = [data.draw(st.integers(0, 1)) for _ in range(count)]
    units = coarsen(count, edges, mind, [], most=10)
    assert sorted(node for unit in units for node in unit) == list(range(count))
    assert all(len({mind[node] for node in unit}) == 1 for unit in units)
    of = {node: k for k, unit in enumerate(units) for node in unit}
    assert all(of[u] <= of[v] for u, v in edges)


def test_a_long_chain_of_one_mind_becomes_few_units() -> None:
    edges = [(k, k + 1) for k in range(9_999)]
    assert len(coarsen(10_000, edges, [0] * 10_000, [], most=100)) <= 100


def test_edges_to_keep_together_are_joined_first() -> None:
    units = coarsen(4, [(0, 1), (1, 2), (2, 3)], [0, 0, 0, 0], [(1, 2)], most=4)
    assert [1, 2] in units

"""One option of each: the cheapest within a sum of losses, by trying all."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.solve.one_of_each import one_of_each

WAY = st.tuples(st.integers(0, 50).map(lambda k: k / 10), st.integers(0, 20).map(lambda k: k / 100))


@given(st.lists(st.lists(WAY, min_size=1, max_size=2), min_size=1, max_size=6), st.floats(0.0, 1.0))
def test_nothing_within_the_limit_is_cheaper(ways: list[list[tuple[float, float]]], most: float) -> None:
    ways = [[*own, (5.0, 0.0)] for own in ways]
    chosen = one_of_each(ways, most)

    def total(each: tuple[int, ...], of: int) -> float:
        return sum(own[k][of] for own, k in zip(ways, each, strict=True))

    assert total(chosen, 1) <= most + 1e-12
    clearly = most * (1 - 1e-6)  # what is at the limit itself may count as beyond it
    within = [total(each, 0) for each in product(*(range(len(own)) for own in ways)) if total(each, 1) <= clearly]
    assert total(chosen, 0) <= min(within, default=float("inf")) + 1e-6

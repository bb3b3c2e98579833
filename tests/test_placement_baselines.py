"""The other compilers' algorithms in benchmarks/: legal plans, the pruning that they are known for, and never better than ours."""

from __future__ import annotations

from itertools import permutations

import pytest
from baseline_plans import Division, all_on_host, onnxruntime, openvino, regions, tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from placement_problems import problems

from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Problem
from autoglmc.passes.solve.solve import solve


def division(problem: Problem, flags: tuple[bool, ...]) -> Division:
    before: list[set[int]] = [set() for _ in problem.units]
    for net in problem.nets:
        for consumer in net.consumers:
            before[consumer] |= {net.producer} - {-1}
    return Division(
        devices=len(problem.devices),
        host=problem.host,
        supports=tuple(frozenset(unit.devices) for unit in problem.units),
        before=tuple(map(frozenset, before)),
        multiplies=flags[: len(problem.units)],
        moves=tuple(not flag for flag in flags[: len(problem.units)]),
        weights=tuple(unit.weight_bytes for unit in problem.units),
        room=(None,) * len(problem.devices),
    )


@settings(max_examples=60, deadline=None)
@given(problems(), st.lists(st.booleans(), min_size=40, max_size=40))
def test_their_plans_are_legal_and_never_better_than_ours(problem: Problem, flags: list[bool]) -> None:
    divided = division(problem, tuple(flags))
    orders = list(permutations(divided.accelerators))
    theirs = [all_on_host(divided), *(plan(divided, order) for plan in (onnxruntime, openvino, tvm) for order in orders)]
    for plan in theirs:
        assert all(device in supported for device, supported in zip(plan, divided.supports, strict=True))
    ours = solve(problem, [])
    for cost in (price(problem, plan) for plan in theirs):
        if cost is not None:
            assert ours is not None and ours.lower_bound <= cost.total * (1 + 1e-9)
            assert not ours.proven or ours.visits is not None or ours.price.total <= cost.total * (1 + 2e-4)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.data())
def test_regions_are_convex_and_as_large_as_their_rule_allows(count: int, data: st.DataObject) -> None:
    before = tuple(frozenset(data.draw(st.sets(st.integers(0, unit - 1), max_size=3)) if unit else ()) for unit in range(count))
    annotated = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    every = Division(3, 0, (frozenset({0, 1, 2}),) * count, before, (True,) * count, (False,) * count, (0,) * count, (None,) * 3)
    found = regions(every, annotated)  # raises where one is not convex
    assert sorted(unit for region in found for unit in region.units) == list(range(count))
    assert all(annotated[unit] == region.device for region in found for unit in region.units)
    if len(set(annotated)) == 1:
        linked = _linked(before)
        assert len(found) == linked


def _linked(before: tuple[frozenset[int], ...]) -> int:
    """Weakly connected parts."""
    part = list(range(len(before)))
    for unit, sources in enumerate(before):
        for source in sources:
            old, new = part[source], part[unit]
            part = [new if p == old else p for p in part]
    return len(set(part))


CHAIN = Division(
    devices=2,
    host=0,
    supports=(frozenset({0, 1}), frozenset({0, 1}), frozenset({0}), frozenset({0, 1})),
    before=(frozenset(), frozenset({0}), frozenset({1}), frozenset({2})),
    multiplies=(True, False, False, False),
    moves=(False, False, False, True),
    weights=(6, 3, 0, 3),
    room=(None, 8),
)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (onnxruntime(CHAIN, (1,)), [1, 1, 0, 0]),  # the last group only moves data
        (openvino(CHAIN, (1,)), [1, 0, 0, 0]),  # room for 8 bytes
        (tvm(CHAIN, (1,)), [1, 1, 0, 0]),  # the last region multiplies nothing
        (all_on_host(CHAIN), [0, 0, 0, 0]),
    ],
)
def test_a_chain(plan: list[int], expected: list[int]) -> None:
    assert plan == expected

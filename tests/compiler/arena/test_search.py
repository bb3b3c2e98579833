"""The search for offsets against brute force, and against instances that are known to have a plan without a free byte."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.arena import dense, feasible
from autoglmc.compiler.arena.depth_first import DepthFirst, Verdict
from autoglmc.compiler.arena.joined import Joined
from autoglmc.compiler.arena.pack import lower_bound, plan
from autoglmc.compiler.arena.portfolio import SLICE, Portfolio
from autoglmc.compiler.arena.restarts import Outcome, Restarts, preferences
from autoglmc.compiler.arena.sections import Problem, reduce
from autoglmc.compiler.arena.validate import violations


@dataclass(frozen=True)
class Buffer:
    name: str
    bytes: int
    align: int
    lifetime: tuple[int, int]
    offset: int = 0


ALIGNS = ((1,), (4,), (1, 2, 3), (2, 4, 8), (4, 6))


@st.composite
def few(draw: st.DrawFn, most: int = 6) -> list[Buffer]:
    """So few that every order can be tried; sizes that meet often, chains that fall apart where one is placed."""
    aligns = draw(st.sampled_from(ALIGNS))
    shapes = draw(
        st.lists(st.tuples(st.integers(1, 9), st.sampled_from(aligns), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=most)
    )
    return [Buffer(f"b{i}", size, align, (first, first + more)) for i, (size, align, first, more) in enumerate(shapes)]


def smallest(buffers: Sequence[Buffer]) -> int:
    """The least height: some order, each at its lowest free place, has it."""
    return min(map(stacked, itertools.permutations(buffers)))


def stacked(order: Sequence[Buffer]) -> int:
    done: list[Buffer] = []
    for b in order:
        near = [p for p in done if p.lifetime[0] <= b.lifetime[1] and b.lifetime[0] <= p.lifetime[1]]
        free = (o for o in itertools.count(0, b.align) if all(o + b.bytes <= p.offset or p.offset + p.bytes <= o for p in near))
        done.append(replace(b, offset=next(free)))
    return max(b.offset + b.bytes for b in done)


def check(buffers: Sequence[Buffer], problem: Problem, units: Sequence[int], limit: int) -> None:
    placed = [replace(b, offset=offset) for b, offset in zip(buffers, problem.offsets(units), strict=True)]
    assert violations(placed, limit) == ()


Ask = Callable[[Problem, int], tuple[Verdict, list[int]]]


def depth_first(problem: Problem, limit: int) -> tuple[Verdict, list[int]]:
    """One search to its end, in the order of the buffers."""
    near = [[j for live in problem.members if i in live for j in live if j != i] for i in range(len(problem.sizes))]
    search = DepthFirst(problem, limit, range(len(problem.sizes)), problem.highest(limit), [sorted(set(found)) for found in near])
    return search.run(1 << 40, 1 << 40), search.offsets()


def restarts(problem: Problem, limit: int) -> tuple[Verdict, list[int]]:
    found = Restarts(problem, limit, 0).run(1 << 40)
    return found.verdict, found.units


def cp_sat(problem: Problem, limit: int) -> tuple[Verdict, list[int]]:
    found = feasible.ask(problem, limit, preferences(problem)[0], feasible.WORK_PER_SECOND, 0)
    return found.verdict, found.units


@pytest.mark.parametrize("ask", [depth_first, restarts, cp_sat])
@given(few())
def test_a_search_finds_a_plan_exactly_where_there_is_one(ask: Ask, buffers: list[Buffer]) -> None:
    """Just at the smallest height, and not a byte below, whichever way the search takes: no plan is lost, none is invented."""
    least, problem = smallest(buffers), reduce(buffers)
    verdict, units = ask(problem, least)
    assert verdict is Verdict.FOUND
    check(buffers, problem, units, least)
    if least > lower_bound(buffers):
        assert ask(problem, least - 1)[0] is Verdict.IMPOSSIBLE


@pytest.mark.parametrize("ask", [depth_first, restarts])
@given(few(), st.integers(1, 9))
def test_below_the_bound_a_search_finds_nothing(ask: Ask, buffers: list[Buffer], less: int) -> None:
    """Also where a single buffer is larger than the capacity, but not in whole units."""
    assert ask(reduce(buffers), max(lower_bound(buffers) - less, 0))[0] is Verdict.IMPOSSIBLE


@given(few())
def test_a_small_plan_is_the_smallest(buffers: list[Buffer]) -> None:
    found = plan(buffers, effort=5)
    assert found.total == smallest(buffers) == found.lower_bound  # where the sums say less, the search has proven it
    assert lower_bound(buffers) <= found.lower_bound
    assert violations([replace(b, offset=found.offsets[b.name]) for b in buffers], found.total) == ()


@st.composite
def cut(draw: st.DrawFn) -> list[Buffer]:
    return guillotine(draw(st.integers(2, 40)), draw(st.integers(0, 1 << 30)), align=draw(st.sampled_from([1, 64])))


def guillotine(count: int, seed: int, align: int = 1) -> list[Buffer]:
    """A rectangle of 200 steps and 300 rows of 64 bytes cut into pieces, each larger one rather than a smaller."""
    dice = random.Random(seed)
    pieces = [(0, 200, 0, 300)]
    while len(pieces) < count:
        k = dice.choices(range(len(pieces)), [(b - a) * (d - c) for a, b, c, d in pieces])[0]
        a, b, c, d = pieces[k]
        if dice.random() < 0.5 and b - a > 1:
            at = dice.randrange(a + 1, b)
            pieces[k : k + 1] = [(a, at, c, d), (at, b, c, d)]
        elif d - c > 1:
            at = dice.randrange(c + 1, d)
            pieces[k : k + 1] = [(a, b, c, at), (a, b, at, d)]
    dice.shuffle(pieces)
    return [Buffer(f"b{i}", (d - c) * 64, align, (a, b - 1)) for i, (a, b, c, d) in enumerate(pieces)]


@given(cut())
def test_what_was_cut_from_a_rectangle_fills_it_again(buffers: list[Buffer]) -> None:
    found = plan(buffers, effort=100)
    assert found.total == found.lower_bound == 300 * 64
    assert violations([replace(b, offset=found.offsets[b.name]) for b in buffers], found.total) == ()


@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_pieces_fill_the_rectangle_within_seconds(seed: int) -> None:
    found = plan(guillotine(100, seed), effort=400)
    assert found.total == found.lower_bound


def test_cp_sat_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds what depth-first search, given the turns that it has before, does not; blocks, which would, are kept out."""
    monkeypatch.setattr(Joined, "run", lambda self, work: Outcome(Verdict.STOPPED, [], work))
    buffers = guillotine(200, 8)
    problem, limit = reduce(buffers), lower_bound(buffers)
    assert Restarts(problem, limit, 0).run(SLICE).verdict is Verdict.STOPPED
    found = Portfolio(problem, limit, 0).run(3 * SLICE)
    assert found.verdict is Verdict.FOUND
    check(buffers, problem, found.units, limit)


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from test_search import guillotine
from autoglmc.compiler.arena.joined import Joined
from autoglmc.compiler.arena.pack import plan
print([sorted(plan(guillotine(count, 5), effort=effort).offsets.items()) for count, effort in ((60, 3), (150, 60), (150, 200))])
"""


def test_two_processes_find_equal_offsets() -> None:
    """Within the work of greedy rules, of depth-first search and of CP-SAT."""
    script = SCRIPT.format(path=[str(Path(__file__).parent), *filter(None, sys.path)])
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_work_is_kept_to() -> None:
    """What cannot be solved ends after about the work that is allowed."""
    buffers = guillotine(150, 3)
    problem, limit = reduce(buffers), lower_bound(buffers) - 64
    for allowed in (10_000, 1_000_000):
        found = Restarts(problem, limit, 0).run(allowed)
        assert found.verdict is not Verdict.FOUND
        assert found.work <= allowed + 100_000


def test_enough_is_enough() -> None:
    """No search goes on below what is asked for, and one that reaches it keeps to it."""
    buffers = guillotine(120, 1)
    greedy = plan(buffers, effort=0)
    assert plan(buffers, effort=100, enough=greedy.total).offsets == greedy.offsets
    asked = greedy.lower_bound + (greedy.total - greedy.lower_bound) // 2
    assert plan(buffers, effort=100, enough=asked).total <= asked < greedy.total


def units_of(buffers: Sequence[Buffer]) -> tuple[int, list[int]]:
    problem = reduce(buffers)
    return problem.unit, list(problem.aligns)


def test_the_unit_is_the_largest_that_loses_no_plan() -> None:
    at = (0, 0)
    assert units_of([Buffer("a", 96, 1, at), Buffer("b", 64, 32, at)]) == (32, [1, 1])
    assert units_of([Buffer("a", 100, 64, at), Buffer("b", 1, 64, at)]) == (64, [1, 1])
    assert units_of([Buffer("a", 100, 64, at), Buffer("b", 1, 4096, at)]) == (64, [1, 64])
    # an offset of b may be 20, above the 18 + 2 bytes of a; a multiple of neither 6 nor 12
    assert units_of([Buffer("a", 12, 18, at), Buffer("b", 12, 4, at)]) == (2, [9, 2])


def test_sections_are_the_maximal_live_sets() -> None:
    lives = [(0, 5), (1, 2), (2, 3), (4, 5), (7, 8)]
    problem = reduce([Buffer(f"b{i}", 1, 1, life) for i, life in enumerate(lives)])
    assert [set(live) for live in problem.members] == [{0, 1, 2}, {0, 3}, {4}]
    assert problem.first == (0, 0, 0, 1, 2)
    assert problem.last == (1, 0, 0, 1, 2)


@given(few(most=25), st.integers(0, 400_000))
def test_a_dense_plan_is_valid(buffers: list[Buffer], work: int) -> None:
    offsets = dense.pack(buffers, lower_bound(buffers), work)
    placed = [replace(b, offset=offset) for b, offset in zip(buffers, offsets, strict=True)]
    assert violations(placed, max(b.offset + b.bytes for b in placed)) == ()


@given(few(most=12))
def test_a_dense_order_takes_the_lowest_gap(buffers: list[Buffer]) -> None:
    """With work for one order only, it is largest first, ties by first use."""
    by_size = sorted(buffers, key=lambda b: (-b.bytes, b.lifetime[0]))
    offsets = dense.pack(buffers, 0, 0)
    assert max(o + b.bytes for o, b in zip(offsets, buffers, strict=True)) == stacked(by_size)


def layers(count: int) -> Iterator[Buffer]:
    """As of a training graph: what is kept forward dies backward in the opposite order, and much dies at once."""
    dice = random.Random(7)
    for k in range(count):
        size, last = 512 * dice.choice((1, 1, 8, 40, 160)), 2 * count - k if k % 3 == 0 else k + dice.randrange(1, 6)
        yield Buffer(f"b{k}", size, 512, (k, last))


def test_thousands_of_buffers_are_packed_within_a_percent() -> None:
    buffers = [*layers(4000)]
    found = plan(buffers)
    assert found.total <= 1.01 * found.lower_bound
    assert violations([replace(b, offset=found.offsets[b.name]) for b in buffers], found.total) == ()

"""Buffers joined to blocks: what comes out is a plan of the buffers, and fills what no search over the buffers filled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.arena.blocks import Block, Doubt, Joining, spread
from autoglmc.compiler.arena.depth_first import Verdict
from autoglmc.compiler.arena.joined import Joined
from autoglmc.compiler.arena.pack import lower_bound, plan
from autoglmc.compiler.arena.restarts import Restarts
from autoglmc.compiler.arena.sections import reduce
from autoglmc.compiler.arena.validate import violations


@dataclass(frozen=True)
class Buffer:
    name: str
    bytes: int
    align: int
    lifetime: tuple[int, int]
    offset: int = 0


ENOUGH = 1 << 40


def cut(count: int, seed: int, steps: int = 200, rows: int = 300) -> list[Buffer]:
    """A rectangle cut into pieces, larger ones rather than smaller: a plan without a free byte exists."""
    dice = random.Random(seed)
    pieces = [(0, steps, 0, rows)]
    while len(pieces) < count:
        k = dice.choices(range(len(pieces)), [(b - a) * (d - c) for a, b, c, d in pieces])[0]
        a, b, c, d = pieces[k]
        if (across := dice.random() < 0.5) and b - a > 1:
            at = round((b - a) * dice.betavariate(2, 2)) + a
            pieces[k : k + 1] = [(a, at, c, d), (at, b, c, d)] if a < at < b else [pieces[k]]
        elif not across and d - c > 1:
            at = round((d - c) * dice.betavariate(2, 2)) + c
            pieces[k : k + 1] = [(a, b, c, at), (a, b, at, d)] if c < at < d else [pieces[k]]
    dice.shuffle(pieces)
    return [Buffer(f"b{i}", (d - c) * 64, 1, (a, b - 1)) for i, (a, b, c, d) in enumerate(pieces)]


def check(buffers: Sequence[Buffer], offsets: Sequence[int], limit: int) -> None:
    assert violations([replace(b, offset=offset) for b, offset in zip(buffers, offsets, strict=True)], limit) == ()


@st.composite
def some(draw: st.DrawFn) -> list[Buffer]:
    """Few sizes and lifetimes, so that many fit; of some the last unit is only in part used."""
    align = draw(st.sampled_from((1, 4, 64)))
    shapes = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40))
    return [Buffer(f"b{i}", size * 40, align, (first, first + more)) for i, (size, first, more) in enumerate(shapes)]


@given(some(), st.sampled_from(Doubt), st.integers(0, 1 << 20), st.integers(0, 2000))
def test_a_plan_of_the_blocks_is_one_of_the_buffers(buffers: list[Buffer], doubt: Doubt, seed: int, work: int) -> None:
    """Whatever is joined, and wherever the joining is cut off; each buffer is in one block."""
    problem = reduce(buffers)
    blocks = Joining(problem, random.Random(seed)).blocks(doubt, work)
    assert sorted(n for block in blocks for n in leaves(block)) == list(range(len(buffers)))
    limit = sum(-(-b.bytes // 64) * 64 for b in buffers)
    smaller = reduce(blocks)
    found = Restarts(smaller, limit, 0).run(ENOUGH)
    assert found.verdict is Verdict.FOUND
    top = max(o + block.bytes for o, block in zip(smaller.offsets(found.units), blocks, strict=True))
    units = spread(blocks, [offset // problem.unit for offset in smaller.offsets(found.units)], len(buffers))
    check(buffers, problem.offsets(units), top)


def leaves(block: Block) -> list[int]:
    return [n for part in block.parts for n in leaves(part)] if block.parts else [block.number]


def test_what_fits_in_one_way_is_joined_to_one_block() -> None:
    """Two in a row, on two in a stack that come after a third: nothing is left to search."""
    lives = [(40, (0, 1)), (40, (2, 5)), (70, (0, 3)), (30, (4, 5)), (40, (4, 5))]
    buffers = [Buffer(f"b{i}", size, 1, life) for i, (size, life) in enumerate(lives)]
    [block] = Joining(reduce(buffers), random.Random(0)).blocks(Doubt.MUCH, ENOUGH)
    assert (block.bytes, block.lifetime) == (110, (0, len(reduce(buffers).members) - 1))


def test_a_joint_in_doubt_waits_for_the_asking() -> None:
    """Which of two equal ones comes after which of two is not known."""
    buffers = [Buffer(f"b{i}", 10, 1, (first, last)) for i, (first, last) in enumerate([(0, 4), (1, 4), (5, 8), (5, 9)])]
    problem = reduce([*buffers, Buffer("c", 5, 1, (0, 1)), Buffer("d", 5, 1, (9, 12))])
    assert len(Joining(problem, random.Random(0)).blocks(Doubt.SLIGHT, ENOUGH)) > len(
        Joining(problem, random.Random(0)).blocks(Doubt.SEVERAL, ENOUGH)
    )


@pytest.mark.parametrize(("count", "seed", "steps"), [(250, 1, 600), (300, 2, 1000), (350, 3, 400), (400, 4, 1000)])
def test_hundreds_of_pieces_fill_the_rectangle_within_a_second(count: int, seed: int, steps: int) -> None:
    buffers = cut(count, seed, steps, 1000)
    problem, limit = reduce(buffers), lower_bound(buffers)
    found = Joined(problem, limit, 0).run(10_000_000)
    assert found.verdict is Verdict.FOUND
    check(buffers, problem.offsets(found.units), limit)


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_the_planner_asks_the_blocks(seed: int) -> None:
    buffers = cut(300, seed, 1000, 1000)
    assert Restarts(reduce(buffers), lower_bound(buffers), 0).run(2_000_000).verdict is Verdict.STOPPED
    found = plan(buffers, effort=50)
    assert found.total == found.lower_bound


def test_nothing_is_proven_by_blocks_and_none_are_made_where_alignments_rule() -> None:
    """Below the sum of sizes there is no plan, but the search over blocks does not say so."""
    buffers = cut(30, 0)
    assert Joined(reduce(buffers), lower_bound(buffers) - 64, 0).run(100_000).verdict is Verdict.STOPPED
    aligned = [Buffer("a", 100, 64, (0, 1)), Buffer("b", 100, 4096, (2, 3))]
    search = Joined(reduce(aligned), 4096, 0)
    assert not search.helps
    assert search.run(1000).work == 0


@pytest.mark.parametrize("count", [500, 1500])
def test_work_is_kept_to(count: int) -> None:
    """With hundreds that live equally long, too."""
    dice = random.Random(5)
    buffers = [Buffer(f"b{i}", dice.choice((8, 16, 24)), 1, (k := i % 5, k + i % 2)) for i in range(count)]
    joining = Joining(reduce(buffers), random.Random(0))
    joining.blocks(Doubt.MUCH, 50_000)
    assert joining.work <= 50_000 + 30 * count
    found = Joined(reduce(buffers), lower_bound(buffers) - 1, 0).run(200_000)
    assert found.verdict is Verdict.STOPPED
    assert found.work <= 500_000

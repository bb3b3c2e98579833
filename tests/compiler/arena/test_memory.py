"""The planner against its independent validator, and the validator against planted mistakes."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from counted import calls_of
from hypothesis import assume, given
from hypothesis import strategies as st

from autoglmc.compiler.arena.crowd import by_birth
from autoglmc.compiler.arena.pack import Plan, lower_bound, plan
from autoglmc.compiler.arena.validate import violations


@dataclass(frozen=True)
class Buffer:
    name: str
    bytes: int
    align: int
    first: int
    last: int
    offset: int = -1

    @property
    def lifetime(self) -> tuple[int, int]:
        return self.first, self.last


def at(buffers: Sequence[Buffer], offsets: Mapping[str, int]) -> list[Buffer]:
    """The buffers at their offsets."""
    return [replace(b, offset=offsets[b.name]) for b in buffers]


@st.composite
def problems(draw: st.DrawFn) -> list[Buffer]:
    count = draw(st.integers(1, 25))
    made = []
    for i in range(count):
        first = draw(st.integers(0, 12))
        size, align = draw(st.integers(1, 5000)), draw(st.sampled_from([1, 4, 64, 96, 4096]))
        made.append(Buffer(f"b{i}", size, align, first, first + draw(st.integers(0, 6))))
    return made


@given(problems(), st.sampled_from([0, 1]))
def test_every_plan_is_valid_and_not_below_the_bound(buffers: list[Buffer], effort: int) -> None:
    found = plan(buffers, effort=effort)
    assert found.offsets.keys() == {b.name for b in buffers}
    assert violations(at(buffers, found.offsets), found.total) == ()
    assert found.total >= found.lower_bound
    assert found.total == max(found.offsets[b.name] + b.bytes for b in buffers)


@given(problems(), st.data())
def test_a_moved_buffer_that_overlaps_is_noticed(buffers: list[Buffer], data: st.DataObject) -> None:
    found = plan(buffers, effort=0)
    pairs = [(a, b) for a in buffers for b in buffers if a != b and a.first <= b.last and b.first <= a.last]
    assume(pairs)
    moved, other = data.draw(st.sampled_from(pairs))
    into = data.draw(st.integers(0, other.bytes - 1))
    offsets = {**found.offsets, moved.name: found.offsets[other.name] + into}
    broken = violations(at(buffers, offsets), found.total + moved.bytes)
    assert any("overlap" in line and repr(moved.name) in line and repr(other.name) in line for line in broken)


@given(problems(), st.data())
def test_moves_that_keep_apart_are_accepted(buffers: list[Buffer], data: st.DataObject) -> None:
    found = plan(buffers, effort=0)
    moved = data.draw(st.sampled_from(buffers))
    beyond = math.ceil(found.total / moved.align) * moved.align
    assert violations(at(buffers, {**found.offsets, moved.name: beyond}), beyond + moved.bytes) == ()


def test_validator_names_each_kind_of_mistake() -> None:
    buffers = [Buffer("a", 100, 64, 0, 1), Buffer("b", 100, 64, 1, 2)]
    assert violations(at(buffers, {"a": 0, "b": 128}), 228) == ()
    assert "not a multiple of 64" in violations(at(buffers, {"a": 0, "b": 130}), 400)[0]
    assert "after the arena" in violations(at(buffers, {"a": 0, "b": 128}), 200)[0]
    assert "before the arena" in violations(at(buffers, {"a": -128, "b": 128}), 228)[0]
    assert "228 bytes of 227" in violations(at(buffers, {"a": 0, "b": 128}), 228, budget=227)[0]
    assert len(violations(at(buffers, {"a": 0, "b": 64}), 228)) == 1


def test_inclusive_lifetimes_never_share_a_step() -> None:
    """The last reader of one tensor writes the next: input and output of one segment share no byte."""
    touching = [Buffer("in", 10, 1, 0, 3), Buffer("out", 10, 1, 3, 5)]
    assert plan(touching).total == 20
    apart = [Buffer("in", 10, 1, 0, 3), Buffer("out", 10, 1, 4, 5)]
    assert plan(apart).total == 10


def test_lower_bound_by_hand() -> None:
    assert lower_bound([]) == 0
    assert lower_bound([Buffer("a", 5, 1, 0, 2), Buffer("b", 7, 1, 2, 4), Buffer("c", 6, 1, 3, 3)]) == 13


def test_lower_bound_counts_the_holes_that_alignment_forces() -> None:
    buffers = [Buffer(name, 100, 4096, 0, 1) for name in "abc"]
    assert lower_bound(buffers) == plan(buffers).total == 2 * 4096 + 100
    mixed = [*buffers, Buffer("d", 3000, 64, 0, 1)]
    assert lower_bound(mixed) == plan(mixed).total == 2 * 4096 + 100  # d fits between two of them


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from([1, 2, 3, 4, 6]), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4)
)
def test_no_plan_is_below_the_bound(shapes: list[tuple[int, int, int, int]]) -> None:
    """Against every order, each buffer at its lowest free place: one of these orders is optimal."""
    buffers = [Buffer(f"b{i}", size, align, first, first + more) for i, (size, align, first, more) in enumerate(shapes)]
    best = min(lowest_first(order) for order in itertools.permutations(buffers))
    assert lower_bound(buffers) <= best <= plan(buffers).total


def lowest_first(order: tuple[Buffer, ...]) -> int:
    placed: list[tuple[Buffer, int]] = []
    for b in order:
        near = [(o, o + p.bytes) for p, o in placed if p.first <= b.last and b.first <= p.last]
        offset = next(o for o in itertools.count(0, b.align) if all(o + b.bytes <= s or e <= o for s, e in near))
        placed.append((b, offset))
    return max(offset + b.bytes for b, offset in placed)


def test_equal_input_gives_equal_offsets_and_more_effort_is_never_worse() -> None:
    buffers = [Buffer(f"b{i}", 1 + (i * 7919) % 997, 1, (i * 31) % 40, (i * 31) % 40 + (i * 17) % 9) for i in range(120)]
    low, one, again, five = plan(buffers, effort=0), plan(buffers), plan(buffers), plan(buffers, effort=5)
    assert one.offsets == again.offsets
    assert five.total <= one.total <= low.total


def test_searching_beats_the_best_greedy_order_where_it_leaves_a_gap() -> None:
    buffers = [Buffer(f"b{i}", 64 * (1 + (i * 7919) % 97), 1, (i * 37) % 60, (i * 37) % 60 + 3 + (i * 13) % 25) for i in range(150)]
    greedy, searched = plan(buffers, effort=0), plan(buffers, effort=5)
    assert greedy.total > greedy.lower_bound
    assert searched.total == searched.lower_bound
    assert violations(at(buffers, searched.offsets), searched.total) == ()


def test_mapped_is_whole_pages() -> None:
    found = plan([Buffer("a", 5000, 64, 0, 0)], page=4096)
    assert (found.total, found.mapped, found.page) == (5000, 8192, 4096)
    assert plan([], page=16384).mapped == 0


@pytest.mark.parametrize(
    ("buffers", "says"),
    [
        ([Buffer("a", 1, 1, 0, 0), Buffer("a", 1, 1, 1, 1)], "two buffers named 'a'"),
        ([Buffer("a", 0, 1, 0, 0)], "size 0"),
        ([Buffer("a", 1, 0, 0, 0)], "alignment 0"),
        ([Buffer("a", 1, 1, 2, 1)], "dies at step 1"),
    ],
)
def test_impossible_buffers_are_refused(buffers: list[Buffer], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plan(buffers)


@pytest.mark.parametrize("lives", ["together", "staggered", "nested", "random"])
def test_a_crowd_is_packed_without_looking_at_pairs(lives: str) -> None:
    """4,000 buffers: 8 million pairs."""
    dice = random.Random(0)
    spans = {
        "together": lambda k: (0, 9),
        "staggered": lambda k: (k, k + 3000),
        "nested": lambda k: (k, 9000 - k),
        "random": lambda k: (first := dice.randrange(3000), first + dice.randrange(3000)),
    }
    buffers = []
    for k in range(4000):
        first, last = spans[lives](k)
        buffers.append(Buffer(f"b{k}", dice.randrange(1, 5000), dice.choice([1, 64, 4096]), first, last))
    found: list[Plan] = []
    assert calls_of(lambda: found.append(plan(buffers))) < 200 * len(buffers)
    broken: list[tuple[str, ...]] = []
    assert calls_of(lambda: broken.append(violations(at(buffers, found[0].offsets), found[0].total))) < 200 * len(buffers)
    assert broken == [()]
    assert found[0].total == max(found[0].offsets[b.name] + b.bytes for b in buffers) <= 1.6 * found[0].lower_bound


@given(problems())
def test_packing_by_birth_is_valid(buffers: list[Buffer]) -> None:
    offsets = by_birth(buffers)
    total = max(o + b.bytes for o, b in zip(offsets, buffers, strict=True))
    assert violations(at(buffers, {b.name: o for b, o in zip(buffers, offsets, strict=True)}), total) == ()


@given(problems(), st.data())
def test_every_pair_that_overlaps_is_told(buffers: list[Buffer], data: st.DataObject) -> None:
    placed = [replace(b, offset=data.draw(st.integers(0, 9000)) // b.align * b.align) for b in buffers]
    pairs = {
        (a.name, b.name)
        for a, b in itertools.combinations(placed, 2)
        if a.first <= b.last and b.first <= a.last and a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes
    }
    told = [re.findall(r"'(b\d+)'", line) for line in violations(placed, 1 << 20)]
    assert len(told) == len(pairs)
    assert {frozenset(names) for names in told} == {frozenset(pair) for pair in pairs}

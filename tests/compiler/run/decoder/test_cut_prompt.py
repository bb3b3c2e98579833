"""Prompts cut into runs: the least time of all cuts that are allowed, and a refusal only where there is none."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.decoder.cut_prompt import _Window, cut_prompt

KINDS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=3)


def least(tokens: int, kinds: list[tuple[int, int]], room: int, fills_up: bool, together: list[range]) -> float:
    """Of all cuts, by trying every one."""
    inside = {place for places in together for place in places if place != places.start}

    @cache
    def rest(begin: int) -> float:
        if begin == tokens:
            return 0.0
        return min(
            (
                cost + rest(end)
                for size, cost in kinds
                for end in range(begin + 1, min(begin + size, tokens) + 1)
                if end not in inside and begin + size <= room and (fills_up or end == begin + size)
            ),
            default=inf,
        )

    return rest(0)


@given(
    tokens=st.integers(1, 14), kinds=KINDS, spare=st.integers(0, 6), fills_up=st.booleans(), images=st.lists(st.integers(0, 12), max_size=2)
)
def test_no_cut_is_faster_and_images_are_whole(
    tokens: int, kinds: list[tuple[int, int]], spare: int, fills_up: bool, images: list[int]
) -> None:
    together = [range(at, at + 3) for at in images if at + 3 <= tokens]
    if len(together) == 2 and abs(together[0].start - together[1].start) < 3:
        together = together[:1]
    sizes = {str(k): size for k, (size, _) in enumerate(kinds)}
    seconds = {str(k): float(cost) for k, (_, cost) in enumerate(kinds)}
    expected = least(tokens, kinds, tokens + spare, fills_up, together)
    if expected == inf:
        with pytest.raises(UsageError, match="cannot be cut into runs"):
            cut_prompt(tokens, sizes, seconds, room=tokens + spare, fills_up=fills_up, together=together)
        return
    found, begin = cut_prompt(tokens, sizes, seconds, room=tokens + spare, fills_up=fills_up, together=together), 0
    assert sum(seconds[entry] for entry, _ in found) == expected and sum(taken for _, taken in found) == tokens
    for entry, taken in found:
        assert 0 < taken <= sizes[entry] and begin + sizes[entry] <= tokens + spare and (fills_up or taken == sizes[entry])
        assert all(begin <= place.start and place.stop <= begin + taken for place in together if begin <= place.start < begin + taken)
        begin += taken


def test_runs_are_as_full_as_they_can_be() -> None:
    """Of equal cuts the one whose first runs have the most tokens: those are filled up by nothing."""
    assert cut_prompt(40, {"prefill": 16, "decode": 1}, {"prefill": 3.0, "decode": 1.0}, room=64, fills_up=True) == [
        ("prefill", 16),
        ("prefill", 16),
        ("prefill", 8),
    ]
    refused = r"40 tokens cannot be cut into runs of 16 that fit 40 places left in the caches, with the 16 rows of an image in one run"
    with pytest.raises(UsageError, match=refused):
        cut_prompt(40, {"prefill": 16}, {"prefill": 3.0}, room=40, fills_up=True, together=[range(18, 34)])


def by_every_end(tokens: int, sizes: dict[str, int], seconds: dict[str, float], room: int, fills_up: bool, inside: set[int]) -> list[int]:
    """Tokens of each run of the cut that a look at every end finds, of equal ones the last; none where there is no cut."""
    best, ends = [inf] * tokens + [0.0], [0] * tokens
    for begin in reversed(range(tokens)):
        for entry, size in () if begin in inside else sizes.items():
            last = min(begin + size, tokens)
            if begin + size > room or not (fills_up or last == begin + size):
                continue
            end = min(range(begin + 1 if fills_up else last, last + 1), key=lambda end: (best[end], -end))
            if seconds[entry] + best[end] < best[begin]:
                best[begin], ends[begin] = seconds[entry] + best[end], end
    cuts = [0]
    while best[0] < inf and cuts[-1] < tokens:
        cuts.append(ends[cuts[-1]])
    return [end - begin for begin, end in pairwise(cuts)]


@given(
    tokens=st.integers(1, 40),
    kinds=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=4),
    spare=st.integers(0, 12),
    fills_up=st.booleans(),
    images=st.lists(st.tuples(st.integers(0, 38), st.integers(1, 6)), max_size=4),
)
def test_the_window_finds_the_cut_that_every_end_does(
    tokens: int, kinds: list[tuple[int, int]], spare: int, fills_up: bool, images: list[tuple[int, int]]
) -> None:
    together = [range(at, at + rows) for at, rows in images if at + rows <= tokens]
    sizes = {str(k): size for k, (size, _) in enumerate(kinds)}
    seconds = {str(k): float(cost) for k, (_, cost) in enumerate(kinds)}
    room, inside = tokens + spare, {place for places in together for place in places[1:]}
    expected = by_every_end(tokens, sizes, seconds, room, fills_up, inside)
    if not expected:
        with pytest.raises(UsageError, match="cannot be cut into runs"):
            cut_prompt(tokens, sizes, seconds, room=room, fills_up=fills_up, together=together)
        return
    found = cut_prompt(tokens, sizes, seconds, room=room, fills_up=fills_up, together=together)
    assert [taken for _, taken in found] == expected


def test_places_are_looked_at_a_bounded_number_of_times() -> None:
    """However large the window is: falling, rising and equal numbers."""

    class Counted(list[float]):
        reads = 0

        def __getitem__(self, place: Any) -> Any:
            self.reads += 1
            return super().__getitem__(place)

    places = 500
    for numbers in ([float(k) for k in range(places)], [float(-k) for k in range(places)], [0.0] * places):
        counted = Counted(numbers)
        window = _Window(counted, 100)
        for place in reversed(range(places)):
            window.reach(place)
        assert counted.reads <= 4 * places

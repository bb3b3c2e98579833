"""Offsets in one arena for buffers with lifetimes. Knows bytes and steps, not ONNX.

    minimise  total = max over buffers of offset + size
    so that   offset is a multiple of align, and two buffers live at the same step share no byte

Greedy orders come first (real graphs are solved by one of them). While a gap to the lower bound remains, searches ask for a plan at the
bound, then for one just above it. Work is counted in what is looked at, never in seconds, so equal input gives equal offsets everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import crowd, dense
from .anytime import Improve
from .bound import lower_bound
from .buffer import Buffer
from .greedy import Greedy

WORK_PER_EFFORT = 200_000
"""Member visits that one unit of effort may cost: about 15 ms."""
GREEDY_WORK = 60_000
"""Of those of one unit, neighbours that the greedy orders may look at."""
SEARCHED = 2_000
"""Buffers up to which a search is of use: beyond, one descent of it takes longer than all greedy orders."""
DENSE = 40_000
"""Buffers up to which each can be held against all others."""


@dataclass(frozen=True, slots=True)
class Plan:
    offsets: Mapping[str, int]
    total: int
    """Bytes from offset 0 to the end of the highest buffer."""
    lower_bound: int
    """No plan is smaller: the largest sum of sizes live at one step, holes that alignment forces included, or what the search proved."""
    page: int

    @property
    def mapped(self) -> int:
        """Bytes that a process maps: `total` in whole pages."""
        return -(-self.total // self.page) * self.page


def plan(buffers: Sequence[Buffer], *, page: int = 4096, effort: int = 1, enough: int = 0, seed: int = 0) -> Plan:
    """The smallest plan found within `effort`: 0 stops after the greedy orders, each unit above allows about 15 ms of search.

    enough: bytes with which to be content; any plan within them is as good as the smallest. seed: another one makes the search, not the
    greedy orders, take other ways.

    Raises ValueError for two buffers of one name, a size or alignment below 1, or a lifetime that ends before it begins.
    """
    _check(buffers)
    bound = lower_bound(buffers)
    offsets, bound = _search(buffers, bound, max(bound, enough), effort, seed) if buffers else ([], 0)
    total = max((o + b.bytes for o, b in zip(offsets, buffers, strict=True)), default=0)
    return Plan({b.name: o for b, o in zip(buffers, offsets, strict=True)}, total, bound, page)


def _search(buffers: Sequence[Buffer], bound: int, goal: int, effort: int, seed: int) -> tuple[list[int], int]:
    """Offsets of at least one buffer, and a lower bound; a plan of `goal` bytes ends the search for a better one."""
    count, pairs = len(buffers), crowd.pairs(buffers)
    if pairs > crowd.CROWD and count > DENSE:
        return crowd.by_birth(buffers), bound
    if count > SEARCHED and (pairs > crowd.CROWD or dense.work_of(count) < pairs):
        return dense.pack(buffers, goal, effort * WORK_PER_EFFORT), bound
    offsets = Greedy(buffers).portfolio(goal, max(effort, 1) * GREEDY_WORK)
    if count > SEARCHED or effort <= 0 or max(o + b.bytes for o, b in zip(offsets, buffers, strict=True)) <= goal:
        return offsets, bound
    found = Improve(buffers, offsets, bound, goal, seed)
    found.run(effort * WORK_PER_EFFORT)
    return found.offsets, found.bound


def _check(buffers: Sequence[Buffer]) -> None:
    names: set[str] = set()
    for b in buffers:
        if b.name in names:
            raise ValueError(f"two buffers named {b.name!r}")
        if b.bytes < 1 or b.align < 1:
            raise ValueError(f"buffer {b.name!r}: size {b.bytes} and alignment {b.align} must be at least 1")
        first, last = b.lifetime
        if first > last:
            raise ValueError(f"buffer {b.name!r}: dies at step {last} before it is born at step {first}")
        names.add(b.name)

"""Gather operators into units that are placed together: few enough for an exact solver, convex, and each with one set of devices.

Only operators that the same devices can run are joined. First along kernel chains, then along edges whose one end has no
other neighbour on that side (which can never close a cycle), at last into runs of the topological order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

MAX_UNITS = 100


def coarsen(
    count: int, edges: Sequence[tuple[int, int]], mind: Sequence[Hashable], together: Iterable[tuple[int, int]], most: int = MAX_UNITS
) -> list[list[int]]:
    """Units of node numbers (0..count-1, topological order in and out, each unit sorted). `mind[k]` must agree inside a unit;
    `together` are edges u -> v to join first, where u's only reader is v. More than `most` units only if minds differ that often."""
    roots = _Roots(count)
    for u, v in together:
        if mind[u] == mind[v]:
            roots.join(u, v, count)
    room = 2
    while len(roots) > most and room <= 2 * count:
        before = len(roots)
        _join_lone_edges(roots, edges, mind, most, room)
        room = room * 2 if len(roots) == before else room
    if len(roots) > most:
        return _ordered(_runs(roots, edges, mind, most), edges)
    return _ordered(roots.groups(), edges)


class _Roots:
    """Union-find with sizes."""

    def __init__(self, count: int) -> None:
        self._parent, self._size, self._sets = list(range(count)), [1] * count, count

    def __len__(self) -> int:
        return self._sets

    def find(self, k: int) -> int:
        while self._parent[k] != k:
            self._parent[k] = k = self._parent[self._parent[k]]
        return k

    def join(self, a: int, b: int, room: int) -> bool:
        """Joins two sets unless the result would hold more than `room` nodes."""
        a, b = self.find(a), self.find(b)
        if a == b or self._size[a] + self._size[b] > room:
            return False
        self._parent[max(a, b)] = min(a, b)
        self._size[min(a, b)] = self._size[a] + self._size[b]
        self._sets -= 1
        return True

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for k in range(len(self._parent)):
            found.setdefault(self.find(k), []).append(k)
        return list(found.values())


def _join_lone_edges(roots: _Roots, edges: Sequence[tuple[int, int]], mind: Sequence[Hashable], most: int, room: int) -> None:
    """One sweep: join u -> v where v is u's only reader or u is v's only feeder. Neighbourhoods are those at the start of the sweep, so
    whoever has one neighbour takes part in one join at most; the neighbour may in many, or a sweep would take one leaf of a star."""
    after: dict[int, set[int]] = {}
    before: dict[int, set[int]] = {}
    pairs = dict.fromkeys((roots.find(u), roots.find(v)) for u, v in edges)
    for u, v in pairs:
        if u != v:
            after.setdefault(u, set()).add(v)
            before.setdefault(v, set()).add(u)
    moved: set[int] = set()
    for u, v in pairs:
        if len(roots) <= most:
            return
        if u == v or mind[u] != mind[v]:
            continue
        lone = (u not in moved and len(after[u]) == 1) or (v not in moved and len(before[v]) == 1)
        if lone and roots.join(u, v, room):
            moved.update((u, v))


def _runs(roots: _Roots, edges: Sequence[tuple[int, int]], mind: Sequence[Hashable], most: int) -> list[list[int]]:
    """Neighbours in topological order with the same device set: always convex."""
    units = _ordered(roots.groups(), edges)
    total = sum(len(unit) for unit in units)
    room = max(2, -(-2 * total // most))
    runs: list[list[int]] = []
    for unit in units:
        if runs and mind[runs[-1][0]] == mind[unit[0]] and len(runs[-1]) + len(unit) <= room:
            runs[-1] = sorted([*runs[-1], *unit])
        else:
            runs.append(unit)
    return runs


def _ordered(units: list[list[int]], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Units in a topological order of the quotient graph, ties by first node (Kahn with a heap)."""
    import heapq

    of = {node: k for k, unit in enumerate(units) for node in unit}
    after: list[set[int]] = [set() for _ in units]
    waiting = [0] * len(units)
    for u, v in edges:
        a, b = of[u], of[v]
        if a != b and b not in after[a]:
            after[a].add(b)
            waiting[b] += 1
    ready = [(units[k][0], k) for k, missing in enumerate(waiting) if missing == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, k = heapq.heappop(ready)
        order.append(sorted(units[k]))
        for b in after[k]:
            waiting[b] -= 1
            if waiting[b] == 0:
                heapq.heappush(ready, (units[b][0], b))
    if len(order) != len(units):
        raise AssertionError("units form a cycle")
    return order

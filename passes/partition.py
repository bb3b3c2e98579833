"""Dividing a directed acyclic graph of units, each with its device, into few segments that can run one after the other.

A segment is a set of units of one device that is convex (no path leaves it and comes back) because segments are cut from
the front: running everything that is ready on a device is never worse than leaving some of it for later, so the cheapest
cut is a shortest path over "what has run so far", with one edge per device. Pure integers; knows no ONNX.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

MAX_STATES = 2_000
"""States expanded before the search turns greedy; reached only by graphs with dozens of islands on three or more devices."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment: the device's index and its units in topological order."""

    device: int
    units: tuple[int, ...]


def partition(device_of: Sequence[int], predecessors: Sequence[Sequence[int]], dispatch: Sequence[float]) -> tuple[Piece, ...]:
    """Segments in execution order with the least total dispatch (then the fewest). Units are numbered in topological order."""
    count = len(device_of)
    everything = (1 << count) - 1
    needs = [sum(1 << p for p in set(preds)) for preds in predecessors]
    devices = sorted(set(device_of))
    members = {d: [u for u in range(count) if device_of[u] == d] for d in devices}
    start: tuple[float, int, int, tuple[int, ...]] = (0.0, 0, 0, ())
    queue = [start]
    seen: set[int] = set()
    while queue:
        seconds, pieces, done, path = heapq.heappop(queue)
        if done == everything:
            return _pieces(path, members, needs)
        if done in seen:
            continue
        seen.add(done)
        if len(seen) > MAX_STATES:
            queue = []
        for device in devices:
            if path and path[-1] == device:
                continue
            ran = _run(done, members[device], needs)
            if ran != done and ran not in seen:
                heapq.heappush(queue, (seconds + dispatch[device], pieces + 1, ran, (*path, device)))
    return ()


def _run(done: int, members: Sequence[int], needs: Sequence[int]) -> int:
    """What has run once everything ready on one device has run too."""
    for unit in members:
        if not done >> unit & 1 and needs[unit] & ~done == 0:
            done |= 1 << unit
    return done


def _pieces(path: Sequence[int], members: dict[int, list[int]], needs: Sequence[int]) -> tuple[Piece, ...]:
    done, pieces = 0, []
    for device in path:
        ran = _run(done, members[device], needs)
        fresh = ran & ~done
        pieces.append(Piece(device, tuple(u for u in members[device] if fresh >> u & 1)))
        done = ran
    return tuple(pieces)

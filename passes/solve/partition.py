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


@dataclass(frozen=True, slots=True)
class _State:
    """What has run: everything before the ready units, which are those not run whose predecessors all have."""

    done: bytes
    """One byte per unit."""
    ready: tuple[int, ...]
    """In order; tells states apart as well as `done` does."""
    pieces: _Pieces | None


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The last piece, and those before it."""

    last: Piece
    before: _Pieces | None


def partition(device_of: Sequence[int], predecessors: Sequence[Sequence[int]], dispatch: Sequence[float]) -> tuple[Piece, ...]:
    """Segments in execution order with the least total dispatch (then the fewest). Units are numbered in topological order."""
    count = len(device_of)
    needs = [tuple(set(found)) for found in predecessors]
    followers: list[list[int]] = [[] for _ in range(count)]
    for unit, found in enumerate(needs):
        for p in found:
            followers[p].append(unit)
    queue = [(0.0, 0, 0, _State(bytes(count), tuple(u for u in range(count) if not needs[u]), None))]
    seen: set[tuple[int, ...]] = set()
    pushed = 0
    while queue:
        seconds, pieces, _, state = heapq.heappop(queue)
        if not state.ready:
            return _in_order(state.pieces)
        if state.ready in seen:
            continue
        seen.add(state.ready)
        if len(seen) > MAX_STATES:
            queue = []
        for device in sorted({device_of[unit] for unit in state.ready}):
            after = _run(state, device, device_of, needs, followers)
            if after.ready not in seen:
                pushed += 1
                heapq.heappush(queue, (seconds + dispatch[device], pieces + 1, pushed, after))
    return ()


def _run(
    state: _State, device: int, device_of: Sequence[int], needs: Sequence[Sequence[int]], followers: Sequence[Sequence[int]]
) -> _State:
    """What has run once everything ready on one device has run too, and what became ready by that."""
    done = bytearray(state.done)
    fresh = [unit for unit in state.ready if device_of[unit] == device]
    ready = [unit for unit in state.ready if device_of[unit] != device]
    for unit in fresh:
        done[unit] = 1
        for follower in followers[unit]:
            if all(done[p] for p in needs[follower]):
                (fresh if device_of[follower] == device else ready).append(follower)
    return _State(bytes(done), tuple(sorted(ready)), _Pieces(Piece(device, tuple(sorted(fresh))), state.pieces))


def _in_order(pieces: _Pieces | None) -> tuple[Piece, ...]:
    found: list[Piece] = []
    while pieces is not None:
        found.append(pieces.last)
        pieces = pieces.before
    return tuple(reversed(found))

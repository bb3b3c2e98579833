"""Predicted time of every operator that was placed: its share of the kernels that its segment is emitted with.

A kernel stands for the operators whose results it writes, and for those that rules have taken into it, whose results nobody writes any
more: they are found along the graph, from what they wrote to who read it. Its seconds are divided by what the operators take
alone. Where a runtime's compiler says what operators take, its word holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...passes.graph.node import Node
from ...passes.place.placed import Placement
from .segment_times import SegmentTime
from .segments import Compiled


def operator_seconds(placement: Placement, compiled: Compiled, times: Sequence[SegmentTime]) -> tuple[float, ...]:
    """Per node of the placement's question; with one dispatch, those of a segment sum to its seconds."""
    question, found = placement.question, [0.0] * len(placement.question.nodes)
    for piece, segment, time in zip(placement.solution.price.pieces, compiled.segments, times, strict=True):
        members = sorted(k for unit in piece.units for k in question.units[unit])
        shares = [question.compiled.get((k, piece.device), 0.0) for k in members]
        if not any(shares):
            shares = _shares([question.nodes[k] for k in members], [placement.seconds[k] for k in members], time)
        total, whole = sum(shares), segment.seconds - time.dispatch
        for k, share in zip(members, shares, strict=True):
            found[k] = share * whole / total if total else whole / len(members)
    return tuple(found)


def _shares(nodes: Sequence[Node], alone: Sequence[float], time: SegmentTime) -> list[float]:
    """Seconds of the operators of one segment (in topological order), each from the kernel that computes it."""
    kernel_of = _kernel_of(nodes, time)
    members: dict[int, list[int]] = {}
    for k, kernel in enumerate(kernel_of):
        members.setdefault(kernel, []).append(k)
    seconds = _of_kernels(time, members)
    found = [0.0] * len(nodes)
    for kernel, mine in members.items():
        weight = sum(alone[k] for k in mine)
        for k in mine:
            found[k] = seconds.get(kernel, 0.0) * (alone[k] / weight if weight else 1 / len(mine))
    return found


def _kernel_of(nodes: Sequence[Node], time: SegmentTime) -> list[int]:
    """The number of the kernel that computes each operator; -1 of one that is left out, as a view."""
    writer = {name: number for number, one in enumerate(time.kernels) for node in one.kernel.members for name in node.writes}
    later: dict[str, int] = {}
    found = [-1] * len(nodes)
    for k in reversed(range(len(nodes))):
        node = nodes[k]
        known = (table[name] for table in (writer, later) for name in node.writes if name in table)
        found[k] = next(known, -1)
        if found[k] >= 0:
            later.update((name, found[k]) for name in node.reads if name not in writer)
    return found


def _of_kernels(time: SegmentTime, members: Mapping[int, Sequence[int]]) -> dict[int, float]:
    """Seconds by kernel; those of one that stands for no operator go to the next kernel that reads what it writes, and stands for one."""
    readers: dict[str, int] = {}
    heir, found = {}, dict.fromkeys(members, 0.0)
    for number in reversed(range(len(time.kernels))):
        kernel = time.kernels[number].kernel
        next_one = next((readers[name] for node in kernel.members for name in node.writes if name in readers), None)
        heir[number] = number if number in members else next_one
        if (to := heir[number]) is not None:
            found[to] += time.kernels[number].seconds
            readers.update((name, to) for node in kernel.members for name in node.reads)
    return found

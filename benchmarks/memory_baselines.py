"""What memory_plans.py compares with. Written out here, so that it does not follow changes of the product."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from memory_instances import Buffer

Offsets = dict[str, int]


def greedy_by_size(buffers: Sequence[Buffer], seconds: float) -> Offsets:
    """The usual rule: largest first, each at its lowest gap."""
    return _named(buffers, _place(buffers, _near(buffers), _by_size(buffers), tight=False))


def best_fit(buffers: Sequence[Buffer], seconds: float) -> Offsets:
    """Largest first, each in its tightest gap."""
    return _named(buffers, _place(buffers, _near(buffers), _by_size(buffers), tight=True))


def hill_climb(buffers: Sequence[Buffer], seconds: float) -> Offsets:
    """Orders of greedy placement: one that reaches the top is placed earlier or swapped with one it overlaps; what is not worse is kept."""
    near, dice = _near(buffers), random.Random(0)
    order = _by_size(buffers)
    offsets = _place(buffers, near, order, tight=False)
    height = _height(buffers, offsets)
    stop = time.process_time() + seconds
    while time.process_time() < stop:
        top = dice.choice([i for i in order if offsets[i] + buffers[i].bytes == height])
        changed, at = list(order), order.index(top)
        if near[top] and dice.random() < 0.5:
            other = order.index(dice.choice(near[top]))
            changed[at], changed[other] = changed[other], changed[at]
        else:
            changed.insert(dice.randrange(at + 1), changed.pop(at))
        trial = _place(buffers, near, changed, tight=False)
        if _height(buffers, trial) <= height:
            order, offsets, height = changed, trial, _height(buffers, trial)
    return _named(buffers, offsets)


def plain_cp_sat(buffers: Sequence[Buffer], seconds: float) -> Offsets:
    """Smallest height over rectangles that do not overlap, one worker, as its manual shows it; greedy-by-size is its hint."""
    from ortools.sat.python import cp_model

    start = greedy_by_size(buffers, seconds)
    most = max(start[b.name] + b.bytes for b in buffers)
    model = cp_model.CpModel()
    height = model.new_int_var(0, most, "height")
    wide, tall, offsets = [], [], []
    for b in buffers:
        offset = model.new_int_var(0, most - b.bytes, b.name)
        wide.append(model.new_fixed_size_interval_var(b.lifetime[0], b.lifetime[1] + 1 - b.lifetime[0], ""))
        tall.append(model.new_fixed_size_interval_var(offset, b.bytes, ""))
        model.add(offset + b.bytes <= height)
        model.add_hint(offset, start[b.name])
        offsets.append(offset)
    model.add_no_overlap_2d(wide, tall)
    model.minimize(height)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.max_time_in_seconds = 1, seconds
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return start
    return {b.name: solver.value(offset) for b, offset in zip(buffers, offsets, strict=True)}


def _by_size(buffers: Sequence[Buffer]) -> list[int]:
    return sorted(range(len(buffers)), key=lambda i: -buffers[i].bytes)


def _near(buffers: Sequence[Buffer]) -> list[list[int]]:
    lives = [b.lifetime for b in buffers]
    return [[j for j, (b, e) in enumerate(lives) if j != i and b <= end and begin <= e] for i, (begin, end) in enumerate(lives)]


def _place(buffers: Sequence[Buffer], near: Sequence[Sequence[int]], order: Sequence[int], *, tight: bool) -> list[int]:
    offsets = [-1] * len(order)
    for i in order:
        size, cursor, gaps = buffers[i].bytes, 0, []
        for start, end in sorted((offsets[j], offsets[j] + buffers[j].bytes) for j in near[i] if offsets[j] >= 0):
            if start - cursor >= size:
                gaps.append((start - cursor, cursor))
            cursor = max(cursor, end)
        offsets[i] = (min(gaps)[1] if tight else gaps[0][1]) if gaps else cursor
    return offsets


def _height(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    return max(offset + b.bytes for offset, b in zip(offsets, buffers, strict=True))


def _named(buffers: Sequence[Buffer], offsets: Sequence[int]) -> Offsets:
    return {b.name: offset for b, offset in zip(buffers, offsets, strict=True)}

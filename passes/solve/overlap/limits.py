"""Whether a plan keeps the limits, for searches that ask tens of thousands of times; `price.py` says the same, and has the last word."""

from __future__ import annotations

from collections.abc import Sequence

from ..price import SLACK
from ..problem import Problem


class Limits:
    """`timed`: whether seconds matter to a limit."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.timed = problem, bool(problem.bounds)
        devices = range(len(problem.devices))
        self._stored = [[[unit.stored(option) for option in unit.on(d)] for d in devices] for unit in problem.units]
        self._errors = [[[option.error for option in unit.on(d)] for d in devices] for unit in problem.units]

    def kept(self, assignment: Sequence[int], options: Sequence[int], segments: int, computed: Sequence[float], handoff: float) -> bool:
        """`computed`: seconds per device, dispatches included, and `handoff` seconds of handoffs; asked for where `timed`."""
        problem = self.problem
        if problem.most_in_all is not None and segments > problem.most_in_all:
            return False
        if any(len({assignment[unit] for unit in units}) > 1 for units in problem.together):
            return False
        if problem.rooms and not self._fits(assignment, options):
            return False
        if problem.most_error is not None:
            error = sum(row[d][k] for row, d, k in zip(self._errors, assignment, options, strict=True))
            if error > problem.most_error * (1 + SLACK):
                return False
        for bound in problem.bounds:
            value = sum(w * s for w, s in zip(bound.weights.busy, computed, strict=True)) + bound.weights.handoff * handoff
            if value > bound.most + SLACK * max(abs(bound.most), sum(computed) + handoff):
                return False
        return True

    def _fits(self, assignment: Sequence[int], options: Sequence[int]) -> bool:
        problem = self.problem
        filled = [0] * len(problem.devices)
        for stored, d, k in zip(self._stored, assignment, options, strict=True):
            filled[d] += stored[d][k]
        for room in problem.rooms:
            weights = sum(filled[d] for d in room.devices)
            if weights > room.bytes or (room.homes and weights + self._most_live(room.homes, assignment) > room.bytes):
                return False
        return True

    def _most_live(self, homes: Sequence[int], assignment: Sequence[int]) -> int:
        everywhere = len(set(homes)) == len(self.problem.devices)
        units = zip(self.problem.units, assignment, strict=True)
        return max((unit.touched_bytes * (d in homes) + unit.passing_bytes * everywhere for unit, d in units), default=0)

"""A first choice of where tensors lie, and its improvement: by seconds saved per byte and step, then by exchanges. Work is counted."""

from __future__ import annotations

from collections.abc import Sequence

from .residency import Hold, Option, Residency

EPSILON = 1e-12
"""Relative to the whole time: less is no gain."""


class Occupancy:
    """A choice, with what it moves and holds at every step."""

    def __init__(self, problem: Residency, options: Sequence[int]) -> None:
        self.problem, self.options = problem, [-1] * len(problem.items)
        memories = range(len(problem.rooms))
        self.moved = [[0.0 for _ in memories] for _ in problem.steps]
        self.held = [[0] * len(problem.steps) for _ in memories]
        for k, step in enumerate(problem.steps):
            for memory, time in step.traffic:
                self.moved[k][memory] += time
            for memory, size in step.taken:
                self.held[memory][k] += size
        for item, option in enumerate(options):
            self._add(item, option, 1)

    def _add(self, item: int, option: int, sign: int) -> None:
        chosen = self.problem.items[item][option]
        for k, memory, time in chosen.traffic:
            self.moved[k][memory] += sign * time
        for hold in chosen.holds:
            held = self.held[hold.memory]
            for k in range(hold.first, hold.last + 1):
                held[k] += sign * hold.bytes
        self.options[item] = option if sign > 0 else -1

    def move(self, item: int, option: int) -> None:
        self._add(item, self.options[item], -1)
        self._add(item, option, 1)

    def step_seconds(self) -> list[float]:
        return [max(step.floor, *moved) for step, moved in zip(self.problem.steps, self.moved, strict=True)]

    def fits(self) -> bool:
        return all(max(held, default=0) <= room for held, room in zip(self.held, self.problem.rooms, strict=True))

    def has_room(self, item: int, option: int) -> bool:
        """Whether an item may change to an option, everything else staying where it is."""
        return all(self.excess(item, hold) <= 0 for hold in self.problem.items[item][option].holds)

    def excess(self, item: int, hold: Hold) -> int:
        """Bytes that a hold of an item would exceed its room by, at the worst step, the item's present option gone."""
        held = self.held[hold.memory][hold.first : hold.last + 1]
        for old in self.problem.items[item][self.options[item]].holds:
            if old.memory == hold.memory:
                for k in range(max(old.first, hold.first), min(old.last, hold.last) + 1):
                    held[k - hold.first] -= old.bytes
        return max(held) + hold.bytes - self.problem.rooms[hold.memory]

    def gain(self, item: int, option: int) -> float:
        """Seconds that a change of one item saves."""
        old, new = self.problem.items[item][self.options[item]], self.problem.items[item][option]
        change: dict[int, dict[int, float]] = {}
        for sign, one in ((-1, old), (1, new)):
            for k, memory, time in one.traffic:
                at = change.setdefault(k, {})
                at[memory] = at.get(memory, 0.0) + sign * time
        saved = old.seconds - new.seconds
        for k, at in change.items():
            floor, moved = self.problem.steps[k].floor, self.moved[k]
            saved += max(floor, *moved) - max(floor, *(time + at.get(memory, 0.0) for memory, time in enumerate(moved)))
        return saved


def improve(problem: Residency, start: Sequence[int], looks: int) -> tuple[int, ...] | None:
    """A choice no slower than `start`; None where that does not fit. `looks`: options that may be weighed."""
    state = Occupancy(problem, start)
    if not state.fits():
        return None
    least = EPSILON * sum(state.step_seconds())
    while looks > 0:
        looks, grew = _fill(state, least, looks)
        looks, exchanged = _exchange(state, least, looks)
        if not grew and not exchanged:
            break
    return tuple(state.options)


def _fill(state: Occupancy, least: float, looks: int) -> tuple[int, bool]:
    """Changes that fit, those first that save most per byte and step."""
    changed = False
    while looks > 0:
        found = []
        for item, options in enumerate(state.problem.items):
            for option in range(len(options)):
                looks -= 1
                if option != state.options[item] and (gain := state.gain(item, option)) > least:
                    found.append((gain / (1 + _area(options[option])), item, option))
        found.sort(key=lambda one: (-one[0], one[1], one[2]))
        moved = False
        for _, item, option in found:
            looks -= 1
            if state.options[item] != option and state.gain(item, option) > least and state.has_room(item, option):
                state.move(item, option)
                moved = changed = True
        if not moved:
            break
    return looks, changed


def _exchange(state: Occupancy, least: float, looks: int) -> tuple[int, bool]:
    """An item in, and those out that lose least of what is in its way."""
    changed = False
    for item, options in enumerate(state.problem.items):
        for option in range(len(options)):
            looks -= 1 + len(options)
            if looks <= 0:
                return looks, changed
            if option == state.options[item] or state.gain(item, option) <= least:
                continue
            before = list(state.options)
            cost, seen = _make_room(state, item, options[option])
            looks -= seen
            if cost is not None and state.gain(item, option) - cost > least and state.has_room(item, option):
                state.move(item, option)
                changed = True
            else:
                for other, old in enumerate(before):
                    if state.options[other] != old:
                        state.move(other, old)
    return looks, changed


def _make_room(state: Occupancy, item: int, wanted: Option) -> tuple[float | None, int]:
    """Moves what is in the way of an option to its first one; the seconds that this costs, None where it is not enough; and the work."""
    lost, looks = 0.0, 0
    for hold in wanted.holds:
        while state.excess(item, hold) > 0:
            rivals = []
            for other, options in enumerate(state.problem.items):
                chosen = options[state.options[other]]
                if other == item or not state.options[other] or not any(_meet(hold, held) for held in chosen.holds):
                    continue
                looks += 1
                if state.has_room(other, 0):
                    rivals.append((-state.gain(other, 0), other))
            if not rivals:
                return None, looks
            cost, other = min(rivals)
            lost += cost
            state.move(other, 0)
    return lost, looks


def _meet(a: Hold, b: Hold) -> bool:
    return a.memory == b.memory and a.first <= b.last and b.first <= a.last


def _area(option: Option) -> float:
    return float(sum(hold.bytes * (hold.last - hold.first + 1) for hold in option.holds))

"""Plans that are priced as they are, kept within the allowed error by choosing options, and improved by moving whole segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .price import Price, price
from .problem import Problem, Unit

MAX_MOVES, MIN_MOVES, MAX_MOVED = 100, 10, 20_000
"""Plans tried in one descent: fewer where there are many units, so that about MAX_MOVED units are priced."""


@dataclass(frozen=True, slots=True)
class Plan:
    assignment: tuple[int, ...]
    options: tuple[int, ...]
    price: Price


def limited(problem: Problem) -> bool:
    """Whether there are limits beside those on segments."""
    return bool(problem.bounds or problem.rooms or problem.most_error is not None or problem.most_in_all is not None)


def best_of(
    problem: Problem,
    assignments: Iterable[Sequence[int]],
    best: Plan | None = None,
    options: Sequence[Sequence[int]] | None = None,
) -> Plan | None:
    """The cheapest of `best` and the assignments that are possible, each with its options, or the fastest that the allowed error leaves."""
    seen: set[tuple[int, ...]] = set()
    for k, assignment in enumerate(assignments):
        key = tuple(assignment)
        picked = tuple(options[k]) if options is not None else () if key in seen else fastest_options(problem, key)
        seen.add(key)
        found = price(problem, key, picked) if len(picked) == len(problem.units) else None
        if found is not None and (best is None or found.cost < best.price.cost):
            best = Plan(key, picked, found)
    return best


def fastest_options(problem: Problem, assignment: Sequence[int]) -> tuple[int, ...]:
    """An option for each unit on its device: the fastest, then as long as the error is too large the exchange that saves most error per
    second. () where a device cannot run its unit or no exchange is left."""
    on = [unit.on(device) for unit, device in zip(problem.units, assignment, strict=True)]
    if not all(on):
        return ()
    picked, most = [0] * len(on), problem.most_error
    error = sum(options[0].error for options in on)
    while most is not None and error > most:
        swaps = [
            ((options[j].seconds - options[at].seconds) / (options[at].error - options[j].error), k, j)
            for k, (options, at) in enumerate(zip(on, picked, strict=True))
            for j in range(len(options))
            if options[j].error < options[at].error
        ]
        if not swaps:
            return ()
        _, k, j = min(swaps)
        error += on[k][j].error - on[k][picked[k]].error
        picked[k] = j
    return tuple(picked)


def in_one_form(problem: Problem, assignments: Iterable[Sequence[int]], best: Plan | None) -> Plan | None:
    """The cheapest of `best` and the assignments with as much as possible in one form, for each form."""
    forms = sorted({option.form for unit in problem.units for device in unit.devices for option in unit.on(device)})
    if len(forms) < 2:
        return best
    plans = [(tuple(a), form) for a in dict.fromkeys(map(tuple, assignments)) for form in forms]
    options = [tuple(_in_form(unit, d, form) for unit, d in zip(problem.units, a, strict=True)) for a, form in plans]
    return best_of(problem, [a for a, _ in plans], best, options)


def _in_form(unit: Unit, device: int, form: int) -> int:
    """The first option of the form, or of the model's own."""
    forms = [option.form for option in unit.on(device)]
    return forms.index(form) if form in forms else forms.index(0) if 0 in forms else 0


def improve(problem: Problem, assignment: Sequence[int]) -> list[int]:
    """Descent over whole segments, smallest first: move a segment to another device where that makes the plan cheaper."""
    best = best_of(problem, [assignment])
    tried, most = 0, min(MAX_MOVES, max(MIN_MOVES, MAX_MOVED // max(len(problem.units), 1)))
    while best is not None:
        better = best
        for piece in sorted(best.price.pieces, key=lambda piece: len(piece.units)):
            moves = (_moved(problem, best.assignment, piece.units, d) for d in range(len(problem.devices)) if d != piece.device)
            better = best_of(problem, moves, best) or best
            tried += len(problem.devices) - 1
            if tried > most or better.price.cost < best.price.cost * (1 - 1e-9):
                break
        if tried > most or better.price.cost >= best.price.cost * (1 - 1e-9):
            return list(better.assignment)
        best = better
    return list(assignment)


def _moved(problem: Problem, assignment: Sequence[int], units: Sequence[int], device: int) -> list[int]:
    moved = list(assignment)
    for unit in units:
        if problem.units[unit].seconds[device] is not None:
            moved[unit] = device
    return moved

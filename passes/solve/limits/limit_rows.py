"""The limits of a problem by name: what a plan needs of one, the problem with another value for it, and without it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..known import Plan
from ..price import chosen, room_bytes
from ..problem import Bound, Problem

ERROR, SEGMENTS = "error", "partitions"


def limit_names(problem: Problem) -> tuple[str, ...]:
    """Of all limits."""
    pieces = (f"{SEGMENTS} {name}" for d, name in enumerate(problem.devices) if problem.piece_limit(d) is not None)
    return (
        *(bound.name for bound in problem.bounds),
        *(room.name for room in problem.rooms),
        *pieces,
        *([SEGMENTS] if problem.most_in_all is not None else []),
        *([ERROR] if problem.most_error is not None else []),
    )


def without(problem: Problem, names: Collection[str]) -> Problem:
    """The problem without these limits."""
    pieces = tuple(None if f"{SEGMENTS} {name}" in names else problem.piece_limit(device) for device, name in enumerate(problem.devices))
    return replace(
        problem,
        bounds=tuple(bound for bound in problem.bounds if bound.name not in names),
        rooms=tuple(room for room in problem.rooms if room.name not in names),
        most_pieces=pieces,
        most_in_all=None if SEGMENTS in names else problem.most_in_all,
        most_error=None if ERROR in names else problem.most_error,
    )


def with_limit(problem: Problem, name: str, most: float) -> Problem:
    """The problem with another value for a limit, in the limit's own terms (see `Excess`)."""
    pieces = tuple(
        int(most) if f"{SEGMENTS} {device_name}" == name else problem.piece_limit(device)
        for device, device_name in enumerate(problem.devices)
    )
    return replace(
        problem,
        bounds=tuple(_bounded(bound, most) if bound.name == name else bound for bound in problem.bounds),
        rooms=tuple(replace(room, bytes=int(most)) if room.name == name else room for room in problem.rooms),
        most_pieces=pieces,
        most_in_all=int(most) if name == SEGMENTS else problem.most_in_all,
        most_error=most if name == ERROR else problem.most_error,
    )


def _bounded(bound: Bound, most: float) -> Bound:
    if not bound.average:
        return replace(bound, most=most)
    less = bound.average - most
    weights = replace(bound.weights, busy=tuple(w + less for w in bound.weights.busy), handoff=bound.weights.handoff + less)
    return replace(bound, weights=weights, average=most)


def needed(problem: Problem, name: str, plan: Plan) -> float:
    """What a plan needs of a limit, in the limit's own terms."""
    price = plan.price
    for bound in problem.bounds:
        if bound.name == name:
            value = price.value(bound.weights)
            return value / price.total + bound.average if bound.average and price.total else value
    for room in problem.rooms:
        if room.name == name:
            return room_bytes(problem, room, plan.assignment, chosen(problem, plan.assignment, plan.options) or ())
    if name == ERROR:
        return price.error
    counted = [piece for piece in price.pieces if name in (SEGMENTS, f"{SEGMENTS} {problem.devices[piece.device]}")]
    return len(counted)


def whole_numbers(problem: Problem, name: str) -> bool:
    """Whether a limit counts bytes or segments."""
    return name.startswith(SEGMENTS) or any(room.name == name for room in problem.rooms)

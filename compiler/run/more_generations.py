"""Further generations of an arena: what they take, and whether the target's budgets leave that much.

A generation is the whole arena of the manifest once more, behind the others. Doubling only the slots that cross devices looks cheaper and
is not: overlapped requests are at different steps at a time, so slots could no longer share bytes by lifetime. For seven bundles of 2
to 22 segments it takes 1.02 to 5.6 times as much as two generations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..bundle.manifest import LimitRecord, Manifest
from ..errors import Infeasible
from ..quantities import amount, margin

MOST_GENERATIONS = 4


@dataclass(frozen=True, slots=True)
class MorePlan:
    """Where further generations lie, in bytes."""

    offsets: tuple[int, ...]
    """Of each further generation, in memory of their own."""
    total: int


def usual_generations(manifest: Manifest) -> int:
    """As many requests as there are devices keep all of them busy, if they take equally long."""
    return min(max(len({segment.device for segment in manifest.segments}), 2), MOST_GENERATIONS)


def plan_more(manifest: Manifest, count: int, missing: int) -> MorePlan:
    """`missing` generations beside those there are, `count` with them.

    Raises Infeasible where a limit of the target does not leave that much."""
    arena = manifest.arena
    _check_budgets(manifest, count)
    distance = -(-max(arena.total, 1) // arena.align) * arena.align
    offsets = tuple(k * distance for k in range(missing))
    return MorePlan(offsets, offsets[-1] + max(arena.total, 1) if offsets else 0)


def generations_that_fit(manifest: Manifest) -> int | None:
    """How many generations the target's limits leave room for; None where the bundle does not say."""
    margins = [limit.margin for limit in _memory_limits(manifest) if limit.margin is not None]
    if not margins or not manifest.arena.total:
        return None
    return 1 + max(int(min(margins) // manifest.arena.total), 0)


def _check_budgets(manifest: Manifest, count: int) -> None:
    more = (count - 1) * manifest.arena.total
    for limit in _memory_limits(manifest):
        if limit.margin is None or limit.value is None or more <= limit.margin:
            continue
        name = f"{limit.kind} {limit.subject}".strip()
        fit = generations_that_fit(manifest) or 1
        advice = f"at most {fit} generations fit" if fit > 1 else "this bundle can only run one request at a time within it"
        text = f"{count} generations of the arena take {amount('memory', more)} more than one, "
        text += f"{name} leaves {margin('memory', limit.margin)} of {limit.text}"
        raise Infeasible(name, limit.value + more, limit.limit, (advice,), message=text, where=limit.origin)


def _memory_limits(manifest: Manifest) -> Iterator[LimitRecord]:
    """The limit on all memory, and the budget of the memory that holds the arena. Which that is a manifest says only where there is one."""
    budgets = [limit for limit in manifest.limits if limit.kind == "budget"]
    yield from (limit for limit in manifest.limits if limit.kind == "memory" and limit.comparison.startswith("<"))
    if len(budgets) == 1:
        yield budgets[0]

"""Hold the plan against the target's limits. A limit that is exceeded is an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...targets.cost import home_memory
from ...targets.model import Limit, Memory, Target
from ..bundle.manifest import LimitRecord
from ..errors import Infeasible, TargetError
from ..quantities import amount
from .measured_memory import working_factor
from .predict import Predictions, held_by_memory, stores
from .segments import Compiled

OF_TIME = ("latency", "fps")
"""Kinds of limit that no other plan keeps where the fastest does not."""
MEASURED = ("accuracy", "error", "package")
"""Kinds of limit that wait for the bundle: what it computes, and what it takes on disk."""


def arena_room(compiled: Compiled, target: Target) -> int:
    """Bytes that the target's limits leave for the arena; below zero where they do not even hold the rest."""
    rest = held_by_memory(compiled, target, 0)
    home = home_memory(target, target.host.name)
    working = sum(held.total for name, held in rest.items() if name not in stores(target))
    peaks = [int(limit.value) for limit in target.limits if limit.kind == "memory" and limit.comparison.startswith("<")]
    factor = working_factor([s for s in compiled.segments if home_memory(target, s.device).name == home.name], target)
    return min(int(min(home.budget - rest[home.name].total, *(peak - working for peak in peaks), home.budget) / factor), home.budget)


def check_limits(target: Target, found: Predictions) -> tuple[LimitRecord, ...]:
    """All limits that can be predicted, and each memory's budget. Raises Infeasible for those that do not hold."""
    results = limit_records(target, found)
    problem = broken(results)
    if problem is not None:
        raise problem
    return results


def limit_records(target: Target, found: Predictions) -> tuple[LimitRecord, ...]:
    """The same, whether they hold or not. Raises TargetError where the target says too little for one."""
    results = [
        _record(_budget(memory, target), float(found.held[memory.name].total), "predicted")
        for memory in target.memories
        if memory.name in found.held
    ]
    for limit in target.limits:
        if limit.kind in ("energy", "power") and found.without_power:
            names = ", ".join(found.without_power)
            help = "state its `power active … W`; there is no default"
            what = f"the limit on {limit.kind} cannot be checked for a plan on {names}, which states no power"
            raise TargetError(what, where=str(limit.origin), help=help)
        value = _value(limit, found)
        if value is not None:
            results.append(_record(limit, value, "predicted"))
        elif limit.kind in MEASURED:
            results.append(_record(limit, None, "measured"))
    return tuple(results)


def loading_notes(target: Target, found: Predictions) -> tuple[str, ...]:
    """The memories whose budgets hold a run and may not hold the load before it: what a runtime holds twice then is its own business,
    so that is no reason to refuse a plan."""
    return tuple(
        f"while the bundle is loaded, {memory.name} may hold {amount('memory', held.while_loading)} of its budget of "
        f"{amount('budget', memory.budget)}: a runtime may have the weights of a segment twice then"
        for memory in target.memories
        if (held := found.held.get(memory.name)) is not None and held.while_loading > memory.budget >= held.total
    )


def _budget(memory: Memory, target: Target) -> Limit:
    """The budget of a memory, read as a limit; its place is the last statement of the number, which may be an amendment."""
    path, text = f"memory.{memory.name}.budget", amount("budget", memory.budget)
    origin = next((fact.origin for fact in target.facts if fact.path == path), memory.origin)
    return Limit(kind="budget", subject=memory.name, comparison="<=", value=float(memory.budget), text=text, origin=origin)


def _value(limit: Limit, found: Predictions) -> float | None:
    match limit.kind, limit.subject:
        case "latency", _:
            return found.latency
        case "fps", _:
            return 1 / found.latency if found.latency > 0 else None
        case "memory", _:
            return float(found.memory)
        case "energy", _:
            return found.joules
        case "power", "peak":
            return found.peak_watts
        case "power", _:
            return found.watts
        case "partitions", device:
            return float(found.pieces.get(device, 0) if device else sum(found.pieces.values()))
    return None


def _record(limit: Limit, value: float | None, basis: Literal["predicted", "measured"]) -> LimitRecord:
    return LimitRecord(
        unproven="",
        kind=limit.kind,
        subject=limit.subject,
        comparison=limit.comparison,
        limit=limit.value,
        text=limit.text,
        basis=basis,
        value=value,
        margin=None if value is None else limit.value - value if limit.comparison.startswith("<") else value - limit.value,
        origin=str(limit.origin),
    )


def broken(results: Sequence[LimitRecord]) -> Infeasible | None:
    """One error for all limits that do not hold, latency first: no other plan is known to be faster. None where all hold."""
    broken = sorted((r for r in results if not holds(r)), key=lambda r: r.kind not in OF_TIME)
    if not broken:
        return None
    first = broken[0]
    broken_by = [f"{_name(r)}: {r.basis} {amount(r.kind, r.value or 0)}, and the target allows {r.comparison} {r.text}" for r in broken]
    return Infeasible(
        _name(first),
        first.value or 0.0,
        first.limit,
        (),
        message="; ".join(broken_by),
        where=", ".join(dict.fromkeys(r.origin for r in broken)),
    )


def holds(record: LimitRecord) -> bool:
    """Whether the limit is kept, as far as that is known."""
    return record.value is None or record.margin is None or record.margin > 0 or (record.margin == 0 and "=" in record.comparison)


def excess(results: Sequence[LimitRecord]) -> float:
    """The largest share by which a limit is not kept; 0 where all are."""
    return max((-(r.margin or 0.0) / abs(r.limit) if r.limit else 1.0 for r in results if not holds(r)), default=0.0) or 0.0


def _name(record: LimitRecord) -> str:
    return f"{record.kind} {record.subject}".strip()

"""Hold the plan against the target's limits. A limit that is exceeded is an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...passes.place.segment import Segment
from ...targets.cost import home_memory, weights_memory
from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.model import Limit, Memory, Target
from ..bundle.manifest import LimitRecord
from ..errors import Infeasible, TargetError
from ..quantities import amount
from .segments import Compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the limits ask of a plan."""

    latency: float
    joules: float | None
    without_power: tuple[str, ...]
    """Devices with a segment that state no active power; `joules` is then None."""
    weights: int
    """Bytes of weights.bin: each constant once."""
    held: Mapping[str, int]
    """Peak bytes of one inference per memory: the weights that segments read from it, the most that one segment's
    inner tensors take there, and the arena where the host has its activations."""
    pieces: Mapping[str, int]
    stores: frozenset[str] = frozenset()
    """Memories that hold weights only."""

    @property
    def memory(self) -> int:
        """Peak bytes of one inference over all working memories; flash that is only read from is not one."""
        return sum(bytes for name, bytes in self.held.items() if name not in self.stores)


def predict(compiled: Compiled, target: Target, *, latency: float, arena: int) -> Predictions:
    """Sums over the segments; `latency` is the placement's, handoffs included; `arena` in bytes."""
    powerless = tuple(sorted({s.device for s in compiled.segments if compiled.joules(s) is None}))
    return Predictions(
        latency=latency,
        joules=None if powerless else sum(compiled.joules(s) or 0.0 for s in compiled.segments),
        without_power=powerless,
        weights=weight_bytes(compiled.segments),
        held=_held(compiled, target, arena),
        pieces=Counter(segment.device for segment in compiled.segments),
        stores=_stores(target),
    )


def _held(compiled: Compiled, target: Target, arena: int) -> dict[str, int]:
    held = {home_memory(target, target.host.name).name: arena}
    for memory in target.memories:
        here = [s for s in compiled.segments if home_memory(target, s.device).name == memory.name]
        read = [s for s in compiled.segments if weights_memory(target, s.device).name == memory.name]
        if here or read:
            inner = max((s.internal_peak for s in here), default=0)
            held[memory.name] = held.get(memory.name, 0) + weight_bytes(read) + inner
    return held


def _stores(target: Target) -> frozenset[str]:
    return frozenset(memory.name for memory in target.memories if memory.holds == ("weights",))


def arena_room(compiled: Compiled, target: Target) -> int:
    """Bytes that the target's limits leave for the arena; below zero where they do not even hold the rest."""
    rest = _held(compiled, target, 0)
    home = home_memory(target, target.host.name)
    working = sum(bytes for name, bytes in rest.items() if name not in _stores(target))
    peaks = [int(limit.value) for limit in target.limits if limit.kind == "memory" and limit.comparison.startswith("<")]
    return min(home.budget - rest.get(home.name, 0), *(peak - working for peak in peaks), home.budget)


def weight_bytes(segments: Iterable[Segment]) -> int:
    """Bytes of all constants, each once however many segments read it."""
    sizes: dict[str, int] = {}
    for segment in segments:
        for tensor in segment.constants:
            sizes[tensor.name] = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
    return sum(sizes.values())


def check_limits(target: Target, found: Predictions) -> tuple[LimitRecord, ...]:
    """All limits that can be predicted, and each memory's budget. Raises Infeasible for those that do not hold."""
    results = [
        _record(_budget(memory), float(found.held[memory.name]), "predicted") for memory in target.memories if memory.name in found.held
    ]
    for limit in target.limits:
        if limit.kind == "power" and found.without_power:
            names = ", ".join(found.without_power)
            help = "state its `power active … W`; there is no default"
            raise TargetError(
                f"a power limit cannot be checked for a plan on {names}, which states no power", where=str(limit.origin), help=help
            )
        value = _value(limit, found)
        if value is not None:
            results.append(_record(limit, value, "predicted"))
        elif limit.kind in ("accuracy", "error"):
            results.append(_record(limit, None, "measured"))
    _raise_broken(results)
    return tuple(results)


def _budget(memory: Memory) -> Limit:
    """The budget of a memory, read as a limit."""
    text = amount("budget", memory.budget)
    return Limit(kind="budget", subject=memory.name, comparison="<=", value=float(memory.budget), text=text, origin=memory.origin)


def _value(limit: Limit, found: Predictions) -> float | None:
    if limit.kind == "latency":
        return found.latency
    if limit.kind == "memory":
        return float(found.memory)
    if limit.kind == "power" and found.joules is not None and found.latency > 0:
        return found.joules / found.latency
    if limit.kind == "package":
        return float(found.weights)
    if limit.kind == "partitions":
        return float(found.pieces.get(limit.subject, 0) if limit.subject else sum(found.pieces.values()))
    return None


def _record(limit: Limit, value: float | None, basis: Literal["predicted", "measured"]) -> LimitRecord:
    return LimitRecord(
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


def _raise_broken(results: Sequence[LimitRecord]) -> None:
    """One error for all limits that do not hold, latency first: no other plan is known to be faster."""
    broken = sorted((r for r in results if not _holds(r)), key=lambda r: r.kind != "latency")
    if not broken:
        return
    first = broken[0]
    broken_by = [f"{_name(r)}: {r.basis} {amount(r.kind, r.value or 0)}, and the target allows {r.comparison} {r.text}" for r in broken]
    raise Infeasible(
        _name(first),
        first.value or 0.0,
        first.limit,
        (),
        message="; ".join(broken_by),
        where=", ".join(dict.fromkeys(r.origin for r in broken)),
    )


def _holds(record: LimitRecord) -> bool:
    return record.value is None or record.margin is None or record.margin > 0 or (record.margin == 0 and "=" in record.comparison)


def _name(record: LimitRecord) -> str:
    return f"{record.kind} {record.subject}".strip()

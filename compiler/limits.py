"""Hold the plan against the target's limits. A limit that is exceeded is an error that names the smallest relaxation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..passes.graph import DTYPE
from ..targets.cost import home_memory
from ..targets.model import Limit, Target
from ..targets.operator_view import BITS
from .bundle import LimitRecord
from .errors import Infeasible
from .segments import Compiled

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the limits ask of a plan."""

    latency: float
    joules: float | None
    weights: int
    """Bytes of weights.bin: each constant once."""
    arena: int
    internal: int
    """The largest segment's inner tensors."""
    pieces: dict[str, int]

    @property
    def memory(self) -> int:
        """Peak bytes of one inference: weights, the arena, and the inner tensors of the hungriest segment."""
        return self.weights + self.arena + self.internal


def predict(compiled: Compiled, *, latency: float, weights: int, arena: int) -> Predictions:
    """Sums over the segments; `latency` is the placement's, handoffs included."""
    joules = [segment.predicted_joules for segment in compiled.segments]
    pieces: dict[str, int] = {}
    for segment in compiled.segments:
        pieces[segment.device] = pieces.get(segment.device, 0) + 1
    return Predictions(
        latency=latency,
        joules=None if any(j is None for j in joules) else sum(j for j in joules if j is not None),
        weights=weights,
        arena=arena,
        internal=max((segment.peak_internal_bytes for segment in compiled.segments), default=0),
        pieces=pieces,
    )


def weight_bytes(models: Iterable[onnx.ModelProto]) -> int:
    """Bytes of all constants, each once however many segments read it."""
    sizes: dict[str, int] = {}
    for model in models:
        for tensor in model.graph.initializer:
            bits = BITS.get(DTYPE.get(tensor.data_type, ""), 0)
            sizes[tensor.name] = (math.prod(tensor.dims) * bits + 7) // 8
    return sum(sizes.values())


def check_limits(target: Target, found: Predictions) -> tuple[LimitRecord, ...]:
    """All limits that can be predicted, and each memory's budget. Raises Infeasible for the first that does not hold."""
    results = [_record(_budget(target, found), float(found.memory), "predicted")]
    for limit in target.limits:
        value = _value(limit, found)
        if value is not None:
            results.append(_record(limit, value, "predicted"))
        elif limit.kind in ("accuracy", "error"):
            results.append(_record(limit, None, "measured"))
    _raise_broken(results)
    return tuple(results)


def _budget(target: Target, found: Predictions) -> Limit:
    """The budget of the memory the deployment lives in, read as a limit."""
    home = home_memory(target, target.host.name)
    return Limit(
        kind="budget", subject=home.name, comparison="<=", value=float(home.budget), text=amount("budget", home.budget), origin=home.origin
    )


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
    for result in results:
        if result.margin is None or result.value is None:
            continue
        margin, value = result.margin, result.value
        if margin > 0 or (margin == 0 and "=" in result.comparison):
            continue
        name, needed = f"{result.kind} {result.subject}".strip(), amount(result.kind, value)
        message = f"{name}: {result.basis} {needed}, and the target allows {result.comparison} {result.text}"
        raise Infeasible(
            name,
            value,
            result.limit,
            (f"the smallest change to the target that would do is {result.comparison} {needed}",),
            message=message,
            where=result.origin,
        )


def amount(kind: str, value: float) -> str:
    """A limit's value in a unit a person reads, rounded up for bytes so that writing it into the file is enough."""
    if kind in ("memory", "package", "budget"):
        return f"{-(-int(value * 1000) // (1 << 20)) / 1000:.3f} MiB"
    if kind == "latency":
        return f"{value * 1e3:.4g} ms"
    if kind == "power":
        return f"{value:.3g} W"
    return f"{value:g}"

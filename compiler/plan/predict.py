"""What is predicted of a plan: time, bytes in every memory, energy. Limits are held against it, and the summary shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...passes.place.segment import Segment
from ...targets.cost import home_memory, weights_memory
from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.model import Target
from .segments import Compiled


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that one inference holds of a memory at once."""

    weights: int = 0
    """Of the segments that read them from it, as they are stored; copies that lie there in all runs."""
    working: int = 0
    """The most that the inner tensors of one segment take there, and weights on their way."""
    arena: int = 0
    """Where the host has its activations: the tensors between segments, in whole pages."""
    loading: int = 0
    """Weights that are there a second time while a bundle is loaded: those of the largest segment, as its runtime makes its own form of
    them. Measured with onnxruntime, 0.1 to 1.0 times (benchmarks/load_memory.py)."""

    @property
    def while_loading(self) -> int:
        """The most at once while segments are loaded, one after the other; nothing is computed yet."""
        return self.weights + self.loading + self.arena

    @property
    def total(self) -> int:
        return self.weights + self.working + self.arena


@dataclass(frozen=True, slots=True)
class Draw:
    """Energy of one run, by device, in joules: active while it computes, idle for the rest of the run."""

    device: str
    active: float
    idle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What the limits ask of a plan."""

    latency: float
    draws: tuple[Draw, ...]
    """Of the devices that state power."""
    peak_watts: float
    """The most at once: one device computes while the others are idle."""
    without_power: tuple[str, ...]
    """Devices with a segment that state no active power: energy is then not known."""
    held: Mapping[str, Held]
    """Per memory in use."""
    pieces: Mapping[str, int]
    stores: frozenset[str] = frozenset()
    """Memories that hold weights only."""

    @property
    def memory(self) -> int:
        """Peak bytes of one inference over all working memories; flash that is only read from is not one."""
        return sum(held.total for name, held in self.held.items() if name not in self.stores)

    @property
    def load_peak(self) -> int:
        """Peak bytes over the same memories while a bundle is loaded."""
        return sum(held.while_loading for name, held in self.held.items() if name not in self.stores)

    @property
    def joules(self) -> float | None:
        """Energy of one run; None where a device in use states no power."""
        return None if self.without_power else sum(draw.active + draw.idle for draw in self.draws)

    @property
    def watts(self) -> float | None:
        """Average over one run."""
        return None if self.joules is None or not self.latency else self.joules / self.latency


def predict(compiled: Compiled, target: Target, *, latency: float, arena: int) -> Predictions:
    """Sums over the segments; `latency` is the placement's, handoffs included; `arena` in bytes."""
    busy: Counter[str] = Counter()
    for segment in compiled.segments:
        busy[segment.device] += segment.seconds  # type: ignore[assignment]
    active = {device.name: device.active_power for device in target.devices}
    return Predictions(
        latency=latency,
        draws=_draws(target, busy, latency),
        peak_watts=_peak_watts(target, busy),
        without_power=tuple(sorted(name for name in busy if active[name] is None)),
        held=held_by_memory(compiled, target, arena),
        pieces=Counter(segment.device for segment in compiled.segments),
        stores=stores(target),
    )


def _draws(target: Target, busy: Mapping[str, float], latency: float) -> tuple[Draw, ...]:
    return tuple(
        Draw(
            device.name,
            (device.active_power or 0.0) * busy.get(device.name, 0.0),
            (device.idle_power or 0.0) * max(latency - busy.get(device.name, 0.0), 0.0),
        )
        for device in target.devices
        if device.active_power is not None or device.idle_power is not None
    )


def _peak_watts(target: Target, busy: Mapping[str, float]) -> float:
    idle = {device.name: device.idle_power or 0.0 for device in target.devices}
    waiting = sum(idle.values())
    return max((waiting - idle[d.name] + (d.active_power or 0.0) for d in target.devices if d.name in busy), default=waiting)


def held_by_memory(compiled: Compiled, target: Target, arena: int) -> dict[str, Held]:
    """Bytes of every memory that the plan uses."""
    home = home_memory(target, target.host.name).name
    found, planned = {}, compiled.memories
    for memory in target.memories:
        here = [s for s in compiled.segments if home_memory(target, s.device).name == memory.name]
        read = [s for s in compiled.segments if weights_memory(target, s.device).name == memory.name]
        working = max((s.internal_peak for s in here), default=0) if planned.working is None else planned.working.get(memory.name, 0)
        weights = weight_bytes(read) + planned.resident.get(memory.name, 0)
        if here or read or working or weights or memory.name == home:
            loading = max((weight_bytes([s]) for s in read if s in here), default=0)
            found[memory.name] = Held(weights, working, arena if memory.name == home else 0, loading)
    return found


def stores(target: Target) -> frozenset[str]:
    """Memories that hold weights only: nothing is written there, so they are no part of the peak."""
    return frozenset(memory.name for memory in target.memories if memory.holds == ("weights",))


def weight_bytes(segments: Iterable[Segment]) -> int:
    """Bytes of all constants in the dtypes they are stored in, each once however many segments read it; those of bodies too."""
    sizes: dict[str, int] = {}
    bodies = 0
    for segment in segments:
        bodies += sum(node.body_bytes for node in segment.part.nodes)
        for tensor in segment.constants:
            sizes[tensor.name] = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
    return sum(sizes.values()) + bodies

"""What is predicted of a plan: time, bytes in every memory, energy. Limits are held against it, and the summary shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...passes.place.segment import Segment
from ...targets.cost import home_memory, weights_memory
from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.model import Device, Memory, Target
from .held import Held, weight_bytes
from .measured_memory import measured_memory
from .segments import Compiled
from .session_weights import session_weights


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
    active = {device.name: device.computing_power for device in target.devices}
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
        _draw(device, busy.get(device.name, 0.0), latency)
        for device in target.devices
        if device.computing_power is not None or device.idle_power is not None
    )


def _draw(device: Device, busy: float, latency: float) -> Draw:
    """Active power while it computes and idle power for the rest; or what was measured as a power of its load."""
    law = device.power_law
    if law is None:
        return Draw(device.name, (device.active_power or 0.0) * busy, (device.idle_power or 0.0) * max(latency - busy, 0.0))
    return Draw(device.name, law.full * min(busy / latency, 1.0) ** law.exponent * latency if latency and busy else 0.0, 0.0)


def _peak_watts(target: Target, busy: Mapping[str, float]) -> float:
    idle = {device.name: device.idle_watts for device in target.devices}
    waiting = sum(idle.values())
    return max((waiting - idle[d.name] + (d.computing_power or 0.0) for d in target.devices if d.name in busy), default=waiting)


def held_by_memory(compiled: Compiled, target: Target, arena: int) -> dict[str, Held]:
    """Bytes of every memory that the plan uses; `arena` in bytes."""
    home = home_memory(target, target.host.name).name
    found = {}
    for memory in target.memories:
        here = [s for s in compiled.segments if home_memory(target, s.device).name == memory.name]
        read = [s for s in compiled.segments if weights_memory(target, s.device).name == memory.name]
        held = _held(memory.name, here, read, compiled, target, arena if memory.name == home else 0)
        if here or read or held.working or held.weights or memory.name == home:
            planned = compiled.memories.working is not None
            found[memory.name] = _resident(measured_memory(held, here, read, target, planned=planned), memory, read)
    return found


def _resident(held: Held, memory: Memory, read: Sequence[Segment]) -> Held:
    """`held` with no more weights than may be resident: the others stay in their file, and are loaded one by one."""
    if memory.resident is None:
        return held
    largest = max((packed_bytes(DTYPE.get(one.data_type, ""), one.dims) or 0 for segment in read for one in segment.constants), default=0)
    stored, weights = weight_bytes(read), min(held.weights, memory.resident)
    kept, mapped = min(held.shared, weights), max(stored - weights, 0)
    return replace(held, weights=weights, shared=kept, loading=min(held.loading, largest), mapped=mapped)


def _held(name: str, here: Sequence[Segment], read: Sequence[Segment], compiled: Compiled, target: Target, arena: int) -> Held:
    """Bytes of one memory as the plan has them; `here`, `read`: the segments with their activations, and their weights, in it."""
    planned = compiled.memories
    working = max((s.internal_peak for s in here), default=0) if planned.working is None else planned.working.get(name, 0)
    weights, copies = session_weights(read, target), planned.resident.get(name, 0)
    elsewhere = [s for s in here if weights_memory(target, s.device).name in stores(target)]
    copies += session_weights(elsewhere, target).made if name not in stores(target) else 0
    if name in stores(target):  # they lie there once, whoever reads them
        return Held(weight_bytes(read) + copies, working, shared=weight_bytes(read), arena=arena)
    loading = session_weights([s for s in read if s in here], target).loading
    return Held(weights.own + weights.shared + copies, working, shared=weights.shared, arena=arena, loading=loading)


def stores(target: Target) -> frozenset[str]:
    """Memories that hold weights only: nothing is written there, so they are no part of the peak."""
    return frozenset(memory.name for memory in target.memories if memory.holds == ("weights",))

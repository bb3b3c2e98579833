"""The limits of a target as rows of the placement problem: what a second costs in energy, how many segments, which memory holds what."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...targets.cost import weights_memory
from ...targets.model import Device, Limit, Target
from ..solve.problem import Bound, Room, Weights


def time_weights(target: Target) -> Weights:
    return Weights((1.0,) * len(target.devices), 1.0)


def energy_weights(target: Target) -> Weights:
    """Joules per second: a device that computes draws its active power in place of its idle one, all others their idle power. What a
    device does not state counts as nothing; a limit on energy is then refused where the plan uses it (`compiler/plan/limits.py`).

    Of a device whose measured draw is a power of its load, the least that a second of work can take: a sum cannot say more, and the
    plan is held against the whole law."""
    idle = [device.idle_watts for device in target.devices]
    waiting = sum(idle)
    busy = tuple(_least_active(device) - at_rest + waiting for device, at_rest in zip(target.devices, idle, strict=True))
    return Weights(busy, waiting)


def _least_active(device: Device) -> float:
    """full · u^exponent over the whole run is full · u^(exponent - 1) a second of work, and u is at most 1."""
    law = device.power_law
    return 0.0 if law is not None and law.exponent > 1 else device.computing_power or 0.0


def bounds(target: Target) -> tuple[Bound, ...]:
    """Limits that are linear in time."""
    found = (_bound(target, limit) for limit in target.limits)
    return tuple(bound for bound in found if bound is not None)


def _bound(target: Target, limit: Limit) -> Bound | None:
    name = f"{limit.kind} {limit.subject}".strip()
    match limit.kind, limit.subject:
        case "latency", _:
            return Bound(name, time_weights(target), limit.value)
        case "fps", _ if limit.value > 0:
            return Bound(name, time_weights(target), 1 / limit.value)
        case "energy", _:
            return Bound(name, energy_weights(target), limit.value)
        case "power", subject if subject != "peak":
            energy = energy_weights(target)  # joules - watts * seconds <= 0
            return Bound(name, Weights(tuple(w - limit.value for w in energy.busy), energy.handoff - limit.value), 0.0, limit.value)
    return None


def draws_too_much(target: Target) -> frozenset[str]:
    """Devices that cannot compute under a limit on peak power, all others being idle."""
    peaks = [limit.value for limit in target.limits if limit.kind == "power" and limit.subject == "peak"]
    waiting = sum(device.idle_watts for device in target.devices)
    draws = {device.name: (device.computing_power or 0.0) - device.idle_watts + waiting for device in target.devices}
    return frozenset(name for name, watts in draws.items() if any(watts > most for most in peaks))


def segment_limits(target: Target) -> tuple[tuple[int | None, ...], int | None]:
    """The most segments per device, and in all."""
    limits = {limit.subject: _most(limit) for limit in target.limits if limit.kind == "partitions" and limit.comparison.startswith("<")}
    return tuple(limits.get(device.name) for device in target.devices), limits.get("")


def _most(limit: Limit) -> int:
    """The most segments that `partitions npu <= 4` (or `< 5`) allows."""
    return int(limit.value) if "=" in limit.comparison else math.ceil(limit.value) - 1


def rooms(target: Target) -> tuple[Room, ...]:
    """Budgets of memories, the limit on their sum, and what a package has room for."""
    names = [device.name for device in target.devices]
    # of weights that may stay in their file, at least none need to be in memory
    held = [name for name in names if weights_memory(target, name).resident is None]
    stores = _numbers({name: weights_memory(target, name).name for name in held}, names)
    everyone = tuple(range(len(names)))
    only = {memory.name for name in names for memory in target.memories_of(name, "activations")}
    # where there are several memories for activations, what lies in which is decided once segments are known
    found = [
        Room(f"budget {m.name}", stores.get(m.name, ()), _unscaled(target, m.budget), everyone if only == {m.name} else ())
        for m in target.memories
    ]
    for limit in target.limits:
        if limit.kind == "memory":
            found.append(Room(f"memory {limit.subject}".strip(), working_devices(target), _unscaled(target, int(limit.value)), everyone))
        elif limit.kind == "package":
            found.append(Room(f"package {limit.subject}".strip(), everyone, int(limit.value)))
    return tuple(found)


def _unscaled(target: Target, capacity: int) -> int:
    """The most bytes of weights and tensors that may fit where a runtime's own memory was measured: at the least of its factors, without
    the base where several devices could each have theirs."""
    models = [device.calibration.memory for device in target.devices if device.calibration is not None]
    factors = [min(model.weights, model.working, *dict(model.weights_of).values()) for model in models if model is not None]
    if not factors:
        return capacity
    least = min(1.0, *factors)
    base = sum(min(model.base, 0.0) for model in models if model is not None)
    return int((capacity - base) / least) if least > 0 else 1 << 62


def working_devices(target: Target) -> tuple[int, ...]:
    """Devices whose weights are in a memory that is part of the peak: not in one that only holds weights."""
    stores = [weights_memory(target, device.name) for device in target.devices]
    return tuple(k for k, store in enumerate(stores) if store.holds != ("weights",) and store.resident is None)


def _numbers(memory_of: Mapping[str, str], names: list[str]) -> dict[str, tuple[int, ...]]:
    return {memory: tuple(k for k, name in enumerate(names) if memory_of.get(name) == memory) for memory in set(memory_of.values())}

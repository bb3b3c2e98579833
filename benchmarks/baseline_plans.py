"""How other compilers divide a model among devices, written from their published algorithms and sharing no code with ours.

Each gives a device to every unit of a `Division` (the same units that our solver places, so every tool has our fused operators and
substitutions). Accelerators come in an order of priority. Sources:

- `onnxruntime`: `CreateSupportedPartitions` of core/providers/partitioning_utils.cc, asked of one provider after the other; a group of
  operators that only move data is given back, as the providers for phones do when a group closes.
- `openvino`: the HETERO plugin; every device takes all it supports of what remains, in order, while its weights fit.
- `tvm`: Relay's AnnotateTarget (the first target of the list that supports an operator), MergeCompilerRegions (the cycle restrictions of
  its paper and source, so regions are convex), PartitionGraph, and the pruning of regions without multiplications that its integrations do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Division:
    """What has to be divided; units in topological order."""

    devices: int
    host: int
    supports: tuple[frozenset[int], ...]
    """Per unit, the devices that run it."""
    before: tuple[frozenset[int], ...]
    """Per unit, the units whose results it reads."""
    multiplies: tuple[bool, ...]
    """Per unit, whether it has a product of matrices, a convolution or a recurrent layer."""
    moves: tuple[bool, ...]
    """Per unit, whether it only moves data."""
    weights: tuple[int, ...]
    """Bytes per unit."""
    room: tuple[int | None, ...]
    """Bytes for weights per device."""

    @property
    def accelerators(self) -> tuple[int, ...]:
        return tuple(device for device in range(self.devices) if device != self.host)

    def rest(self, unit: int) -> int:
        """Where a unit goes that no accelerator took."""
        return self.host if self.host in self.supports[unit] else min(self.supports[unit])


def all_on_host(division: Division) -> list[int]:
    return [division.rest(unit) for unit in range(len(division.supports))]


def onnxruntime(division: Division, order: Sequence[int]) -> list[int]:
    """One provider after the other claims groups of what it supports and nobody has."""
    found: list[int | None] = [None] * len(division.supports)
    for device in order:
        for group in _supported_groups(division, [device in division.supports[u] and found[u] is None for u in range(len(found))]):
            if not all(division.moves[unit] for unit in group):
                for unit in group:
                    found[unit] = device
    return [division.rest(unit) if device is None else device for unit, device in enumerate(found)]


def _supported_groups(division: Division, supported: Sequence[bool]) -> list[list[int]]:
    """Kahn's order in which an unsupported unit that reads the open group waits until the group can grow no more."""
    after = _after(division)
    missing = [len(found) for found in division.before]
    now, later = deque(unit for unit, count in enumerate(missing) if not count), deque[int]()
    groups: list[list[int]] = []
    group, border = list[int](), set[int]()
    while now or later:
        if not now:
            groups.append(group)
            group, border, now, later = [], set(), later, now
            continue
        unit = now.popleft()
        if not supported[unit] and unit in border:
            later.append(unit)
            continue
        if supported[unit]:
            group.append(unit)
            border.discard(unit)
            border.update(after[unit])
        for reader in after[unit]:
            missing[reader] -= 1
            if not missing[reader]:
                now.append(reader)
    return [found for found in (*groups, group) if found]


def openvino(division: Division, order: Sequence[int]) -> list[int]:
    """Devices in order of priority, each takes all it supports of what remains and has room for."""
    found: list[int | None] = [None] * len(division.supports)
    for device in order:
        room = division.room[device]
        for unit in range(len(found)):
            fits = room is None or division.weights[unit] <= room
            if found[unit] is None and device in division.supports[unit] and fits:
                found[unit] = device
                room = None if room is None else room - division.weights[unit]
    return [division.rest(unit) if device is None else device for unit, device in enumerate(found)]


@dataclass(slots=True)
class _Region:
    device: int
    units: set[int]
    restricted: set[int] = field(default_factory=set)
    """Units of regions that must not be joined with this one: they lie behind it, through a region of another target."""


def tvm(division: Division, order: Sequence[int]) -> list[int]:
    """Annotated, merged, and with regions that multiply nothing given back."""
    annotated = [next((d for d in order if d in division.supports[u]), division.rest(u)) for u in range(len(division.supports))]
    found = list(annotated)
    for region in regions(division, annotated):
        if region.device != division.host and not any(division.multiplies[unit] for unit in region.units):
            for unit in region.units:
                found[unit] = division.rest(unit)
    return found


def regions(division: Division, annotated: Sequence[int]) -> list[_Region]:
    """Every unit, in order, joins the regions that it reads where the target is the same and no way leads around."""
    of: dict[int, _Region] = {}
    for unit, device in enumerate(annotated):
        region, same = _Region(device, {unit}), []
        for source in sorted(division.before[unit]):
            other = of[source]
            region.restricted |= other.restricted
            if other.device == device:
                same.append(source)
            else:
                region.restricted |= other.units
        of[unit] = region
        for source in same:
            other = of[source]
            if other is not of[unit] and not other.units & of[unit].restricted:
                _join(of, other, of[unit])
    unique = {id(region): region for region in of.values()}
    for region in unique.values():
        _check_convex(division, region)
    return list(unique.values())


def _join(of: dict[int, _Region], into: _Region, other: _Region) -> None:
    into.restricted |= other.restricted
    into.units |= other.units
    for unit in other.units:
        of[unit] = into


def _check_convex(division: Division, region: _Region) -> None:
    """Raises ValueError where a way leaves the region and comes back."""
    outside: set[int] = set()
    for unit, sources in enumerate(division.before):
        left = any(source in outside or (source in region.units and unit not in region.units) for source in sources)
        if left and unit in region.units:
            raise ValueError(f"a region is not convex at unit {unit}")
        if left:
            outside.add(unit)


def _after(division: Division) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in division.before]
    for unit, sources in enumerate(division.before):
        for source in sorted(sources):
            found[source].append(unit)
    return found

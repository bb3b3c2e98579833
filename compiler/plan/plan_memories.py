"""Where the tensors of every segment lie, once segments are cut and the arena is planned: the best choice that can be packed.

The choice knows how many bytes are live at each step; packing them may take more. Then the choice is made again with less room, and one
that is not proven is held against that of half the room: more memory never makes a plan slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...passes.place.memory.memory_options import Way, machine_of
from ...passes.place.memory.memory_use import Stretch
from ...passes.place.memory.residency import UNBOUNDED, Item, Program, program_of
from ...passes.solve.memory.choose_residency import choose, seconds, step_seconds
from ...targets.model import Target
from ...targets.work.traffic import PLACEABLE
from ..arena.pack import plan
from ..arena.validate import violations
from ..bundle.plan_records import MemoriesRecord, PlaceRecord, TransferRecord
from .predict import held_by_memory
from .segments import Compiled, MemoryPlan

TRIES = 6
"""Choices with less and less room."""
LEAST_ROOM = 4096
"""Bytes of the other memories below which half of them is not tried."""
PACKING_EFFORT = 20
ORDER = ("before", "during", "after")
"""Of transfers, around a kernel."""


@dataclass(frozen=True, slots=True)
class Block:
    """Bytes of one memory, for the packer."""

    name: str
    bytes: int
    lifetime: tuple[int, int]
    offset: int = 0
    align: int = PLACEABLE


@dataclass(frozen=True, slots=True)
class _Fitting:
    options: tuple[int, ...]
    seconds: float
    offsets: Mapping[tuple[int, int], int]
    """(item, number of its hold) -> offset."""
    heights: tuple[int, ...]
    """Per memory."""


def with_memories(compiled: Compiled, target: Target, arena: int, effort: float = 1.0) -> Compiled:
    """The compiled model with its tensors in the memories of its devices, and the time that this takes. `arena`: its bytes."""
    stored = held_by_memory(compiled, target, arena)
    rooms = [max(0, m.budget - (stored[m.name].total - stored[m.name].working if m.name in stored else 0)) for m in target.memories]
    program = program_of(compiled.segments, target, rooms)
    if program is None:
        return compiled
    found = _fit(program, effort) or _fit(
        program.within([UNBOUNDED if k in program.homes else room for k, room in enumerate(rooms)]), effort
    )
    assert found is not None  # with unbounded homes the first options fit
    times = _segment_seconds(program, found.options)
    segments = tuple(
        segment if gained is None else replace(segment, part=replace(segment.part, seconds=segment.seconds + segment.part.saved - gained))
        for segment, gained in zip(compiled.segments, times, strict=True)
    )
    return replace(compiled, segments=segments, memories=_records(program, found))


def _fit(program: Program, effort: float) -> _Fitting | None:
    """The fastest choice that packs; None where none was found."""
    rooms, best, proven = list(program.rooms), None, False
    for number in range(TRIES):
        chosen = choose(program.within(rooms).problem, effort)
        if chosen is None:
            break
        packed = _pack(program, chosen.options)
        excess = [height - room for height, room in zip(packed.heights, program.rooms, strict=True)]
        if max(excess) <= 0:
            best, proven = packed, chosen.proven and not number
            break
        rooms = [room - max(more, room // 50) if more > 0 else room for room, more in zip(rooms, excess, strict=True)]
        if min(rooms) < 0:
            break
    others = [k for k in range(len(rooms)) if k not in program.homes]
    if proven or max((program.rooms[k] for k in others), default=0) < LEAST_ROOM:
        return best
    half = _fit(program.within([room // 2 if k in others else room for k, room in enumerate(program.rooms)]), effort)
    return min((one for one in (best, half) if one is not None), key=lambda one: one.seconds, default=None)


def _pack(program: Program, options: Sequence[int]) -> _Fitting:
    offsets: dict[tuple[int, int], int] = {}
    heights = []
    for memory in range(len(program.rooms)):
        blocks = list(_blocks(program, options, memory))
        found = plan([block for _, block in blocks], effort=PACKING_EFFORT)
        placed = [replace(block, offset=found.offsets[block.name]) for _, block in blocks]
        if broken := violations(placed, found.total):
            raise AssertionError(f"the plan of memory {program.target.memories[memory].name} is wrong: {'; '.join(broken)}")
        offsets.update((key, block.offset) for (key, _), block in zip(blocks, placed, strict=True) if key is not None)
        heights.append(found.total)
    return _Fitting(tuple(options), seconds(program.problem, options), offsets, tuple(heights))


def _blocks(program: Program, options: Sequence[int], memory: int) -> Iterator[tuple[tuple[int, int] | None, Block]]:
    for i, (item, option) in enumerate(zip(program.items, options, strict=True)):
        for h, hold in enumerate(item.ways[option].option.holds):
            if hold.memory == memory:
                yield (i, h), Block(f"{i}.{h}", hold.bytes, (hold.first, hold.last))
    for number, (stretch, home) in enumerate(zip(program.stretches, program.homes, strict=True)):
        if isinstance(stretch, int) and home == memory and stretch:
            yield None, Block(f"segment {number}", stretch, (program.starts[number],) * 2)


def _segment_seconds(program: Program, options: Sequence[int]) -> list[float | None]:
    """Seconds saved per segment, against all of it in the device's own memories; None for a segment without a choice."""
    starts = program.starts
    before, after = step_seconds(program.problem, program.first), step_seconds(program.problem, options)
    found: list[float | None] = []
    for number, stretch in enumerate(program.stretches):
        here = slice(starts[number], starts[number + 1])
        found.append(None if isinstance(stretch, int) else sum(before[here]) - sum(after[here]))
    for item, option in zip(program.items, options, strict=True):
        if item.stretch is not None:
            found[item.stretch] = (found[item.stretch] or 0.0) - item.ways[option].option.seconds
    return found


def _records(program: Program, found: _Fitting) -> MemoryPlan:
    places: dict[int, list[PlaceRecord]] = {}
    transfers: dict[int, list[TransferRecord]] = {}
    names, resident = [memory.name for memory in program.target.memories], [0] * len(program.rooms)
    for i, (item, option) in enumerate(zip(program.items, found.options, strict=True)):
        way = item.ways[option]
        offsets = [found.offsets[i, h] for h in range(len(way.option.holds))]
        if way.kind == "resident":
            resident[way.option.holds[0].memory] += way.option.holds[0].bytes
        for number in item.readers:
            places.setdefault(number, []).extend(_places(program, item, way, number, offsets))
            transfers.setdefault(number, []).extend(_transfers(item, way, names, program.starts[number]))
    return MemoryPlan(
        segments={
            number: MemoriesRecord(
                own=names[machine.home],
                stored=names[machine.store],
                places=tuple(sorted(places.get(number, ()), key=lambda one: (one.first, one.tensor, one.memory))),
                transfers=tuple(sorted(transfers.get(number, ()), key=lambda one: (one.step, ORDER.index(one.when), one.tensor))),
            )
            for number, stretch in enumerate(program.stretches)
            if isinstance(stretch, Stretch) and (machine := machine_of(program.target, stretch.device))
        },
        working={name: height - kept for name, height, kept in zip(names, found.heights, resident, strict=True)},
        resident={name: kept for name, kept in zip(names, resident, strict=True) if kept},
    )


def _places(program: Program, item: Item, way: Way, number: int, offsets: Sequence[int]) -> Iterator[PlaceRecord]:
    start, end = program.starts[number], program.starts[number + 1] - 1
    for hold, offset in zip(way.option.holds, offsets, strict=True):
        yield PlaceRecord(
            tensor=item.use.tensor,
            same=item.use.same,
            memory=program.target.memories[hold.memory].name,
            kind=way.kind,
            first=max(hold.first, start) - start,
            last=min(hold.last, end) - start,
            offset=offset,
            bytes=hold.bytes,
        )


def _transfers(item: Item, way: Way, names: Sequence[str], start: int) -> Iterator[TransferRecord]:
    for one in way.transfers:
        yield TransferRecord(
            tensor=item.use.tensor,
            kind=one.kind,
            source=names[one.source],
            destination=names[one.destination],
            step=one.step - start,
            when=one.when,
            bytes=one.bytes,
            seconds=one.seconds,
        )

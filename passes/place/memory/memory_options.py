"""The ways in which one tensor can lie in the memories of its device while a run of kernels goes on.

Between two accesses a tensor lies in one memory. A kernel reads it where it lies; what a memory has lost comes back by a transfer, which
costs the bytes at the rate of the slower of both memories:

    spill   from another memory to the device's own, once: a tensor never changes
    fill    from the device's own memory to another, before the kernel that reads it there
    move    between two others
    load    a weight into another memory while the kernel before computes: two buffers are then live, that in use and that being filled

A resident weight lies in another memory in all runs, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from ....targets.cost import home_memory, weights_memory
from ....targets.model import Memory, Target
from ....targets.work.traffic import PLACEABLE, other_memories, transfer_seconds
from ...solve.memory.residency import Hold, Option
from .memory_use import Stretch, Use

MOST_PATTERNS = 64
"""Beyond it, a tensor that is read often lies in one other memory only, and beyond it again for one run of accesses; with
more gaps than this, for its first ones, in powers of two."""


@dataclass(frozen=True, slots=True)
class Transfer:
    kind: Literal["spill", "fill", "move", "load"]
    source: int
    destination: int
    step: int
    """Counted in the whole program."""
    when: Literal["before", "after", "during"]
    """The step's kernel."""
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way for a tensor, with what it means to the solver."""

    option: Option
    transfers: tuple[Transfer, ...]
    kind: Literal["working", "streamed", "resident"] = "working"


@dataclass(frozen=True, slots=True)
class Machine:
    """The memories of a target by number, and those of one of its devices."""

    memories: tuple[Memory, ...]
    home: int
    store: int
    others: tuple[int, ...]
    """Besides `home`, for activations."""
    stores: tuple[int, ...]
    """Besides `store`, for weights."""

    def seconds(self, memory: int, size: float) -> float:
        return size / self.memories[memory].bandwidth


def machine_of(target: Target, device: str) -> Machine:
    number = {memory.name: k for k, memory in enumerate(target.memories)}
    others, stores = (tuple(number[m.name] for m in other_memories(target, device, role)) for role in ("activations", "weights"))
    return Machine(target.memories, number[home_memory(target, device).name], number[weights_memory(target, device).name], others, stores)


def aligned(size: int) -> int:
    return -(-size // PLACEABLE) * PLACEABLE


def activation_ways(machine: Machine, use: Use, start: int) -> tuple[Way, ...]:
    """Of a tensor that is no constant; the first is the device's own memory throughout. `start`: the number of the run's first step."""
    accesses = use.accesses
    movable = use.bytes >= PLACEABLE and (use.given or accesses[0].writes)
    gaps = len(accesses) - 1
    plain = (machine.home,) * gaps
    patterns = [plain]
    if movable:
        patterns += [found for found in _patterns(machine, gaps) if found != plain]
    ways = [_activation(machine, use, start, pattern) for pattern in patterns]
    if movable and gaps == 0 and not use.given and not use.wanted:
        step = start + accesses[0].step
        ways += [_written_for_nobody(machine, use, step, memory) for memory in machine.others]
    return tuple(ways)


def _patterns(machine: Machine, gaps: int) -> Iterable[tuple[int, ...]]:
    """Where the tensor lies in each gap between two accesses."""
    if (1 + len(machine.others)) ** gaps <= MOST_PATTERNS:
        return product((machine.home, *machine.others), repeat=gaps)
    if 2**gaps <= MOST_PATTERNS:
        return dict.fromkeys(found for memory in machine.others for found in product((machine.home, memory), repeat=gaps))
    if gaps <= MOST_PATTERNS:
        runs = [(a, b) for a in range(gaps) for b in range(a + 1, gaps + 1) if b - a == 1 or a == 0 or b == gaps]
    else:
        runs = [*((0, 1 << k) for k in range(gaps.bit_length()) if 1 << k < gaps), (0, gaps)]
    return (tuple(memory if a <= k < b else machine.home for k in range(gaps)) for memory in machine.others for a, b in runs)


def _activation(machine: Machine, use: Use, start: int, pattern: Sequence[int]) -> Way:
    home, size = machine.home, aligned(use.bytes)
    steps = [start + access.step for access in use.accesses]
    transfers: list[Transfer] = []
    served: list[int] = []
    saved = use.given or not pattern or pattern[0] == home  # whether the device's own memory has it
    since = steps[0] if saved else -1
    for j, step in enumerate(steps):
        before = pattern[j - 1] if j else home if use.given else pattern[0] if pattern else home
        after = pattern[j] if j < len(pattern) else before
        served.append(before if after in (before, home) else after)
        if after == before:
            continue
        if after != home:
            kind: Literal["fill", "move"] = "fill" if before == home else "move"
            transfers.append(_transfer(machine, kind, before, after, step, "before", use.bytes))
        elif not saved:
            transfers.append(_transfer(machine, "spill", before, home, step, "after", use.bytes))
            saved, since = True, step
    if use.wanted and not saved:
        transfers.append(_transfer(machine, "spill", pattern[-1], home, steps[-1], "after", use.bytes))
    holds = list(_holds(machine, pattern, steps, size))
    last = max(
        [s for s, memory in zip(steps, served, strict=True) if memory == home] + [t.step for t in transfers if t.source == home], default=-1
    )
    if saved and last >= since >= 0 and not use.given and not use.wanted and size:
        holds.append(Hold(home, since, max(last, since), size))
    traffic = tuple((s, m, machine.seconds(m, a.bytes)) for s, m, a in zip(steps, served, use.accesses, strict=True) if a.bytes)
    return Way(Option(sum(t.seconds for t in transfers), tuple(holds), traffic), tuple(transfers))


def _holds(machine: Machine, pattern: Sequence[int], steps: Sequence[int], size: int) -> Iterator[Hold]:
    """Of the other memories: from the access that begins a run of gaps to the one that ends it."""
    first = 0
    for k in range(1, len(pattern) + 1):
        if k == len(pattern) or pattern[k] != pattern[first]:
            if pattern[first] != machine.home:
                yield Hold(pattern[first], steps[first], steps[k], size)
            first = k


def _written_for_nobody(machine: Machine, use: Use, step: int, memory: int) -> Way:
    traffic = ((step, memory, machine.seconds(memory, use.accesses[0].bytes)),)
    return Way(Option(0.0, (Hold(memory, step, step, aligned(use.bytes)),), traffic), ())


def _transfer(
    machine: Machine,
    kind: Literal["spill", "fill", "move", "load"],
    source: int,
    destination: int,
    step: int,
    when: Literal["before", "after", "during"],
    size: int,
) -> Transfer:
    seconds = transfer_seconds(machine.memories[source], machine.memories[destination], size)
    return Transfer(kind, source, destination, step, when, size, seconds)


def weight_ways(readers: Sequence[tuple[Machine, Stretch, Use, int]], steps: int) -> tuple[Way, ...]:
    """Of a constant, by all runs that read it: (its device's memories, the run, the use there, the number of the run's first step).
    `steps`: of the whole program. The first way reads it from where each device's weights are."""
    uses = [(machine, use, start) for machine, _, use, start in readers]
    ways = [Way(Option(0.0, (), tuple(_reads(uses, None))), ())]
    size = max(use.bytes for _, use, _ in uses)
    if size < PLACEABLE:
        return tuple(ways)
    for memory in dict.fromkeys(memory for machine, _, _ in uses for memory in machine.stores):
        held = (Hold(memory, 0, max(steps - 1, 0), aligned(size)),)
        ways.append(Way(Option(0.0, held, tuple(_reads(uses, memory))), (), "resident"))
    if len(readers) == 1:
        machine, stretch, use, start = readers[0]
        ways += [way for memory in machine.stores if (way := _streamed(machine, stretch, use, start, memory)) is not None]
    return tuple(ways)


def _reads(uses: Sequence[tuple[Machine, Use, int]], memory: int | None) -> Iterator[tuple[int, int, float]]:
    for machine, use, start in uses:
        there = memory if memory is not None and memory in machine.stores else machine.store
        yield from ((start + access.step, there, machine.seconds(there, access.bytes)) for access in use.accesses if access.bytes)


def _streamed(machine: Machine, stretch: Stretch, use: Use, start: int, memory: int) -> Way | None:
    """Copied while the kernel before its first reader computes; None for a memory that nothing is written to while a model runs."""
    first, last = use.accesses[0].step, use.accesses[-1].step
    before = next((k for k in range(first - 1, -1, -1) if stretch.moves[k]), None)
    if before is None or "activations" not in machine.memories[memory].holds:
        return None
    copy = _transfer(machine, "load", machine.store, memory, start + before, "during", use.bytes)
    traffic = [(start + before, m, machine.seconds(m, use.bytes)) for m in (machine.store, memory)]
    traffic += [(start + a.step, memory, machine.seconds(memory, a.bytes)) for a in use.accesses if a.bytes]
    return Way(Option(0.0, (Hold(memory, start + before, start + last, aligned(use.bytes)),), tuple(traffic)), (copy,), "streamed")

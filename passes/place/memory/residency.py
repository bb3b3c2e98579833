"""Where the tensors of a placed model lie: the ways of every tensor (`memory_options.py`) as one problem of numbers, over all segments.

Segments run one after the other, so tensors of two of them may lie in the same bytes; what is resident in all runs may not. A device for
which nothing can lie in two memories has no say and no cost here: its segments count with what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ....targets.cost import home_memory
from ....targets.model import Target
from ....targets.support import No, supports
from ....targets.work.traffic import has_choice
from ...graph.node import Node
from ...solve.memory.residency import Residency, Step
from ..segment import Segment
from .memory_options import Way, activation_ways, machine_of, weight_ways
from .memory_use import Seen, Stretch, Use, stretch_of

UNBOUNDED = 1 << 60
"""Bytes of a memory whose budget is for others to check."""


@dataclass(frozen=True, slots=True)
class Item:
    """A tensor of one stretch, or a constant of several."""

    use: Use
    stretch: int | None
    """None for a constant."""
    readers: tuple[int, ...]
    """The stretches that use it."""
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Program:
    """Everything that can lie in several memories, over the steps of all stretches."""

    target: Target
    stretches: tuple[Stretch | int, ...]
    """A segment that has no choice is the bytes that it holds at home, and one step."""
    homes: tuple[int, ...]
    """Per stretch, the number of the memory of its device's activations."""
    rooms: tuple[int, ...]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The number of the first step of each stretch, and of the end."""
        found = [0]
        for stretch in self.stretches:
            found.append(found[-1] + (1 if isinstance(stretch, int) else len(stretch.floors)))
        return tuple(found)

    @property
    def first(self) -> tuple[int, ...]:
        """The choice that uses no other memory."""
        return (0,) * len(self.items)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        found: list[Item] = []
        readers: dict[str, list[tuple[int, Use]]] = {}
        for number, stretch in enumerate(self.stretches):
            if isinstance(stretch, int):
                continue
            machine = machine_of(self.target, stretch.device)
            for use in stretch.uses:
                if use.const:
                    readers.setdefault(use.tensor, []).append((number, use))
                else:
                    found.append(Item(use, number, (number,), activation_ways(machine, use, self.starts[number])))
        for several in readers.values():
            with_machines = []
            for number, use in several:
                stretch = self.stretches[number]
                assert isinstance(stretch, Stretch)
                with_machines.append((machine_of(self.target, stretch.device), stretch, use, self.starts[number]))
            ways = weight_ways(with_machines, self.starts[-1])
            found.append(Item(several[0][1], None, tuple(number for number, _ in several), ways))
        return tuple(found)

    @cached_property
    def problem(self) -> Residency:
        steps: list[Step] = []
        for stretch, home in zip(self.stretches, self.homes, strict=True):
            if isinstance(stretch, int):
                steps.append(Step(0.0, taken=((home, stretch),)))
            else:
                steps.extend(Step(floor) for floor in stretch.floors)
        return Residency(self.rooms, tuple(steps), tuple(tuple(way.option for way in item.ways) for item in self.items))

    def within(self, rooms: Sequence[int]) -> Program:
        return Program(self.target, self.stretches, self.homes, tuple(rooms))


def program_of(segments: Sequence[Segment], target: Target, rooms: Sequence[int]) -> Program | None:
    """The program of the cut segments; None where none has a choice. `rooms`: bytes of each memory that may be used."""
    number = {memory.name: k for k, memory in enumerate(target.memories)}
    stretches = tuple(_stretch(s, target) if has_choice(target, s.device) else s.internal_peak for s in segments)
    if all(isinstance(stretch, int) for stretch in stretches):
        return None
    homes = tuple(number[home_memory(target, segment.device).name] for segment in segments)
    return Program(target, stretches, homes, tuple(rooms))


def _stretch(segment: Segment, target: Target) -> Stretch:
    graph, device = segment.graph, target.device(segment.device)

    def see(node: Node) -> Seen:
        view = graph.view(node)
        answer = supports(device, view, target.precision)
        return Seen(view, segment.compute_dtype if isinstance(answer, No) else answer.compute_dtype)

    return stretch_of(graph, target, segment.part, segment.groups, (segment.inputs, segment.outputs), see)

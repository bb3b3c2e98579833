"""Buffers joined without waste to blocks that are packed as one: where memory is full, whatever fits exactly mostly belongs together.

    in a row    b is born as a dies, and has its size: b takes a's place
    in a stack  a and b live through the same sections: b lies on a

A plan of the blocks is a plan of the buffers; that there is none for the blocks says nothing about the buffers. Which of several exact fits
is meant is a guess, so the joining is done again and again with other guesses. (Bottom-up block building, known from container loading.)
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from .sections import Problem

LOOKING = 4
"""What it costs to look at one pair, in visits of the depth-first search."""
MANY = 24
"""Of so many blocks of one kind the joints are looked at; of more, those of a sample."""


class Doubt(IntEnum):
    """How far a joint is a guess."""

    NONE = 0
    """Nothing else dies or is born there; or both are all that takes the place of one buffer."""
    SLIGHT = 1
    """In a row, and no other buffer of that size dies or is born there."""
    SOME = 2
    """Stacked, and one buffer before or after them is as large as both."""
    SEVERAL = 3
    """In a row, with several of that size."""
    MUCH = 4
    """Stacked because they live equally long."""


@dataclass(frozen=True, slots=True)
class Block:
    """One buffer, or two blocks that keep their places relative to each other. Answers what a search asks of a buffer."""

    number: int
    """Among buffers and blocks, in the order of making."""
    bytes: int
    size: int
    """In the problem's units."""
    align: int
    """The problem's unit."""
    lifetime: tuple[int, int]
    """First and last section."""
    parts: tuple[Block, Block] | tuple[()] = ()
    upper: int = 0
    """Units from the bottom of the block to that of its second part."""

    @property
    def name(self) -> str:
        return str(self.number)


@dataclass(frozen=True, slots=True)
class _Joint:
    doubt: Doubt
    below: Block
    """Or before."""
    above: Block
    """Or after."""

    def block(self, number: int) -> Block:
        """What comes out."""
        a, b = self.below, self.above
        if a.lifetime == b.lifetime:
            return Block(number, a.size * a.align + b.bytes, a.size + b.size, a.align, a.lifetime, (a, b), upper=a.size)
        return Block(number, max(a.bytes, b.bytes), a.size, a.align, (a.lifetime[0], b.lifetime[1]), (a, b))


class Joining:
    """Blocks of one problem whose offsets may be any unit."""

    def __init__(self, problem: Problem, dice: random.Random) -> None:
        self._dice = dice
        self._sections = len(problem.members)
        self._born: dict[int, dict[int, Block]] = defaultdict(dict)
        self._dying: dict[int, dict[int, Block]] = defaultdict(dict)
        self._alike: dict[tuple[int, int], dict[int, Block]] = defaultdict(dict)
        self._made = 0
        self.work = 0
        for i, size in enumerate(problem.sizes):
            self._add(Block(i, problem.bytes[i], size, problem.unit, (problem.first[i], problem.last[i])))

    def blocks(self, most: Doubt, work: int) -> list[Block]:
        """What is left when nothing more can be joined with at most that doubt, or the work is done: the surest joints first."""
        while self.work < work and (found := [joint for joint in self._joints() if joint.doubt <= most]):
            least = min(joint.doubt for joint in found)
            found = [joint for joint in found if joint.doubt is least]
            self._dice.shuffle(found)
            touched: set[int] = set()  # what a joint changes nearby may put another one in doubt
            for joint in found:
                near = {joint.below.lifetime[0] - 1, joint.below.lifetime[1], joint.above.lifetime[0] - 1, joint.above.lifetime[1]}
                if not near & touched:
                    self._join(joint)
                    touched |= near
        return [block for born in self._born.values() for block in born.values()]

    def _joints(self) -> Iterator[_Joint]:
        """Those possible now; of very many alike, some."""
        self.work += self._sections + len(self._alike)
        for s in range(self._sections - 1):
            if self._dying[s] and self._born[s + 1]:
                yield from self._rows(self._dying[s].values(), self._born[s + 1].values())
        for (first, last), alike in self._alike.items():
            if len(alike) > 1:
                yield from self._stacks(first, last, self._some(list(alike.values())))

    def _rows(self, dying: Collection[Block], born: Collection[Block]) -> Iterator[_Joint]:
        self.work += LOOKING * (len(dying) + len(born))
        sure = len(dying) == len(born) == 1
        after = _by_size(born)
        for size, ends in _by_size(dying).items():
            begins = after.get(size, [])
            doubt = Doubt.NONE if sure else Doubt.SLIGHT if len(ends) == len(begins) == 1 else Doubt.SEVERAL
            self.work += LOOKING * len(begins)
            for a, b in itertools.product(self._some(ends), self._some(begins)):
                yield _Joint(doubt, a, b)

    def _stacks(self, first: int, last: int, alike: Sequence[Block]) -> Iterator[_Joint]:
        before, after = self._dying[first - 1].values(), self._born[last + 1].values()
        self.work += LOOKING * (len(alike) * len(alike) + len(before) + len(after))
        lone = 1 in (len(before), len(after)) or 2 in (len(self._born[first]), len(self._dying[last]))
        sizes = {block.size for side in (before, after) for block in side}
        for a, b in itertools.combinations(alike, 2):
            yield _Joint(Doubt.NONE if lone else Doubt.SOME if a.size + b.size in sizes else Doubt.MUCH, a, b)

    def _some(self, alike: list[Block]) -> list[Block]:
        return alike if len(alike) <= MANY else self._dice.sample(alike, MANY)

    def _join(self, joint: _Joint) -> None:
        for part in (joint.below, joint.above):
            first, last = part.lifetime
            alike = self._alike[part.lifetime]
            del self._born[first][part.number], self._dying[last][part.number], alike[part.number]
            if not alike:
                del self._alike[part.lifetime]
        self._add(joint.block(self._made))

    def _add(self, block: Block) -> None:
        first, last = block.lifetime
        self._made += 1
        self._born[first][block.number] = self._dying[last][block.number] = self._alike[block.lifetime][block.number] = block


def _by_size(blocks: Collection[Block]) -> dict[int, list[Block]]:
    found: dict[int, list[Block]] = {}
    for block in blocks:
        found.setdefault(block.size, []).append(block)
    return found


def spread(blocks: Sequence[Block], units: Sequence[int], count: int) -> list[int]:
    """Offsets of the `count` buffers in units, from those of the blocks that hold them."""
    found = [0] * count
    waiting = list(zip(blocks, units, strict=True))
    while waiting:
        block, offset = waiting.pop()
        if block.parts:
            lower, upper = block.parts
            waiting += ((lower, offset), (upper, offset + block.upper))
        else:
            found[block.number] = offset
    return found

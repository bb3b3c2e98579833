"""What a slip is: a kind of mistake finds its sites in any model; a site makes the mistake there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .edit import Edit


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a mistake can be made."""

    where: str
    """The operator or tensor, by name."""
    change: Callable[[Edit, float], None]
    """Makes the mistake; the number is its strength, where it has one."""
    strength: float = 0.0
    """To begin with, where the mistake can be made as small as wanted; 0 where it is what it is."""


Find = Callable[[Edit], Iterator[Site]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mistake."""

    name: str
    find: Find

    def sites(self, view: Edit, most: int) -> list[Site]:
        """The first, the last and one in the middle, or fewer."""
        found = list(self.find(view))
        picked = [0, len(found) - 1, len(found) // 2][:most]
        return [found[k] for k in dict.fromkeys(picked)] if found else []


def plain(change: Callable[[Edit], None]) -> Callable[[Edit, float], None]:
    """A mistake without a strength."""

    def make(edit: Edit, strength: float) -> None:
        change(edit)

    return make

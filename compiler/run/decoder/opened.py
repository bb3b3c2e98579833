"""Entries of a bundle of several models, bound to one arena: those that are open, and others that are opened when they are needed."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping
from time import perf_counter

from ...quantities import time
from ..arena_memory import ArenaMemory
from ..generation import NOT_MOVED
from ..give_back import give_back
from .entry_run import EntryRun, Opener

MOST_MOVED = 8
"""Places of rows at which an entry stays bound: each takes some kilobytes."""


class Opened:
    """`runs` are the open ones, by name."""

    def __init__(self, opener: Opener, memory: ArenaMemory, runs: dict[str, EntryRun]) -> None:
        self._opener, self._memory, self.runs = opener, memory, runs
        self._moved: dict[tuple[str, tuple[tuple[int, int], ...]], EntryRun] = {}
        self._told: list[str] = []
        self._again: dict[str, str] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, in their first runs, and while entries were opened again."""
        runs = (*self.runs.values(), *self._moved.values())
        return tuple(dict.fromkeys((*self._told, *self._again.values(), *(note for run in runs for note in run.session.notes))))

    def __getitem__(self, name: str) -> EntryRun:
        """Opened where it is not. Raises what loading raises."""
        found = self.runs.get(name)
        if found is None:
            begun = perf_counter()
            found = self.runs[name] = self._opener(name, self._memory)
            self._again[name] = f"'{name}' was released and opened again, in {time(perf_counter() - begun)}"
        return found

    def moved(self, name: str, slots: Mapping[int, int] = NOT_MOVED) -> EntryRun:
        """The entry, with slots (by index) so many bytes behind their places."""
        if not any(slots.values()):
            return self[name]
        key = name, tuple(slots.items())
        if key not in self._moved:
            if len(self._moved) == MOST_MOVED:
                del self._moved[next(iter(self._moved))]
            self._moved[key] = self[name].beside(moved=slots)
        return self._moved[key]

    def release(self, names: Collection[str]) -> None:
        """Their sessions end, with the weights that those hold, and the system gets the pages of the arena that no open entry has."""
        self._told += [note for name in names if name in self.runs for note in self.runs[name].session.notes]
        self.runs = {name: run for name, run in self.runs.items() if name not in names}
        self._moved = {key: run for key, run in self._moved.items() if key[0] not in names}
        gc.collect()  # a session and what it is bound to know each other
        give_back()
        self._memory.give_back(self._opener.end_of(self.runs))

    def beside(self, memory: ArenaMemory) -> Opened:
        """The open ones, bound to another arena."""
        return Opened(self._opener, memory, {name: run.beside(memory) for name, run in self.runs.items()})

    @property
    def size(self) -> tuple[int, int]:
        """Bytes and alignment of the arena."""
        return self._opener.size


def opened(opener: Opener, names: Collection[str]) -> Opened:
    """All of these, in an arena of their own. Raises what loading raises."""
    memory = ArenaMemory(*opener.size)
    return Opened(opener, memory, {name: opener(name, memory) for name in names})

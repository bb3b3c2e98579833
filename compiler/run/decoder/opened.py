"""Entries of a bundle, bound to one arena: those that are open, and others that are opened when they are looked up.

Most sessions open all of their entries at once, and keep them. Where models take turns in memory (Manifest.phases), and for whoever asks
what a bundle computes and not how fast, none is open before its first step, and opening one closes those that it is never open beside. An
entry is always loaded in the same way, from the same files; what lies in the arena stays while entries come and go.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from weakref import WeakSet

from ...bundle.entries import apart
from ...devices.adapter import Port
from ...errors import UsageError
from ...quantities import time
from ..arena_memory import ArenaMemory
from ..generation import NOT_MOVED
from ..give_back import give_back
from ..session import Session
from .entry_run import EntryRun, Opener

MOST_MOVED = 8
"""Places of rows at which an entry stays bound: each takes some kilobytes."""
Apart = Mapping[str, Collection[str]]
"""By entry, those that it is never open beside."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What is known of an entry's session once it was open; fields are those of Session."""

    devices: tuple[str, ...]
    absent: Mapping[int, str]
    emulated: tuple[str, ...]
    narrow: tuple[str, ...]
    native: tuple[str, ...]
    not_run: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Family:
    """A session and its forks, which share what they have open."""

    members: WeakSet[Opened] = field(default_factory=WeakSet)
    lock: Lock = field(default_factory=Lock)


class Opened:
    """`runs` are the open ones, by name."""

    def __init__(self, opener: Opener, memory: ArenaMemory, runs: dict[str, EntryRun], apart: Apart, family: _Family | None = None) -> None:
        self._opener, self.memory, self.runs, self._apart = opener, memory, runs, apart
        self._moved: dict[tuple[str, tuple[tuple[int, int], ...]], EntryRun] = {}
        self._told: dict[str, None] = {}
        self._again: dict[str, str] = {}
        self._ran = {name: _ran_of(run.session) for name, run in runs.items()}
        self._family = family or _Family()
        self._family.members.add(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, in their first runs, and while entries were opened again."""
        runs = (*self.runs.values(), *self._moved.values())
        return tuple(dict.fromkeys((*self._told, *self._again.values(), *(note for run in runs for note in run.session.notes))))

    @property
    def sessions(self) -> dict[str, Session]:
        """Of the open ones, by name."""
        return {name: run.session for name, run in self.runs.items()}

    def __getitem__(self, name: str) -> EntryRun:
        """Opened where it is not, once those are closed that it is never open beside. Raises what loading raises, and UsageError where a
        fork has one of those open."""
        found = self.runs.get(name)
        if found is None:
            with self._family.lock:
                self._make_room(name)
                begun = perf_counter()
                found = self.runs[name] = self._opener(name, self.memory)
            if name in self._ran:
                self._again[name] = f"'{name}' was released and opened again, in {time(perf_counter() - begun)}"
            self._ran[name] = _ran_of(found.session)
        return found

    def _make_room(self, name: str) -> None:
        """Closes those that the entry is never open beside, unless a fork has one of them."""
        closed = self._apart[name]
        if closed and len(self._family.members) > 1:
            gc.collect()  # a fork that nobody has any more
            others = [member for member in self._family.members if member is not self]
            kept = next((one for other in others for one in other.runs if one in closed), None)
            if kept is not None:
                what = f"'{name}' cannot be opened: a fork of this session has '{kept}' open, and memory holds one of them"
                raise UsageError(what, help=f"release('{kept}') of the fork, or close it")
        if any(one in closed for one in self.runs):
            self.release(closed)

    def ran(self) -> dict[str, Ran]:
        """Of every entry; those that never were open are opened."""
        for name in self._apart:
            if name not in self._ran:
                self[name]
        return {name: self._ran[name] for name in self._apart}

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
        self._told |= {note: None for name in names if name in self.runs for note in self.runs[name].session.notes}
        self.runs = {name: run for name, run in self.runs.items() if name not in names}
        self._moved = {key: run for key, run in self._moved.items() if key[0] not in names}
        gc.collect()  # a session and what it is bound to know each other
        give_back()
        self.memory.give_back(self._opener.end_of(self.runs))

    def close(self) -> None:
        """Every session ends, and the system gets all pages of the arena; those whose addresses somebody kept are zeros."""
        self.release(tuple(self.runs))
        self.memory.give_back(0)

    def beside(self, memory: ArenaMemory) -> Opened:
        """The open ones, bound to another arena."""
        return Opened(self._opener, memory, {name: run.beside(memory) for name, run in self.runs.items()}, self._apart, self._family)

    @property
    def slots(self) -> Mapping[str, Sequence[Port]]:
        """Of every entry, open or not."""
        return self._opener.slots(self.memory)

    @property
    def size(self) -> tuple[int, int]:
        """Bytes and alignment of the arena."""
        return self._opener.size


def opened(opener: Opener, *, one_open: bool = False) -> Opened:
    """All entries of the bundle in an arena of their own; none yet where models take turns, or where one_open: one at a time. Raises what
    loading raises."""
    manifest, memory = opener.manifest, ArenaMemory(*opener.size)
    names = [entry.name for entry in manifest.entries]
    alone: Apart = {name: frozenset(names) - {name} for name in names} if one_open else apart(manifest)
    begun = names if manifest.phases is None and not one_open else ()
    return Opened(opener, memory, {name: opener(name, memory) for name in begun}, alone)


def _ran_of(session: Session) -> Ran:
    return Ran(session.devices, session.absent, session.emulated, session.narrow, session.native, session.not_run)

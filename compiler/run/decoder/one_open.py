"""A decoder of which one entry is open at a time, for whoever asks what it computes and not how fast.

Each entry is loaded just as a session of all of them loads it, from the same files; what two sessions would hold of the same weights is
there once. The caches stay in the arena while entries come and go.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...bundle.manifest import Manifest
from ..arena_memory import ArenaMemory
from ..give_back import give_back
from .decoder import Decoder
from .entry_run import EntryRun, Opener
from .opened import Ran, ran_of


class _Entries(Mapping[str, EntryRun]):
    """By name: the one that is asked for is opened, and the one before it ends."""

    def __init__(self, opener: Opener, memory: ArenaMemory, names: tuple[str, ...]) -> None:
        self._opener, self._memory, self._names = opener, memory, names
        self._open: dict[str, EntryRun] = {}
        self.ran: dict[str, Ran] = {}

    def __getitem__(self, name: str) -> EntryRun:
        """Raises what loading raises."""
        if name not in self._names:
            raise KeyError(name)
        if name not in self._open:
            self.close()
            self._open[name] = self._opener(name, self._memory)
            self.ran[name] = ran_of(self._open[name].session)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def close(self) -> None:
        if self._open:
            self._open.clear()
            gc.collect()  # a session and what it is bound to know each other
            give_back()


class OneOpen(Decoder):
    """A decoder for comparing. It cannot be forked."""

    def __init__(self, folder: Path, manifest: Manifest, **options: Any) -> None:
        """options: those of Decoder. Raises as Opener."""
        opener = Opener(folder, manifest, **options)
        memory, names = ArenaMemory(*opener.size), tuple(entry.name for entry in manifest.entries)
        self._entries = _Entries(opener, memory, names)
        super().__init__(folder, manifest, loaded=(self._entries, memory, opener.size))

    @property
    def ran(self) -> Mapping[str, Ran]:
        """By entry, also of those that are closed again."""
        for name in self._entries:
            if name not in self._entries.ran:
                self._entries[name]
        return {name: self._entries.ran[name] for name in self._entries}

    def close(self) -> None:
        """Ends the entry that is open; the next step opens its own."""
        self._entries.close()

"""A session of a bundle whose states are replaced by every run: those of an LSTM, of a GRU, of a model that hears one piece of sound after
the other.

>>> session = autoglmc.Bundle.load("silero.x86_cpu").session()
>>> for piece in pieces:
...     speech = session.step("step", {"input": piece, "sr": rate})["output"]
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any

from ...bundle.entries import entry_named
from ...bundle.manifest import Manifest
from ..arena_memory import ArenaMemory
from ..check_inputs import check_mapping
from ..session import Session
from ..turn import Turn
from .caches import Caches
from .entry_run import Opener
from .opened import opened


class Recurrent:
    """Every entry of a bundle loaded, all in one arena, in which the states lie from step to step; they begin as zeros.

    Calls from several threads wait for each other. With `with` it is closed at the end."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, emulate: bool = False, recompile: bool = False, resident: int | None = None
    ) -> None:
        """Raises what loading the segments raises."""
        self.manifest, self._turn = manifest, Turn()
        self._each = opened(Opener(folder, manifest, emulate=emulate, recompile=recompile, resident=resident))

    @property
    def sessions(self) -> dict[str, Session]:
        """By entry."""
        return self._each.sessions

    def step(self, entry: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs of one run, which leaves its states for the next one. Raises UsageError for an unknown entry and for inputs that do not
        fit: then nothing was run."""
        with self._turn:
            name = entry_named(self.manifest, entry).name
            check_mapping(inputs)
            return self._each[name].run_any(inputs)

    def reset(self) -> None:
        """The states are zeros, as at the start."""
        with self._turn:
            self._caches.clear()

    def fork(self) -> Recurrent:
        """Another session that goes on from here with states of its own; weights are shared where the runtimes allow it."""
        with self._turn:
            made = copy(self)
            made._each, made._turn = self._each.beside(ArenaMemory(*self._each.size)), Turn()
            self._caches.copy_to(made._caches)
            return made

    def states(self) -> dict[str, Any]:
        """Copies of them, by the name of the output."""
        with self._turn:
            found = self._caches.filled()
            return {state.present: found[str(k)] for k, state in enumerate(self.manifest.states)}

    def close(self) -> None:
        """Ends its sessions, with the weights and the arena that they hold; forks go on. It cannot be used any more, and may be closed
        again."""
        if self._turn.close():
            self._each.close()

    def __enter__(self) -> Recurrent:
        self._turn.check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _caches(self) -> Caches:
        return next(iter(self._each.runs.values())).caches

"""A run of one entry of a bundle that keeps states. What can be looked up once is: the steps of a text are many and short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from ...activity import unwatched_seconds
from ...bundle.entries import entry_view
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.packed import files_for
from ...bundle.plan_records import ValueRecord
from ...bundle.resident import check_resident
from ...bundle.state_record import CACHE_LENGTH
from ...devices.adapter import Port
from ..arena_memory import ArenaMemory
from ..choose_adapters import choose_adapters
from ..generation import NOT_MOVED, of_caller, slots_at
from ..session import Session
from .caches import Caches

NOTHING: dict[str, Any] = {}
"""Values passed by name."""


class EntryRun:
    """An entry, loaded. `inputs` and `outputs` are those of a caller; `caches` lie where its session has them."""

    def __init__(self, session: Session, record: EntryRecord, files: object = None) -> None:
        """files: keeps the files of the bundle where they are, as long as it lives."""
        self._files = files
        self.session, self.record, self.tokens = session, record, record.tokens or 1
        inputs, outputs = of_caller(session.manifest)
        self.inputs: Mapping[str, ValueRecord] = {value.name: value for value in inputs if value.name != CACHE_LENGTH}
        self.outputs = tuple(value.name for value in outputs)
        generation = session.generations[0]
        self.caches = Caches(session.manifest, generation.slots)
        places = {name: (view, dtype, shape) for name, view, dtype, shape in generation.inputs}
        self._bound = not generation.by_name and all(view is not None for _, view in generation.outputs)
        """Whether all that comes in and goes out has a place in the arena."""
        self._length = places.pop(CACHE_LENGTH, (None,))[0]
        self._places, self._results = [(name, *place) for name, place in places.items()], generation.outputs

    def beside(self, memory: ArenaMemory | None = None, moved: Mapping[int, int] = NOT_MOVED) -> EntryRun:
        """The same entry, bound to another arena, or with slots (by index) so many bytes behind their places."""
        return EntryRun(self.session.beside(memory, moved), self.record, self._files)

    def place(self, name: str) -> Any:
        """Where the entry reads an input: a view that is an input too, for what lies there already."""
        return next((view for known, view, _, _ in self._places if known == name), None)

    def fits(self, inputs: Mapping[str, Any]) -> bool:
        """Whether these are just what one run takes, as those of nearly every step are."""
        if len(inputs) != len(self._places):
            return False
        for name, _, dtype, shape in self._places:
            array = inputs.get(name)
            if getattr(array, "dtype", None) != dtype or array.shape != shape:  # type: ignore[union-attr]
                return False
        return self._bound

    def run(self, inputs: Mapping[str, Any], length: int = 0) -> dict[str, Any]:
        """Outputs of one run, behind `length` tokens in the caches where there are caches, for inputs that fit. Raises as Session.run."""
        if not self._bound or unwatched_seconds() is not None:
            return self.run_checked(inputs, length)
        if self._length is not None:
            self._length[0] = length
        for name, view, _, _ in self._places:
            if inputs[name] is not view:
                view[...] = inputs[name]
        self.session.run_placed(NOTHING)
        outputs = {name: view.copy() for name, view in self._results}
        self.caches.settle(length)
        return outputs

    def run_any(self, inputs: Mapping[str, Any], length: int = 0) -> dict[str, Any]:
        """The same for inputs that may not fit."""
        return self.run(inputs, length) if self.fits(inputs) else self.run_checked(inputs, length)

    def run_checked(self, inputs: Mapping[str, Any], length: int = 0) -> dict[str, Any]:
        """The same for any inputs; raises UsageError for those that do not fit."""
        import numpy

        outputs = self.session.run(inputs if self._length is None else {**inputs, CACHE_LENGTH: numpy.array([length], numpy.int64)})
        self.caches.settle(length)
        return outputs


class Files:
    """The files of a bundle as runtimes read them, unpacked once for all entries."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = files_for(self, folder, manifest)
        plain = {name: structs.replace(record, packed=None) for name, record in manifest.files.items()}
        self.manifest = structs.replace(manifest, files=plain)


class Opener:
    """Loads entries of a bundle, bound to an arena that is large enough for each of them. Outputs that another model reads are for that
    model alone."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, emulate: bool = False, recompile: bool = False, resident: int | None = None
    ) -> None:
        """Raises as check_resident."""
        check_resident(folder, manifest, resident)
        self.manifest, self._files = manifest, Files(folder, manifest)
        self._options = {"emulate": emulate, "recompile": recompile}
        views = {entry.name: entry_view(self._files.manifest, entry.name) for entry in manifest.entries}
        self._entries = {entry.name: entry for entry in manifest.entries}
        self._plans = {name: _without_linked(manifest, self._entries[name], view) for name, view in views.items()}
        self.size = max(plan.arena.total for plan in self._plans.values()), max(plan.arena.align for plan in self._plans.values())
        """Bytes and alignment of an arena for all of them."""
        self._kept = _end_of_kept(manifest)

    def __call__(self, name: str, memory: ArenaMemory) -> EntryRun:
        """Raises what loading raises."""
        session = Session(self._files.folder, self._plans[name], memory=memory, **self._options)
        return EntryRun(session, self._entries[name], self._files)

    def emulated(self) -> tuple[str, ...]:
        """Segments of all entries that would run on the CPU in place of a device that is not here: "vision: 0 (npu)". Raises as
        choose_adapters."""
        absent = {name: choose_adapters(plan, **self._options)[1] for name, plan in self._plans.items()}
        return tuple(f"{name}: {k} ({self._plans[name].segments[k].device})" for name, each in absent.items() for k in each)

    def end_of(self, names: Iterable[str]) -> int:
        """Where the arena of the last of these entries ends, or what stays from run to run, if that is further behind."""
        return max((self._kept, *(self._plans[name].arena.total for name in names)))

    def slots(self, memory: ArenaMemory) -> dict[str, list[Port]]:
        """Of every entry, at their addresses, whether it is open or not."""
        return {name: slots_at(plan.arena, memory.base) for name, plan in self._plans.items()}


def _end_of_kept(manifest: Manifest) -> int:
    """Where caches and linked rows end, in the arena of every entry."""
    states = {name for state in manifest.states for name in (state.past, state.present)}
    ends = [slot.offset + slot.bytes for slot in manifest.arena.slots if slot.tensor in states]
    return max((*ends, *(link.offset + link.bytes for link in manifest.links)), default=0)


def _without_linked(manifest: Manifest, entry: EntryRecord, view: Manifest) -> Manifest:
    linked = {link.output for link in manifest.links if link.model == entry.model}
    outputs = tuple(value for value in view.model.outputs if value.name not in linked)
    return structs.replace(view, model=structs.replace(view.model, outputs=outputs))

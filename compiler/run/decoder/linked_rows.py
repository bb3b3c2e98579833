"""Rows of an input that other models of the bundle write: which are there, which nobody has read yet, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...bundle.entries import entry_view, with_plan
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.plan_records import ValueRecord
from ...devices.adapter import Port
from ...devices.views import view_at
from ...errors import UsageError
from ...quantities import count
from ..check_inputs import array_of


class LinkedRows:
    """Of one input. `filled` rows from the first one on are there; `parts` are those that steps wrote at places of their own."""

    def __init__(self, links: Sequence[LinkRecord], view: Any) -> None:
        """links: all that lead to the input. view: where the entry of the most tokens reads it."""
        self.input, self.axis, self.capacity = links[0].input, links[0].axis, int(view.shape[links[0].axis])
        self.view, self.filled = view, 0
        self.parts: list[tuple[int, int, str]] = []
        self._writers = [link.model for link in links if not link.label]

    def check_whole(self, model: str, rows: int) -> None:
        """Raises UsageError where writing the first `rows` rows would lose some that no step has read."""
        self._check_end(model, rows)
        if self.parts:
            begin, end, writer = self.parts[0]
            what = f"'{model}' would write over rows {begin} to {end - 1} of '{self.input}', which '{writer}' wrote and no step has read"
            raise UsageError(what, help=f"step '{model}' first and then '{writer}', or reset the session")

    def check_part(self, model: str, label: str, at: int, rows: int) -> None:
        """Raises UsageError where rows from `at` on are not there to be written, or are some that no step has read."""
        if at < 0:
            raise UsageError(f"rows begin at 0, and 'at' is {at}")
        self._check_end(model, at + rows)
        if self._writers and at + rows > self.filled:
            what = f"'{label}' takes rows {at} to {at + rows - 1} of '{self.input}', and {count(self.filled, 'row')} are filled"
            raise UsageError(what, help=f"step '{self._writers[0]}' first, with as many tokens")
        over = next((part for part in self.parts if part[0] < at + rows and at < part[1]), None)
        if over is not None:
            begin, end, writer = over
            what = f"'{label}' would write over rows {begin} to {end - 1} of '{self.input}', which '{writer}' wrote and no step has read"
            raise UsageError(what, help="place it beside them, or reset the session")

    def _check_end(self, model: str, end: int) -> None:
        if end > self.capacity:
            what = f"'{model}' writes rows up to {end - 1} of '{self.input}', and it has {self.capacity}"
            raise UsageError(what, help="give fewer tokens at once, each piece followed by a step that reads it")

    def wrote_whole(self, rows: int) -> None:
        self.filled, self.parts = rows, []

    def wrote_part(self, model: str, at: int, rows: int) -> None:
        self.filled = max(self.filled, at + rows)
        self.parts = sorted([*self.parts, (at, at + rows, model)])

    def clear(self) -> None:
        """They were read, or are not wanted."""
        self.filled, self.parts = 0, []

    def there(self, entry: str) -> int:
        """How many rows a step would read. Raises UsageError for none."""
        if not self.filled:
            help = f"step '{self._writers[0]}' first" if self._writers else "step the models that write it first"
            raise UsageError(f"'{entry}' reads '{self.input}', and nothing was written there since it was last read", help=help)
        if not self._writers and (first := self._first_missing()) < self.filled:
            what = f"'{entry}' reads {count(self.filled, 'row')} of '{self.input}', and row {first} was not written"
            raise UsageError(what, help="step the models that write it so that their rows leave no gap")
        return self.filled

    def _first_missing(self) -> int:
        """The first row that no part has."""
        reached = 0
        for begin, end, _ in self.parts:
            if begin > reached:
                return reached
            reached = max(reached, end)
        return reached

    def at(self, begin: int, rows: int) -> Any:
        """A view of some of them."""
        return self.view[(slice(None),) * self.axis + (slice(begin, begin + rows),)]

    def forked(self, view: Any) -> LinkedRows:
        """The same rows, copied to another arena."""
        made = object.__new__(LinkedRows)
        made.__dict__.update(self.__dict__)
        made.view, made.parts = view, list(self.parts)
        view[...] = self.view
        return made


def place_of(values: Sequence[ValueRecord], name: str) -> int:
    """The slot of an input or output that is linked; those have one."""
    return next(value.slot for value in values if value.name == name and value.slot is not None)


def rows_of(source: Any, rows: LinkedRows, number: int) -> Any:
    """The first rows of what a model wrote elsewhere, as the input has them."""
    shape = [extent if k != rows.axis else -1 for k, extent in enumerate(rows.view.shape)]
    return source.reshape(shape)[(slice(None),) * rows.axis + (slice(0, number),)]


def outputs_of(manifest: Manifest, entry: EntryRecord) -> list[tuple[LinkRecord, int, int]]:
    """What an entry writes for the first model: the link, the slot in its arena, and the bytes that it has."""
    links = [link for link in manifest.links if link.model == entry.model]
    view = entry_view(manifest, entry.name) if links else manifest
    slots = {link: place_of(view.model.outputs, link.output) for link in links}
    return [(link, slot, view.arena.slots[slot].packed or 0) for link, slot in slots.items()]


def view_of(manifest: Manifest, input: str, slots: Mapping[str, Sequence[Port]]) -> Any:
    """Where the entry that takes the most of it reads an input. slots: of every entry, at their addresses."""
    each = (slots[name][place] for name, place in _readers(manifest, input))
    return max(map(view_at, each), key=lambda view: view.nbytes)


def addresses_of(manifest: Manifest, slots: Mapping[str, Sequence[Port]]) -> dict[str, tuple[int, ...]]:
    """Of every linked input, the addresses at which it is read, and written where nothing is copied."""
    found: dict[str, dict[int, None]] = {link.input: {} for link in manifest.links}
    for input, addresses in found.items():
        addresses |= {slots[name][place].address or 0: None for name, place in _readers(manifest, input)}
    for entry in manifest.entries:
        for link, place, _ in outputs_of(manifest, entry):
            if not link.copied:
                found[link.input][slots[entry.name][place].address or 0] = None
    return {input: tuple(addresses) for input, addresses in found.items()}


def _readers(manifest: Manifest, input: str) -> list[tuple[str, int]]:
    """Entries of the model that links lead to, and the slot that each of them has the input in."""
    mine = [entry for entry in manifest.entries if entry.model == manifest.entries[0].model]
    return [(entry.name, place_of(with_plan(manifest, entry).model.inputs, input)) for entry in mine]


def tokens_of(record: EntryRecord, inputs: Mapping[str, Any]) -> int:
    """How many tokens are given; 0 where that cannot be told. Raises UsageError for what is no array."""
    for name, axis in record.token_axes.items():
        if name in inputs and axis < (array := array_of(name, inputs[name])).ndim:
            return int(array.shape[axis])
    return 0

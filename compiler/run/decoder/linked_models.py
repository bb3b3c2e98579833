"""Steps of a bundle of several models, in one arena: which entry takes one, what it reads that other models wrote, and what it writes for
them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...bundle.entries import models_of, of_model
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import EntryRecord, Manifest
from ...devices.views import view_at
from ...errors import BundleError, UsageError, did_you_mean
from ...inputs.token_parts import first_of
from ...quantities import count
from ..arena_memory import ArenaMemory
from .decoder import Decoder
from .entry_run import EntryRun, Opener
from .linked_rows import LinkedRows, addresses_of, outputs_of, rows_of, tokens_of, view_of
from .opened import opened
from .token_rows import filled_up


class LinkedModels:
    """For one caller at a time. `each` are the entries, `decoder` is the model with caches, where there is one, and `rows` what other
    models wrote, by the input that reads it."""

    def __init__(self, folder: Path, manifest: Manifest, opener: Opener) -> None:
        """Raises what loading the segments raises, and BundleError where a model would not write where another one reads."""
        self.manifest, self.models = manifest, models_of(manifest)
        self.entries = {entry.name: entry for entry in manifest.entries}
        self.each = opened(opener)
        self._links = {name: outputs_of(manifest, entry) for name, entry in self.entries.items()}
        """By entry, what it writes for the first model: the link, the slot in its arena, and the bytes that it has."""
        self.decoder = None if not manifest.states else Decoder(folder, of_model(manifest, self.models[0]), loaded=self.each)
        self.rows = {link.input: LinkedRows(self._leading_to(link.input), self._view(link.input)) for link in manifest.links}
        wrong = next((name for name, found in self.addresses().items() if len(found) > 1), None)
        if wrong is not None:
            raise BundleError(f"what is linked to {wrong!r} is not bound to the one address that it is read from", where=str(folder))

    def addresses(self) -> dict[str, tuple[int, ...]]:
        """Of every linked input, the addresses at which it is written and read; one where nothing is copied."""
        return addresses_of(self.manifest, self.each.slots)

    def forked(self) -> LinkedModels:
        """The same, at the same place in a text, in another arena."""
        made = object.__new__(LinkedModels)
        made.__dict__.update(self.__dict__)
        made.each = self.each.beside(ArenaMemory(*self.each.size))
        made.decoder = None if self.decoder is None else self.decoder.forked(made.each)
        made.rows = {name: rows.forked(made._view(name)) for name, rows in self.rows.items()}
        return made

    def named(self, name: str) -> list[EntryRecord]:
        """The entry of that name, or all of the model that has it. Raises UsageError for an unknown name."""
        found = [entry for entry in self.manifest.entries if entry.name == name]
        found = found or [entry for entry in self.manifest.entries if entry.model == name]
        if not found:
            names = list(dict.fromkeys((*self.entries, *self.models)))
            raise UsageError(f"the bundle has no entry {name!r}", help=did_you_mean(name, names) or f"it has {', '.join(names)}")
        return found

    def fitting(self, name: str, inputs: Mapping[str, Any]) -> EntryRecord:
        """The entry of that name; of a model, its smallest one that takes the tokens given. Raises UsageError where none does."""
        mine = self.named(name)
        if mine[0].name == name:
            return mine[0]
        tokens = max((tokens_of(entry, inputs) for entry in mine), default=0)
        if name == self.models[0]:
            tokens = max(tokens, *(rows.filled for rows in self.rows.values()))
        fitting = [entry for entry in mine if entry.tokens is None or entry.tokens >= tokens]
        if not fitting:
            most = max(entry.tokens or 0 for entry in mine)
            help = "give them in pieces, each followed by a step that reads it"
            raise UsageError(f"'{name}' takes {count(most, 'token')} at once at most, these are {tokens}", help=help)
        return min(fitting, key=lambda entry: entry.tokens or 0)

    def read(self, record: EntryRecord, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A step of the model that links lead to."""
        placed = {name: rows.at(0, rows.there(record.name)) for name, rows in self.rows.items() if name not in inputs}
        if self.decoder is not None:
            outputs = self.decoder.step_placed(record.name, inputs, placed) if placed else self.decoder.step(record.name, inputs)
        else:
            run = self.each[record.name]
            short = next((name for name, view in placed.items() if view.shape != run.place(name).shape), None)
            if short is not None:
                rows = self.rows[short]
                what = f"'{record.name}' reads {count(rows.capacity, 'row')} of '{short}', and {rows.filled} were written"
                raise UsageError(what, help="step the models that write the others")
            outputs = run.run_any({**inputs, **{name: run.place(name) for name in placed}})
        for name in placed:
            self.rows[name].clear()
        return outputs

    def write(self, record: EntryRecord, inputs: Mapping[str, Any], at: int | None) -> dict[str, Any]:
        """A step of another model."""
        self._check_at(record, at)
        first, tokens = at or 0, tokens_of(record, inputs)
        links = self._links[record.name]
        written = [(link, slot, self.rows[link.input], self._number(record, link, size, tokens)) for link, slot, size in links]
        for link, _, rows, number in written:
            if link.label:
                rows.check_part(record.model or "", link.label, first, number)
            else:
                rows.check_whole(record.model or "", number)
        run = self._placed(record, first)
        given = filled_up(run, inputs, tokens)
        try:
            outputs = run.run_any(given)
        except UsageError:
            raise
        except BaseException:
            for _, _, rows, _ in written:
                rows.clear()  # what of them was written, nobody knows
            raise
        for link, slot, rows, number in written:
            if link.copied:
                source = view_at(run.session.generations[0].slots[slot])
                rows.at(first if link.label else 0, number)[...] = rows_of(source, rows, number)
            if link.label:
                rows.wrote_part(record.model or "", first, number)
            else:
                rows.wrote_whole(number)
        axes = record.token_axes
        return {name: first_of(value, axes.get(name), tokens) for name, value in outputs.items()}

    def _check_at(self, record: EntryRecord, at: int | None) -> None:
        """Raises UsageError where a place is missing, or given to a model that places no rows."""
        label = next((link.label for link, _, _ in self._links[record.name] if link.label), "")
        if (at is None) == bool(label):
            said = (
                f"where the rows of '{label}' begin is not said: at=ROW"
                if label
                else "it writes no rows that a step places: leave out 'at'"
            )
            raise UsageError(f"'{record.name}': {said}", help=f"step({record.name!r}, inputs{', at=ROW' if label else ''})")

    def _number(self, record: EntryRecord, link: LinkRecord, size: int, tokens: int) -> int:
        """Rows that a step writes for a link. size: bytes of all that the entry writes for it."""
        whole = record.tokens is not None and not link.label
        return tokens if whole else size // self.rows[link.input].at(0, 1).nbytes

    def _placed(self, record: EntryRecord, at: int) -> EntryRun:
        """The entry, bound to write where the rows begin."""
        own = [(link, slot) for link, slot, _ in self._links[record.name] if link.label and not link.copied]
        return self.each.moved(record.name, {slot: at * self.rows[link.input].at(0, 1).nbytes for link, slot in own})

    def _leading_to(self, input: str) -> list[LinkRecord]:
        return [link for link in self.manifest.links if link.input == input]

    def _view(self, input: str) -> Any:
        return view_of(self.manifest, input, self.each.slots)

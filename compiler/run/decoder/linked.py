"""A session of a bundle of several models: every entry loaded, all in one arena, in which one model writes what another one reads.

>>> agent = autoglmc.Bundle.load("agent.x86_cpu").session()
>>> agent.step("embed", {"input_ids": prompt})                  # the prompt's rows of the decoder's input
>>> agent.step("vision", {"patches": patches}, at=5)            # the image's rows, over those of its placeholders
>>> logits = agent.step("prefill")["logits"]                    # reads them where they are
>>> agent.step("embed", {"input_ids": token})
>>> logits = agent.step("decode")["logits"]
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...bundle.entries import models_of, of_model
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import EntryRecord, Manifest
from ...devices.views import view_at
from ...errors import BundleError, UsageError, did_you_mean
from ...inputs.token_parts import first_of
from ...quantities import count
from ..arena_memory import ArenaMemory
from ..session import Session
from ..turn import Turn
from .decoder import Decoder
from .entry_run import EntryRun, Opener
from .linked_rows import LinkedRows, addresses_of, outputs_of, rows_of, tokens_of, view_of
from .linked_tokens import LinkedTokens
from .opened import Lazy, Ran, opened
from .sampling import Sampling
from .token_rows import filled_up
from .tokens import Tokens, token_ids

NO_INPUTS: Mapping[str, Any] = MappingProxyType({})


class Linked:
    """Every entry of a bundle of several models, all in one arena. Where models take turns in memory (`manifest.phases`), none is loaded
    before its first step, and a step of one closes those that it takes turns with.

    Calls from several threads wait for each other."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, emulate: bool = False, recompile: bool = False, resident: int | None = None
    ) -> None:
        """Raises what loading the segments raises, and BundleError where a model would not write where another one reads."""
        self.manifest, self._turn, self._folder = manifest, Turn(), folder
        self.entries = {entry.name: entry for entry in manifest.entries}
        self.models = models_of(manifest)
        """Names of the models; links lead to the first one."""
        opener = Opener(folder, manifest, emulate=emulate, recompile=recompile, resident=resident)
        self._emulated, self._each = opener.emulated(), opened(opener, self.entries)
        self._links = {name: outputs_of(manifest, entry) for name, entry in self.entries.items()}
        """By entry, what it writes for the first model: the link, the slot in its arena, and the bytes that it has."""
        main = self._of_main(), self._each.memory, self._each.size
        self._decoder = None if not manifest.states else Decoder(folder, of_model(manifest, self.models[0]), loaded=main)
        self._rows = {link.input: LinkedRows(self._leading_to(link.input), self._view(link.input)) for link in manifest.links}
        self._check_addresses()

    @property
    def sessions(self) -> dict[str, Session]:
        """By entry, of those that are open."""
        return {name: entry.session for name, entry in self._each.runs.items()}

    @property
    def ran(self) -> dict[str, Ran]:
        """By entry, what really computes it; those that were never open are opened."""
        with self._turn:
            return {name: self._each.ran(name) for name in self.entries}

    @property
    def emulated(self) -> tuple[str, ...]:
        """Segments that run on the CPU in place of a device that is not here: "vision: 0 (npu)"."""
        return self._emulated

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, in their first runs, and which entries were opened again."""
        return self._each.notes

    @property
    def length(self) -> int:
        """Tokens in the caches."""
        return 0 if self._decoder is None else self._decoder.length

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return 0 if self._decoder is None else self._decoder.room

    @property
    def fills_up(self) -> bool:
        """Whether a step of the decoder may be given fewer tokens than its entry takes."""
        return self._decoder is not None and self._decoder.fills_up

    @property
    def filled(self) -> dict[str, int]:
        """By linked input, rows that were written and not read yet."""
        return {name: rows.filled for name, rows in self._rows.items()}

    def addresses(self) -> dict[str, tuple[int, ...]]:
        """Of every linked input, the addresses at which it is written and read; one where nothing is copied."""
        return addresses_of(self.manifest, self._each.slots)

    def step(self, name: str, inputs: Mapping[str, Any] = NO_INPUTS, *, at: int | None = None) -> dict[str, Any]:
        """Outputs of one step; what another model reads stays in the arena and is none of them.

        name: of an entry, or of a model: then its smallest entry that takes the tokens given. inputs: all that no model writes, and, where
        linked inputs are to be given by hand, those too. A step of the model that links lead to reads the rows that were written since
        its last step. at: for rows that every step places (`--link …@ROWS`), the first of them.

        Raises UsageError for an unknown name, for inputs that do not fit, for rows that are not there or would be lost, and where the
        caches cannot hold the tokens: then nothing was run."""
        with self._turn:
            record = self._entry(name, inputs)
            if record.model == self.models[0]:
                if at is not None:
                    raise UsageError(f"'{name}' reads rows from the first one on: 'at' is for a model that writes some of them")
                return self._read(record, inputs)
            return self._write(record, inputs, at)

    def generate(
        self,
        ids: Sequence[int],
        *,
        images: Sequence[Any] = (),
        image_token: int | None = None,
        release_encoder: bool = False,
        max_tokens: int | None = None,
        stop: Collection[int] = (),
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Generator[int, None, str]:
        """Tokens that follow what is in the caches and then `ids`, as `Decoder.generate` makes them, with images in the prompt.

        - images: for each, arrays by input of the model that sees images, or the array where that has one input.
        - image_token: the id in `ids` in whose places they go, in order: one for each image, or as many as each has rows, side by side.
        - release_encoder: `release` the model that sees images once it has seen the last one.

        An image is never cut: the prompt is, so that each lies in one run. Raises as `Decoder.generate`, and UsageError, before anything
        runs, for images that do not fit the model or the prompt, and where rows were written that no step has read."""
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        made = LinkedTokens(self, token_ids(ids), images, image_token, release_encoder)
        return Tokens(made).begin(made.prompt, max_tokens, stop, sampling)

    def reset(self) -> None:
        """The caches are empty, and what was written and not read is forgotten."""
        if self._decoder is not None:
            self._decoder.reset()
        self.forget()

    def forget(self) -> None:
        """What was written and not read is forgotten."""
        with self._turn:
            for rows in self._rows.values():
                rows.clear()

    def release(self, name: str) -> None:
        """Gives the memory of an entry, or of all entries of a model, back to the system: what its runtimes hold of weights, and pages of
        the arena that no open entry has. Rows that it wrote stay. Its next step opens it again, which takes as long as loading it did
        (`notes` say how long). A fork that was made before keeps what it shares.

        Raises UsageError for an unknown name, and, unless models take turns, for the model that links lead to, whose caches are in use."""
        with self._turn:
            found = [entry.name for entry in self.entries.values() if name in (entry.name, entry.model)]
            if self._entry(name, NO_INPUTS).model == self.models[0] and self.manifest.phases is None:
                raise UsageError(f"'{name}' is of the model that links lead to, which keeps the caches", help="release another model")
            self._each.release(found)

    def close(self) -> None:
        """Ends every session, with the weights that it holds. It cannot be used any more."""
        self._decoder = None
        self._each.close()

    def truncate(self, length: int) -> None:
        """The caches hold the first `length` tokens. Raises UsageError for more than there are."""
        if self._decoder is not None:
            self._decoder.truncate(length)

    def poison(self) -> None:
        """Fills every place of the caches that holds no token with NaN: whoever reads one, shows."""
        if self._decoder is not None:
            self._decoder.poison()

    def cached(self) -> dict[str, Any]:
        """What the caches hold, by the name of the output."""
        return {} if self._decoder is None else self._decoder.filled()

    def fork(self) -> Linked:
        """Another session that goes on from here with an arena of its own; weights are shared where the runtimes allow it. Where models
        take turns in memory, a step that would close what a fork has open is a UsageError until the fork is gone."""
        with self._turn:
            made = copy(self)
            made._each, made._turn = self._each.beside(ArenaMemory(*self._each.size)), Turn()
            made._decoder = None if self._decoder is None else self._decoder.forked(made._of_main(), made._each.memory)
            made._rows = {name: rows.forked(made._view(name)) for name, rows in self._rows.items()}
            return made

    def _of_main(self) -> Lazy:
        return Lazy(self._each, [name for name, entry in self.entries.items() if entry.model == self.models[0]])

    def _leading_to(self, input: str) -> list[LinkRecord]:
        return [link for link in self.manifest.links if link.input == input]

    def _view(self, input: str) -> Any:
        return view_of(self.manifest, input, self._each.slots)

    def _check_addresses(self) -> None:
        """Raises BundleError where a model is bound to write at another address than the other one reads from."""
        wrong = next((name for name, found in self.addresses().items() if len(found) > 1), None)
        if wrong is not None:
            raise BundleError(f"what is linked to {wrong!r} is not bound to the one address that it is read from", where=str(self._folder))

    def _entry(self, name: str, inputs: Mapping[str, Any]) -> EntryRecord:
        if name in self.entries:
            return self.entries[name]
        mine = [entry for entry in self.manifest.entries if entry.model == name]
        if not mine:
            names = [*self.entries, *self.models]
            raise UsageError(f"the bundle has no entry {name!r}", help=did_you_mean(name, names) or f"it has {', '.join(names)}")
        tokens = max((tokens_of(entry, inputs) for entry in mine), default=0)
        if name == self.models[0]:
            tokens = max(tokens, *(rows.filled for rows in self._rows.values()))
        fitting = [entry for entry in mine if entry.tokens is None or entry.tokens >= tokens]
        if not fitting:
            most = max(entry.tokens or 0 for entry in mine)
            help = "give them in pieces, each followed by a step that reads it"
            raise UsageError(f"'{name}' takes {count(most, 'token')} at once at most, these are {tokens}", help=help)
        return min(fitting, key=lambda entry: entry.tokens or 0)

    def _read(self, record: EntryRecord, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A step of the model that links lead to."""
        placed = {name: rows.at(0, rows.there(record.name)) for name, rows in self._rows.items() if name not in inputs}
        if self._decoder is not None:
            outputs = self._decoder.step_placed(record.name, inputs, placed) if placed else self._decoder.step(record.name, inputs)
        else:
            run = self._each[record.name]
            short = next((name for name, view in placed.items() if view.shape != run.place(name).shape), None)
            if short is not None:
                rows = self._rows[short]
                what = f"'{record.name}' reads {count(rows.capacity, 'row')} of '{short}', and {rows.filled} were written"
                raise UsageError(what, help="step the models that write the others")
            outputs = run.run_any({**inputs, **{name: run.place(name) for name in placed}})
        for name in placed:
            self._rows[name].clear()
        return outputs

    def _write(self, record: EntryRecord, inputs: Mapping[str, Any], at: int | None) -> dict[str, Any]:
        """A step of another model."""
        links = self._links[record.name]
        label = next((link.label for link, _, _ in links if link.label), "")
        if (at is None) == bool(label):
            said = (
                f"where the rows of '{label}' begin is not said: at=ROW"
                if label
                else "it writes no rows that a step places: leave out 'at'"
            )
            raise UsageError(f"'{record.name}': {said}", help=f"step({record.name!r}, inputs{', at=ROW' if label else ''})")
        written, tokens = [], tokens_of(record, inputs)
        for link, slot, size in links:
            rows = self._rows[link.input]
            number = tokens if record.tokens is not None and not link.label else size // rows.at(0, 1).nbytes
            written.append((link, slot, rows, number))
        for link, _, rows, number in written:
            if link.label:
                rows.check_part(record.model or "", link.label, at or 0, number)
            else:
                rows.check_whole(record.model or "", number)
        run = self._placed(record, at or 0)
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
                rows.at(at or 0 if link.label else 0, number)[...] = rows_of(source, rows, number)
            if link.label:
                rows.wrote_part(record.model or "", at or 0, number)
            else:
                rows.wrote_whole(number)
        axes = record.token_axes
        return {name: first_of(value, axes.get(name), tokens) for name, value in outputs.items()}

    def _placed(self, record: EntryRecord, at: int) -> EntryRun:
        """The entry, bound to write where the rows begin."""
        own = [(link, slot) for link, slot, _ in self._links[record.name] if link.label and not link.copied]
        return self._each.moved(record.name, {slot: at * self._rows[link.input].at(0, 1).nbytes for link, slot in own})

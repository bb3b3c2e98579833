"""A session of a bundle with entries and caches: tokens go in, outputs come out, and the caches stay where they are.

>>> decoder = autoglmc.Bundle.load("decoder.x86_cpu").session()
>>> logits = decoder.step("prefill", {"input_ids": prompt})["logits"]     # any number of tokens, in as many runs as it takes
>>> logits = decoder.step("decode", {"input_ids": token})["logits"]
>>> for token in decoder.generate([5, 3, 8], max_tokens=20): ...        # or all of that by itself
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from copy import copy
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any

from ...bundle.entries import entry_named, entry_view
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.state_record import CACHE_LENGTH
from ...errors import UsageError
from ...inputs.token_parts import first_of, part_of
from ...quantities import count
from ..arena_memory import ArenaMemory
from ..generation import of_caller, slots_at
from ..session import Session
from ..turn import Turn
from .caches import Caches, replaces
from .entry_run import EntryRun, Opener
from .given_tokens import given_tokens
from .opened import Opened, Ran, opened
from .sampling import Sampling
from .token_rows import fill_up
from .tokens import OwnTokens, Tokens, token_ids


class Decoder:
    """Every entry of a bundle loaded, all in one arena. `length` tokens are in the caches; `changes` counts what changed them.

    Calls from several threads wait for each other. With `with` it is closed at the end."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        emulate: bool = False,
        recompile: bool = False,
        resident: int | None = None,
        one_open: bool = False,
        loaded: Opened | None = None,
    ) -> None:
        """Raises UsageError for a bundle without caches, and what loading its segments raises. one_open: an entry is loaded by a step of
        its own, and the one before ends: for comparing. loaded: its entries, and perhaps those of other models, in their arena."""
        if not manifest.states:
            raise UsageError(
                "the bundle keeps no caches: it has nothing to step through", where=str(folder), help="use session().run(inputs)"
            )
        self.manifest, self.length, self.changes, self._turn = manifest, 0, 0, Turn()
        self.entries = {entry.name: entry for entry in manifest.entries}
        options: dict[str, Any] = {"emulate": emulate, "recompile": recompile, "resident": resident}
        self._each = loaded or opened(Opener(folder, manifest, **options), one_open=one_open)
        self._own = _caches(manifest, self._each.memory)
        self._most = min(state.length for state in manifest.states if state.length)
        self._replaces = replaces(manifest)
        values = {name: of_caller(entry_view(manifest, name)) for name in self.entries}
        self._inputs = {name: {value.name: value for value in each if value.name != CACHE_LENGTH} for name, (each, _) in values.items()}
        self.fills_up = not self._replaces and all(
            value.name in self.entries[name].token_axes for name, (_, each) in values.items() for value in each
        )
        """Whether runs may be filled up: not where an output is of the last token alone, or a state is replaced."""

    @property
    def sessions(self) -> dict[str, Session]:
        """By entry, of those that are open."""
        return self._each.sessions

    @property
    def ran(self) -> dict[str, Ran]:
        """By entry, what really computes it; those that were never open are opened."""
        with self._turn:
            return self._each.ran()

    @property
    def emulated(self) -> tuple[str, ...]:
        """Segments that run on the CPU in place of a device that is not here: "0 (npu)"."""
        return tuple(dict.fromkeys(name for session in self.sessions.values() for name in session.emulated))

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, and in their first runs."""
        return self._each.notes

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        return self._most - self.length

    def step(self, entry: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs for the tokens given, any number of them, which are then in the caches.

        More tokens than a run of the entry takes are several runs; the last one is filled up, and what that computes is dropped. Where
        fewer places are left than a run writes, entries of fewer tokens do the rest.

        Raises UsageError for an unknown entry, for inputs that do not fit, and where the caches cannot hold the tokens: then nothing was
        run, and the session can be used on, after `truncate` or `reset`."""
        with self._turn:
            one = self._each.runs.get(entry) if isinstance(inputs, dict) and isinstance(entry, str) else None
            if one is not None and one.tokens <= self._most - self.length and one.fits(inputs):
                return self._run(one, inputs)
            del one  # it may end while others run (opened.py)
            arrays, tokens = self._given(entry, inputs)
            self._check_room(tokens)
            before, runs = self.length, list(self._runs(entry, tokens))
            try:
                parts = [self._part(name, arrays, begin, end) for name, begin, end in runs]
            except BaseException:
                if not self._replaces:  # a step is in the caches as a whole, or not at all
                    self.length = before
                raise
            return self._joined(self.entries[entry], parts)

    def step_placed(self, entry: str, inputs: Mapping[str, Any], placed: Mapping[str, Any]) -> dict[str, Any]:
        """One run, where some inputs lie in the arena already: `placed` are views of their rows, from the first one on. Raises as `step`,
        and UsageError for more tokens than a run takes, or fewer where it cannot be filled up."""
        with self._turn:
            arrays, tokens = self._given(entry, {**inputs, **placed})
            self._check_room(tokens)
            one = self._each[entry]
            short = self.fills_up and one.tokens > self.room
            if tokens > one.tokens or short or (tokens < one.tokens and not self.fills_up):
                what = f"'{entry}' takes {count(one.tokens, 'token')} at once, and {tokens} {'is' if tokens == 1 else 'are'} there"
                left = f", with {count(self.room, 'place')} left in the caches" if short else ""
                raise UsageError(
                    what + left, help=f"step an entry of as many tokens, one piece after the other; it has {', '.join(self.entries)}"
                )
            axes, before = one.record.token_axes, self.length
            for name in placed if tokens < one.tokens else ():
                fill_up(one.place(name), axes[name], tokens)
            given = {
                name: one.place(name) if name in placed else part_of(array, axes.get(name), 0, tokens, one.tokens)
                for name, array in arrays.items()
            }
            outputs = one.run_any(given, before)
            self.length, self.changes = before + tokens, self.changes + 1
            return {name: first_of(value, axes.get(name), tokens) for name, value in outputs.items()}

    def generate(
        self,
        ids: Sequence[int],
        *,
        max_tokens: int | None = None,
        stop: Collection[int] = (),
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Generator[int, None, str]:
        """Tokens that follow what is in the caches and then `ids`, one after the other as they are made.

        - max_tokens: how many at most; by default until the caches are full.
        - stop: tokens that end the text, and are not returned.
        - temperature, top_k, top_p: the next token is drawn from the `top_k` likeliest, of these the fewest that together have the
          probability `top_p`, logits being divided by the temperature; 0, the default, takes the likeliest.
        - seed: the same one draws the same tokens.

        A token is in the caches once the next one is asked for: the last one is not. The generator returns why it ended: "end" (a token of
        `stop`), "limit", or "full". Raises UsageError, before anything runs, for a prompt that is empty, does not fit or has unknown ids,
        for numbers out of range, and for a bundle that takes something else than ids; UserError for logits that are not finite."""
        self._turn.check_open()
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        return Tokens(OwnTokens(self)).begin(token_ids(ids), max_tokens, stop, sampling)

    def reset(self) -> None:
        """The caches are empty."""
        self.truncate(0)

    def truncate(self, length: int) -> None:
        """The caches hold the first `length` tokens, as if the others had never been there. Raises UsageError for more than there are, and
        where states are replaced by every run for any other than none or all: what they were before is gone."""
        with self._turn:
            if not (isinstance(length, Integral) and 0 <= length <= self.length):
                raise UsageError(f"the caches hold {count(self.length, 'token')}: they cannot be cut to {length!r}")
            if self._replaces and 0 < length < self.length:
                what = f"the states are those behind {count(self.length, 'token')}: what they were behind {length} is gone"
                raise UsageError(what, help="fork the session before the tokens that may have to go, or reset it")
            if self._replaces and not length:
                self._own.clear(states=True)
            self.length, self.changes = int(length), self.changes + 1

    def fork(self) -> Decoder:
        """Another session that goes on from here with caches of its own; weights are shared where the runtimes allow it."""
        with self._turn:
            return self._forked(self._each.beside(ArenaMemory(*self._each.size)))

    def forked(self, each: Opened) -> Decoder:
        """The same, whose entries are bound to another arena already."""
        with self._turn:
            return self._forked(each)

    def _forked(self, each: Opened) -> Decoder:
        made = copy(self)
        made._each, made._turn, made._own = each, Turn(), _caches(self.manifest, each.memory)
        self._own.copy_to(made._own, self.length)
        return made

    def close(self) -> None:
        """Ends its sessions, with the weights and the arena that they hold; forks go on. It cannot be used any more, and may be closed
        again."""
        if self._turn.close():
            self._each.close()

    def __enter__(self) -> Decoder:
        self._turn.check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def poison(self) -> None:
        """Fills every place of the caches that holds no token with NaN: whoever reads one, shows."""
        with self._turn:
            self._own.poison(self.length)

    def filled(self) -> dict[str, Any]:
        """What the caches hold, by the name of the output."""
        with self._turn:
            found = self._own.filled(self.length)
            return {state.present: found[str(k)] for k, state in enumerate(self.manifest.states)}

    def addresses(self) -> dict[str, tuple[int, ...]]:
        """Of every cache, by its input, the addresses at which entries read and write it; one where they extend it in place."""
        found: dict[str, tuple[int, ...]] = {}
        with self._turn:
            for name in self.entries:
                for state, both in zip(self.manifest.states, self._each[name].caches.addresses, strict=True):
                    found[state.past] = tuple(dict.fromkeys((*found.get(state.past, ()), *both)))
        return found

    def _given(self, entry: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The inputs as arrays, and how many tokens they are."""
        name = entry_named(self.manifest, entry).name
        return given_tokens(self.entries[name], self._inputs[name], inputs)

    def _check_room(self, tokens: int) -> None:
        if tokens > self.room:
            what = f"{count(tokens, 'more token')} do not fit: the caches hold {self.length} of {self.length + self.room}"
            raise UsageError(what, help="truncate or reset the session, or compile with a larger --max-length")

    def _runs(self, entry: str, tokens: int) -> Iterator[tuple[str, int, int]]:
        """(entry, first token, end) of each run; all are known before the first one is done."""
        found, begin, room = [], 0, self.room
        sizes = {name: record.tokens or 1 for name, record in self.entries.items()}
        while begin < tokens:
            most = room if self.fills_up else min(room, tokens - begin)
            name = entry if sizes[entry] <= most else max((n for n in sizes if sizes[n] <= most), key=lambda n: sizes[n], default="")
            if not name:
                what = f"the last {count(room, 'place')} of the caches can only be filled by an entry of so few tokens, and there is none"
                if not self.fills_up and tokens - begin < room:
                    what = f"no entry takes {count(tokens - begin, 'token')} or fewer, and runs of this model may not be filled up"
                raise UsageError(what, help="compile with --bucket decode=1 too, or a larger --max-length")
            end = min(begin + sizes[name], tokens)
            found.append((name, begin, end))
            room, begin = room - (end - begin), end
        yield from found

    def _run(self, one: EntryRun, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """One run on as many tokens as it takes."""
        outputs = one.run(inputs, self.length)
        self.length, self.changes = self.length + one.tokens, self.changes + 1
        return outputs

    def _part(self, entry: str, arrays: Mapping[str, Any], begin: int, end: int) -> dict[str, Any]:
        """One run on some of the tokens: its outputs without what it was filled up with."""
        one, before = self._each[entry], self.length
        axes = one.record.token_axes
        outputs = self._run(one, {name: part_of(array, axes.get(name), begin, end, one.tokens) for name, array in arrays.items()})
        self.length = before + end - begin
        return {name: first_of(value, axes.get(name), end - begin) for name, value in outputs.items()}

    def _joined(self, record: EntryRecord, parts: list[dict[str, Any]]) -> dict[str, Any]:
        import numpy

        if len(parts) == 1:
            return parts[0]
        axes = record.token_axes
        return {
            name: numpy.concatenate([part[name] for part in parts], axis=axes[name]) if name in axes else value
            for name, value in parts[-1].items()
        }


def _caches(manifest: Manifest, memory: ArenaMemory) -> Caches:
    """Where every entry has them."""
    return Caches(manifest, slots_at(manifest.arena, memory.base))

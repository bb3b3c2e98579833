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
from typing import Any

from ...bundle.entries import entry_named, entry_view
from ...bundle.manifest import EntryRecord, Manifest
from ...devices.views import numpy_dtype
from ...errors import UsageError
from ...inputs.token_parts import first_of, part_of
from ...quantities import count
from ..arena_memory import ArenaMemory
from ..generation import of_caller, slots_at
from ..session import Session
from ..turn import Turn
from .caches import Caches, replaces
from .entry_run import EntryRun, Loaded, all_beside, of_entries
from .sampling import Sampling
from .token_rows import fill_up
from .tokens import OwnTokens, Tokens, token_ids


class Decoder:
    """Every entry of a bundle loaded, all in one arena. `length` tokens are in the caches.

    Calls from several threads wait for each other."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        emulate: bool = False,
        recompile: bool = False,
        resident: int | None = None,
        loaded: Loaded | None = None,
    ) -> None:
        """Raises UsageError for a bundle without caches, and what loading its segments raises; `loaded`: its entries, where they are, each
        of which may be loaded when it is looked up."""
        if not manifest.states:
            raise UsageError(
                "the bundle keeps no caches: it has nothing to step through", where=str(folder), help="use session().run(inputs)"
            )
        self.manifest, self.length, self._turn = manifest, 0, Turn()
        self.entries = {entry.name: entry for entry in manifest.entries}
        loaded = loaded or of_entries(folder, manifest, emulate=emulate, recompile=recompile, resident=resident)
        self._each, memory, self._size = loaded
        self._own = _caches(manifest, memory)
        self._most = min(state.length for state in manifest.states if state.length)
        self._replaces = replaces(manifest)
        outputs = {name: of_caller(entry_view(manifest, name))[1] for name in self.entries}
        self.fills_up = not self._replaces and all(
            value.name in self.entries[name].token_axes for name, each in outputs.items() for value in each
        )
        """Whether runs may be filled up: not where an output is of the last token alone, or a state is replaced."""

    @property
    def sessions(self) -> dict[str, Session]:
        """By entry."""
        return {name: entry.session for name, entry in self._each.items()}

    @property
    def emulated(self) -> tuple[str, ...]:
        """Segments that run on the CPU in place of a device that is not here: "0 (npu)"."""
        return tuple(dict.fromkeys(name for session in self.sessions.values() for name in session.emulated))

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, and in their first runs."""
        return tuple(dict.fromkeys(note for session in self.sessions.values() for note in session.notes))

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
            one = self._each.get(entry)
            if one is not None and isinstance(inputs, dict) and one.tokens <= self._most - self.length and one.fits(inputs):
                return self._run(one, inputs)
            del one  # it may end while others run (one_open.py)
            arrays, tokens = self._checked(entry, inputs)
            self._check_room(tokens)
            parts = [self._part(name, arrays, begin, end) for name, begin, end in self._runs(entry, tokens)]
            return self._joined(self.entries[entry], parts)

    def step_placed(self, entry: str, inputs: Mapping[str, Any], placed: Mapping[str, Any]) -> dict[str, Any]:
        """One run, where some inputs lie in the arena already: `placed` are views of their rows, from the first one on. Raises as `step`,
        and UsageError for more tokens than a run takes, or fewer where it cannot be filled up."""
        with self._turn:
            one, (arrays, tokens) = self._each[entry], self._checked(entry, {**inputs, **placed})
            self._check_room(tokens)
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
            self.length = before + tokens
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
                raise UsageError(f"the caches hold {count(self.length, 'token')}: they cannot be cut to {length}")
            if self._replaces and 0 < length < self.length:
                what = f"the states are those behind {count(self.length, 'token')}: what they were behind {length} is gone"
                raise UsageError(what, help="fork the session before the tokens that may have to go, or reset it")
            if self._replaces and not length:
                self._own.clear(states=True)
            self.length = length

    def fork(self) -> Decoder:
        """Another session that goes on from here with caches of its own; weights are shared where the runtimes allow it."""
        return self.forked(*all_beside(self._each, self._size))

    def forked(self, each: Mapping[str, EntryRun], memory: ArenaMemory) -> Decoder:
        """The same, in an arena that its entries are bound to already."""
        with self._turn:
            made = copy(self)
            made._each, made._turn, made._own = each, Turn(), _caches(self.manifest, memory)
            self._own.copy_to(made._own, self.length)
            return made

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
        for one in self._each.values():
            for state, both in zip(self.manifest.states, one.caches.addresses, strict=True):
                found[state.past] = tuple(dict.fromkeys((*found.get(state.past, ()), *both)))
        return found

    def _checked(self, entry: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The inputs as arrays, and how many tokens they are."""
        import numpy

        one = self._each[entry_named(self.manifest, entry).name]
        wanted = one.inputs
        if not isinstance(inputs, Mapping):
            what = f"inputs are a mapping from names to arrays, not {type(inputs).__name__}"
            raise UsageError(what, help=f"it takes {', '.join(wanted)}")
        if wanted.keys() != inputs.keys():
            odd = next(iter(sorted(wanted.keys() ^ inputs.keys())))
            raise UsageError(
                f"{'missing input' if odd in wanted else 'the entry takes no input'} {odd!r}", help=f"it takes {', '.join(wanted)}"
            )
        arrays, lengths = {}, set()
        for name, value in wanted.items():
            axis, array = one.record.token_axes.get(name), numpy.asarray(inputs[name])
            shape = list(value.shape or ())
            if axis is not None and axis < array.ndim:
                shape[axis] = array.shape[axis]
                lengths.add(array.shape[axis])
            if array.dtype != numpy_dtype(value.dtype) or list(array.shape) != shape:
                asked = f"{numpy_dtype(value.dtype)}{['tokens' if k == axis else n for k, n in enumerate(value.shape or ())]}"
                raise UsageError(f"input {name!r} is {array.dtype}{list(array.shape)}, the entry takes {asked}")
            arrays[name] = array
        if len(lengths) != 1 or 0 in lengths:
            raise UsageError(
                f"the inputs have {' and '.join(map(str, sorted(lengths)))} tokens", help="give each the same number, at least one"
            )
        return arrays, lengths.pop()

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
        self.length += one.tokens
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

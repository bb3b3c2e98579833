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
from types import MappingProxyType, TracebackType
from typing import Any

from ...bundle.manifest import Manifest
from ...errors import UsageError
from ..check_inputs import check_mapping
from ..session import Session
from ..turn import Turn
from .entry_run import Opener
from .given_tokens import whole_number
from .linked_models import LinkedModels
from .linked_tokens import LinkedTokens
from .opened import Ran
from .sampling import Sampling
from .tokens import Tokens, token_ids

NO_INPUTS: Mapping[str, Any] = MappingProxyType({})


class Linked:
    """Every entry of a bundle of several models, all in one arena. Where models take turns in memory (`manifest.phases`), none is loaded
    before its first step, and a step of one closes those that it takes turns with.

    Calls from several threads wait for each other. With `with` it is closed at the end."""

    def __init__(
        self, folder: Path, manifest: Manifest, *, emulate: bool = False, recompile: bool = False, resident: int | None = None
    ) -> None:
        """Raises what loading the segments raises, and BundleError where a model would not write where another one reads."""
        self.manifest, self._turn = manifest, Turn()
        opener = Opener(folder, manifest, emulate=emulate, recompile=recompile, resident=resident)
        self._emulated, self._models = opener.emulated(), LinkedModels(folder, manifest, opener)
        self.entries, self.models = self._models.entries, self._models.models
        """Entries by name, and names of the models; links lead to the first one."""

    @property
    def sessions(self) -> dict[str, Session]:
        """By entry, of those that are open."""
        return self._models.each.sessions

    @property
    def ran(self) -> dict[str, Ran]:
        """By entry, what really computes it; those that were never open are opened."""
        with self._turn:
            return self._models.each.ran()

    @property
    def emulated(self) -> tuple[str, ...]:
        """Segments that run on the CPU in place of a device that is not here: "vision: 0 (npu)"."""
        return self._emulated

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were loaded, in their first runs, and which entries were opened again."""
        return self._models.each.notes

    @property
    def length(self) -> int:
        """Tokens in the caches."""
        decoder = self._models.decoder
        return 0 if decoder is None else decoder.length

    @property
    def changes(self) -> int:
        """How often the caches were changed."""
        decoder = self._models.decoder
        return 0 if decoder is None else decoder.changes

    @property
    def room(self) -> int:
        """Tokens that still fit."""
        decoder = self._models.decoder
        return 0 if decoder is None else decoder.room

    @property
    def fills_up(self) -> bool:
        """Whether a step of the decoder may be given fewer tokens than its entry takes."""
        decoder = self._models.decoder
        return decoder is not None and decoder.fills_up

    @property
    def filled(self) -> dict[str, int]:
        """By linked input, rows that were written and not read yet."""
        return {name: rows.filled for name, rows in self._models.rows.items()}

    def addresses(self) -> dict[str, tuple[int, ...]]:
        """Of every linked input, the addresses at which it is written and read; one where nothing is copied."""
        return self._models.addresses()

    def step(self, name: str, inputs: Mapping[str, Any] = NO_INPUTS, *, at: int | None = None) -> dict[str, Any]:
        """Outputs of one step; what another model reads stays in the arena and is none of them.

        name: of an entry, or of a model: then its smallest entry that takes the tokens given. inputs: all that no model writes, and, where
        linked inputs are to be given by hand, those too. A step of the model that links lead to reads the rows that were written since
        its last step. at: for rows that every step places (`--link …@ROWS`), the first of them.

        Raises UsageError for an unknown name, for inputs that do not fit, for rows that are not there or would be lost, and where the
        caches cannot hold the tokens: then nothing was run."""
        first = None if at is None else whole_number("at", at)
        check_mapping(inputs)
        with self._turn:
            record = self._models.fitting(name, inputs)
            if record.model != self.models[0]:
                return self._models.write(record, inputs, first)
            if first is not None:
                raise UsageError(f"'{name}' reads rows from the first one on: 'at' is for a model that writes some of them")
            return self._models.read(record, inputs)

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
        self._turn.check_open()
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
        made = LinkedTokens(self, token_ids(ids), images, image_token, release_encoder)
        return Tokens(made).begin(made.prompt, max_tokens, stop, sampling)

    def reset(self) -> None:
        """The caches are empty, and what was written and not read is forgotten."""
        self.truncate(0)
        self.forget()

    def forget(self) -> None:
        """What was written and not read is forgotten."""
        with self._turn:
            for rows in self._models.rows.values():
                rows.clear()

    def release(self, name: str) -> None:
        """Gives the memory of an entry, or of all entries of a model, back to the system: what its runtimes hold of weights, and pages of
        the arena that no open entry has. Rows that it wrote stay. Its next step opens it again, which takes as long as loading it did
        (`notes` say how long). A fork that was made before keeps what it shares.

        Raises UsageError for an unknown name, and, unless models take turns, for the model that links lead to, whose caches are in use."""
        with self._turn:
            found = self._models.named(name)
            if found[0].model == self.models[0] and self.manifest.phases is None:
                raise UsageError(f"'{name}' is of the model that links lead to, which keeps the caches", help="release another model")
            self._models.each.release([entry.name for entry in found])

    def truncate(self, length: int) -> None:
        """The caches hold the first `length` tokens. Raises UsageError for more than there are."""
        with self._turn:
            if self._models.decoder is not None:
                self._models.decoder.truncate(length)

    def poison(self) -> None:
        """Fills every place of the caches that holds no token with NaN: whoever reads one, shows."""
        with self._turn:
            if self._models.decoder is not None:
                self._models.decoder.poison()

    def cached(self) -> dict[str, Any]:
        """What the caches hold, by the name of the output."""
        with self._turn:
            return {} if self._models.decoder is None else self._models.decoder.filled()

    def fork(self) -> Linked:
        """Another session that goes on from here with an arena of its own; weights are shared where the runtimes allow it. Where models
        take turns in memory, a step that would close what a fork has open is a UsageError until the fork is closed."""
        with self._turn:
            made = copy(self)
            made._models, made._turn = self._models.forked(), Turn()
            return made

    def close(self) -> None:
        """Ends every session, with the weights and the arena that they hold; forks go on. It cannot be used any more, and may be closed
        again."""
        if self._turn.close():
            self._models.each.close()

    def __enter__(self) -> Linked:
        self._turn.check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

"""Token after token: what a prompt is fed with, and what becomes of the logits."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...bundle.entries import entry_view
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.state_record import CACHE_LENGTH
from ...errors import UsageError
from ...quantities import count
from ..generation import of_caller
from .sampling import Sampling, draw

if TYPE_CHECKING:
    import numpy

END, LIMIT, FULL = "end", "limit", "full"
"""Why no more tokens came: one that ends the text, as many as were wanted, the caches are full."""
LOGITS = "logits"


class Stepped(Protocol):
    """A decoder with its caches (decoder.py)."""

    manifest: Manifest
    entries: dict[str, EntryRecord]
    length: int

    @property
    def room(self) -> int: ...

    def step(self, entry: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def truncate(self, length: int) -> None: ...


class Tokens:
    """A decoder that takes token ids and returns logits, one token after the other."""

    def __init__(self, decoder: Stepped) -> None:
        """Raises UsageError for one that takes something else than ids of tokens, or has several outputs that may be logits."""
        self._decoder, first = decoder, next(iter(decoder.entries))
        inputs, outputs = of_caller(entry_view(decoder.manifest, first))
        given = [value for value in inputs if value.name != CACHE_LENGTH]
        if len(given) != 1 or given[0].dtype not in ("int64", "int32") or len(given[0].shape or ()) != 2:
            taken = ", ".join(f"{value.name} {value.dtype}{list(value.shape or ())}" for value in given)
            raise UsageError(
                f"tokens can be made where one input takes the ids of tokens; this takes {taken}", help="use step(entry, inputs)"
            )
        named = outputs if len(outputs) == 1 else [value for value in outputs if value.name == LOGITS]
        if len(named) != 1 or len(named[0].shape or ()) != 3:
            found = ", ".join(f"{value.name} {value.dtype}{list(value.shape or ())}" for value in outputs)
            raise UsageError(f"no output is known to be the logits [1, tokens, vocabulary]: {found}", help="use step(entry, inputs)")
        self._input, self._output, self._dtype = given[0].name, named[0].name, given[0].dtype
        self.vocabulary = (named[0].shape or ())[-1]
        """Tokens that have a logit."""
        self._seconds = {name: entry_view(decoder.manifest, name).predicted_seconds for name in decoder.entries}

    def generate(self, ids: Sequence[int], limit: int | None, stop: Collection[int], sampling: Sampling) -> Generator[int, None, str]:
        """Tokens behind `ids`; returns why there are no more. A token is in the caches once the next one is asked for."""
        import numpy

        random, made = numpy.random.default_rng(sampling.seed), 0
        logits = self._prompted(ids)
        while limit is None or made < limit:
            token = draw(logits, sampling, random)
            if token in stop:
                return END
            yield token
            made += 1
            if made == limit:
                break
            if not self._decoder.room:
                return FULL
            logits = self._fed([token])
        return LIMIT

    def check(self, ids: Sequence[int]) -> None:
        """Raises UsageError for a prompt that is empty, does not fit, or has ids that the model does not know."""
        if not ids:
            raise UsageError("an empty prompt: there is nothing to go on from", help="give at least one token")
        wrong = next((token for token in ids if not 0 <= token < self.vocabulary), None)
        if wrong is not None:
            raise UsageError(
                f"the model knows the tokens 0 to {self.vocabulary - 1}, and the prompt has {wrong}",
                help="is it another model's tokenizer?",
            )
        length, room = self._decoder.length, self._decoder.room
        if len(ids) > room:
            filled = f", of which {length} are filled" if length else ""
            what = f"a prompt of {count(len(ids), 'token')} does not fit: the caches hold {length + room}{filled}"
            raise UsageError(what, help="shorten it, or compile with a larger --max-length")

    def _prompted(self, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        """Logits behind the prompt. Where it fails, the caches hold what they held before."""
        before = self._decoder.length
        try:
            return self._fed(ids)
        except BaseException:
            self._decoder.truncate(before)
            raise

    def _fed(self, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        """Logits behind the last of the tokens."""
        import numpy

        logits, begin = None, 0
        for entry, taken in self._runs(len(ids)):
            part = numpy.array([ids[begin : begin + taken]], self._dtype)
            logits = self._decoder.step(entry, {self._input: part})[self._output]
            begin += taken
        assert logits is not None
        last: numpy.ndarray[Any, Any] = logits[0, -1]
        return last

    def _runs(self, tokens: int) -> Iterator[tuple[str, int]]:
        """Entries for so many tokens, and how many each takes: always the one by which the rest would take the least predicted
        time. One run after the other, so that the logits of a long prompt are never together in memory."""
        sizes = {name: entry.tokens or 1 for name, entry in self._decoder.entries.items()}
        while tokens:
            rest = tokens
            entry = min(sizes, key=lambda name: (-(-rest // sizes[name]) * self._seconds[name], -sizes[name]))
            yield entry, min(sizes[entry], rest)
            tokens -= min(sizes[entry], rest)

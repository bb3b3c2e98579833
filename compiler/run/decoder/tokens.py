"""Token after token: what a prompt is fed with, and what becomes of the logits."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from numbers import Integral
from operator import index
from typing import TYPE_CHECKING, Any, Protocol

from ...bundle.entries import entry_view
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.plan_records import ValueRecord
from ...bundle.state_record import CACHE_LENGTH
from ...errors import UsageError
from ...quantities import count
from ..generation import of_caller
from .caches import replaces
from .cut_prompt import cut_prompt
from .sampling import Sampling, draw

if TYPE_CHECKING:
    import numpy

END, LIMIT, FULL = "end", "limit", "full"
"""Why no more tokens came: one that ends the text, as many as were wanted, the caches are full."""
LOGITS = "logits"
MOST_QUOTED = 60
"""Characters of what is no id of a token."""


class Feed(Protocol):
    """What takes ids of tokens and answers with logits: a decoder, or several models that end in one (linked_tokens.py)."""

    vocabulary: int
    """Tokens that have a logit."""

    @property
    def length(self) -> int: ...

    @property
    def changes(self) -> int:
        """How often its caches were changed."""
        ...

    @property
    def room(self) -> int: ...

    def runs(self, tokens: int) -> Sequence[tuple[str, int]]:
        """Entries for so many tokens, and how many each takes."""
        ...

    def run(self, entry: str, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        """Logits behind the last of them, [vocabulary]."""
        ...

    def restore(self, length: int) -> None:
        """The caches hold the first `length` tokens, or all whose runs were done where states are replaced; what a step that failed has
        left elsewhere is forgotten."""
        ...


class Stepped(Protocol):
    """A decoder with its caches (decoder.py)."""

    manifest: Manifest
    entries: dict[str, EntryRecord]
    length: int
    changes: int

    @property
    def room(self) -> int: ...

    @property
    def fills_up(self) -> bool: ...

    def step(self, entry: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def truncate(self, length: int) -> None: ...


class OwnTokens:
    """A decoder that takes ids itself."""

    def __init__(self, decoder: Stepped) -> None:
        """Raises UsageError for one that takes something else than ids of tokens, or has several outputs that may be logits."""
        self._decoder, first = decoder, next(iter(decoder.entries))
        inputs, outputs = of_caller(entry_view(decoder.manifest, first))
        given = [value for value in inputs if value.name != CACHE_LENGTH]
        if len(given) != 1 or not takes_ids(given[0]):
            taken = ", ".join(f"{value.name} {value.dtype}{list(value.shape or ())}" for value in given)
            raise UsageError(
                f"tokens can be made where one input takes the ids of tokens; this takes {taken}", help="use step(entry, inputs)"
            )
        self._input, self._dtype = given[0].name, given[0].dtype
        self._output, self.vocabulary = logits_of(outputs)
        self._sizes = {name: entry.tokens or 1 for name, entry in decoder.entries.items()}
        self._seconds = {name: entry_view(decoder.manifest, name).predicted_seconds for name in decoder.entries}

    @property
    def length(self) -> int:
        return self._decoder.length

    @property
    def changes(self) -> int:
        return self._decoder.changes

    @property
    def room(self) -> int:
        return self._decoder.room

    def runs(self, tokens: int) -> Sequence[tuple[str, int]]:
        return cut_prompt(tokens, self._sizes, self._seconds, room=self.room, fills_up=self._decoder.fills_up)

    def run(self, entry: str, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        import numpy

        logits: numpy.ndarray[Any, Any] = self._decoder.step(entry, {self._input: numpy.array([ids], self._dtype)})[self._output]
        last: numpy.ndarray[Any, Any] = logits[0, -1]
        return last

    def restore(self, length: int) -> None:
        if not replaces(self._decoder.manifest):
            self._decoder.truncate(length)


def takes_ids(value: ValueRecord) -> bool:
    """Whether the input may be ids of tokens, [1, tokens]."""
    return value.dtype in ("int64", "int32") and len(value.shape or ()) == 2


def logits_of(outputs: Sequence[ValueRecord]) -> tuple[str, int]:
    """The output that is the logits, and how many tokens it has one for. Raises UsageError where that cannot be told."""
    named = outputs if len(outputs) == 1 else [value for value in outputs if value.name == LOGITS]
    if len(named) != 1 or len(named[0].shape or ()) != 3:
        found = ", ".join(f"{value.name} {value.dtype}{list(value.shape or ())}" for value in outputs)
        raise UsageError(f"no output is known to be the logits [1, tokens, vocabulary]: {found}", help="use step(entry, inputs)")
    return named[0].name, (named[0].shape or ())[-1]


def token_ids(ids: Any, name: str = "ids") -> list[int]:
    """Raises UsageError for anything but whole numbers: 1.5 is no token, nor is a text."""
    try:
        return [index(token) for token in ids]
    except TypeError:
        help = "encode a text with the model's tokenizer; of an array of ids [1, tokens] give the one row"
        raise UsageError(f"{name} are ids of tokens, whole numbers in a row, not {repr(ids)[:MOST_QUOTED]}", help=help) from None


def _now(before: int, length: int) -> str:
    return "others now" if before == length else f"{length} now"


class Tokens:
    """One token after the other."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._cut: tuple[tuple[int, int], Sequence[tuple[str, int]]] | None = None
        """Of so many tokens with so much room, the runs: a prompt that is checked and then fed is cut once."""

    def begin(self, ids: Sequence[int], max_tokens: int | None, stop: Collection[int], sampling: Sampling) -> Generator[int, None, str]:
        """As `generate`. Raises UsageError at once for a prompt that is empty, does not fit, or has ids that the model does not know, for
        one that no runs of the entries take, and for a negative number of tokens."""
        if max_tokens is not None and not (isinstance(max_tokens, Integral) and max_tokens >= 0):
            raise UsageError(f"max_tokens is 0 or more, not {max_tokens!r}")
        ends = frozenset(token_ids(stop, "stop"))
        self._check(ids)
        return self.generate(ids, max_tokens, ends, sampling)

    def generate(self, ids: Sequence[int], limit: int | None, stop: Collection[int], sampling: Sampling) -> Generator[int, None, str]:
        """Tokens behind `ids`; returns why there are no more. A token is in the caches once the next one is asked for. Raises UsageError
        where something else was done with the session between two tokens: the text would go on from there, and its logits do not."""
        import numpy

        random, made = numpy.random.default_rng(sampling.seed), 0
        logits = self._fed(ids)
        while limit is None or made < limit:
            token = draw(logits, sampling, random)
            if token in stop:
                return END
            length, changes = self._feed.length, self._feed.changes
            yield token
            made += 1
            if made == limit:
                break
            if self._feed.changes != changes:
                what = f"the caches held {count(length, 'token')} when this text was made, and hold {_now(length, self._feed.length)}"
                raise UsageError(what, help="let one text end before another one begins, or generate in a fork()")
            if not self._feed.room:
                return FULL
            logits = self._fed([token])
        return LIMIT

    def _check(self, ids: Sequence[int]) -> None:
        if not ids:
            raise UsageError("an empty prompt: there is nothing to go on from", help="give at least one token")
        vocabulary = self._feed.vocabulary
        wrong = next((token for token in ids if not 0 <= token < vocabulary), None)
        if wrong is not None:
            raise UsageError(
                f"the model knows the tokens 0 to {vocabulary - 1}, and the prompt has {wrong}",
                help="is it another model's tokenizer?",
            )
        length, room = self._feed.length, self._feed.room
        if len(ids) > room:
            filled = f", of which {length} are filled" if length else ""
            what = f"a prompt of {count(len(ids), 'token')} does not fit: the caches hold {length + room}{filled}"
            raise UsageError(what, help="shorten it, or compile with a larger --max-length")
        self._runs(len(ids))

    def _runs(self, tokens: int) -> Sequence[tuple[str, int]]:
        asked = tokens, self._feed.room
        if self._cut is None or self._cut[0] != asked:
            self._cut = asked, self._feed.runs(tokens)
        return self._cut[1]

    def _fed(self, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        """Logits behind the last of the tokens. One run after the other, so that the logits of a long prompt are never together in
        memory. Where one fails, the caches hold what they held before."""
        before = self._feed.length
        try:
            logits, begin = None, 0
            for entry, taken in self._runs(len(ids)):
                logits = self._feed.run(entry, ids[begin : begin + taken])
                begin += taken
        except BaseException:
            self._feed.restore(before)
            raise
        assert logits is not None
        return logits

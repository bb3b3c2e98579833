"""Tokens of a bundle of several models: a table of words and an encoder of images write the rows that a decoder reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from ...bundle.entries import entry_view, models_of
from ...bundle.link_record import LinkRecord
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.plan_records import ValueRecord
from ...bundle.state_record import CACHE_LENGTH
from ...devices.views import numpy_dtype
from ...errors import UsageError
from ..check_inputs import check_inputs
from ..generation import of_caller
from .caches import replaces
from .cut_prompt import cut_prompt
from .image_places import image_places
from .tokens import logits_of, takes_ids

if TYPE_CHECKING:
    import numpy

BY_HAND = "step through it: session.step(entry, inputs)"
Taken = tuple[tuple[int, ...], Any]
"""Shape and numpy dtype of an input."""
UNKNOWN_PLACEHOLDER = 0
"""The token that is looked up in place of a placeholder that the table of words may not have: an image's rows go over its row."""


class Parts:
    """What the models of a bundle do for a text: which one has the words, which one sees images, and which output is the logits."""

    def __init__(self, manifest: Manifest) -> None:
        """Raises UsageError for models that do not come together so."""
        self.main = models_of(manifest)[0]
        mine = {entry.name: entry for entry in manifest.entries if entry.model == self.main}
        views = {name: entry_view(manifest, name) for name in mine}
        inputs, outputs = of_caller(next(iter(views.values())))
        if not manifest.states or not manifest.states[0].length:
            raise UsageError("the bundle keeps no caches: tokens cannot follow each other", help=BY_HAND)
        linked = {link.input for link in manifest.links}
        more = [value.name for value in inputs if value.name not in linked and value.name != CACHE_LENGTH]
        if more:
            raise UsageError(f"tokens alone do not make the input {more[0]!r} of '{self.main}'", help=BY_HAND)
        self.words, self.input, self.dtype = _words(manifest)
        self.logits, self.vocabulary = logits_of(outputs)
        self.sizes = {name: entry.tokens or 1 for name, entry in mine.items()}
        self.seconds = {name: view.predicted_seconds for name, view in views.items()}
        self.encoder: str | None = None
        """The entry that sees an image; None where there is none, or where `unclear` says why it cannot be told."""
        self.rows, self.image_inputs, self.unclear = 0, dict[str, Taken](), ""
        """Rows that an image becomes, and by name what the entry takes."""
        try:
            self.encoder, self.rows, self.image_inputs = _encoder(manifest, inputs)
        except UsageError as problem:
            self.unclear = problem.message

    def check_sees(self) -> None:
        """Raises UsageError where no model sees images, or it cannot be told which one does."""
        if self.unclear:
            raise UsageError(self.unclear, help=f"text alone can be generated; for more {BY_HAND}")
        if self.encoder is None:
            raise UsageError("the bundle has no model that sees images: no link has @ROWS", help="leave the images out")

    def images(self, manifest: Manifest, given: Sequence[Any]) -> list[dict[str, Any]]:
        """Inputs of the encoder for each image. Raises UsageError where there is none, and for those that it does not take."""
        if len(given):
            self.check_sees()
        names, found = list(self.image_inputs), []
        for number, image in enumerate(given):
            inputs = image if isinstance(image, Mapping) or len(names) != 1 else {names[0]: image}
            if not isinstance(inputs, Mapping):
                what = f"image {number} is one array, and '{self.encoder}' takes {len(names)} inputs: {', '.join(names)}"
                raise UsageError(what, help="give each image as a mapping from input names to arrays")
            try:
                found.append(check_inputs(entry_view(manifest, self.encoder or ""), inputs))
            except UsageError as problem:
                problem.message = f"image {number}: {problem.message}"
                raise
        return found


class LinkedSteps(Protocol):
    """A session of several models (linked.py)."""

    manifest: Manifest

    @property
    def length(self) -> int: ...

    @property
    def changes(self) -> int: ...

    @property
    def room(self) -> int: ...

    @property
    def fills_up(self) -> bool: ...

    @property
    def filled(self) -> dict[str, int]: ...

    def step(self, name: str, inputs: Mapping[str, Any] = ..., *, at: int | None = None) -> dict[str, Any]: ...

    def truncate(self, length: int) -> None: ...

    def forget(self) -> None: ...

    def release(self, name: str) -> None: ...


class LinkedTokens:
    """A prompt, with images in it, and what follows it."""

    def __init__(
        self, session: LinkedSteps, ids: Sequence[int], images: Sequence[Any], placeholder: int | None, release: bool = False
    ) -> None:
        """ids: of the prompt; its placeholders are those of `image_places`. release: the encoder, once it has seen the last image. Raises
        UsageError as `image_places` and `Parts`."""
        self._session, self._parts, self._at = session, Parts(session.manifest), 0
        unread = next((name for name, rows in session.filled.items() if rows), None)
        if unread is not None:
            raise UsageError(f"rows of {unread!r} were written that no step has read", help="step the model that reads them, or forget()")
        given = self._parts.images(session.manifest, images)
        prompt, places = image_places(ids, placeholder, len(given), self._parts.rows)
        self._images = list(zip(places, given, strict=True))
        """Those that are still to be seen; places count from the first token of the prompt."""
        self._release = self._parts.encoder if release else None
        held = {place for places, _ in self._images for place in places}
        self.prompt = [UNKNOWN_PLACEHOLDER if place in held else token for place, token in enumerate(prompt)]
        self.vocabulary = self._parts.vocabulary

    @property
    def length(self) -> int:
        return self._session.length

    @property
    def changes(self) -> int:
        return self._session.changes

    @property
    def room(self) -> int:
        return self._session.room

    def runs(self, tokens: int) -> Sequence[tuple[str, int]]:
        parts, together = self._parts, [range(place.start - self._at, place.stop - self._at) for place, _ in self._images]
        return cut_prompt(tokens, parts.sizes, parts.seconds, room=self.room, fills_up=self._session.fills_up, together=together)

    def run(self, entry: str, ids: Sequence[int]) -> numpy.ndarray[Any, Any]:
        import numpy

        parts, session = self._parts, self._session
        session.step(parts.words, {parts.input: numpy.array([ids], parts.dtype)})
        for place, image in self._next(len(ids)):
            session.step(parts.encoder or "", image, at=place.start - self._at)
        if self._release is not None and not self._images:
            session.release(self._release)
            self._release = None
        logits: numpy.ndarray[Any, Any] = session.step(entry)[parts.logits]
        self._at += len(ids)
        last: numpy.ndarray[Any, Any] = logits[0, -1]
        return last

    def _next(self, tokens: int) -> Iterator[tuple[range, dict[str, Any]]]:
        """Images that begin in the next tokens."""
        while self._images and self._images[0][0].start < self._at + tokens:
            yield self._images.pop(0)

    def restore(self, length: int) -> None:
        if not replaces(self._session.manifest):
            self._session.truncate(length)
        self._session.forget()


def _words(manifest: Manifest) -> tuple[str, str, str]:
    """The model that has the words, its input and the dtype of that."""
    whole = {link.input: link.model for link in manifest.links if not link.label}
    missing = next((link.input for link in manifest.links if link.input not in whole), None)
    if missing is not None or len(set(whole.values())) != 1:
        said = f"no model writes all of {missing!r}" if missing else f"{' and '.join(sorted(set(whole.values())))} write whole inputs"
        raise UsageError(f"tokens can be made where one model looks up words; here {said}", help=BY_HAND)
    words = next(iter(whole.values()))
    inputs, _ = of_caller(entry_view(manifest, _entries(manifest, words)[0].name))
    if len(inputs) != 1 or not takes_ids(inputs[0]):
        taken = ", ".join(f"{value.name} {value.dtype}{list(value.shape or ())}" for value in inputs)
        raise UsageError(f"tokens can be made where one model takes the ids of tokens; '{words}' takes {taken}", help=BY_HAND)
    return words, inputs[0].name, inputs[0].dtype


def _encoder(manifest: Manifest, read: Sequence[ValueRecord]) -> tuple[str | None, int, dict[str, Taken]]:
    """read: inputs of the main model."""
    placed = [link for link in manifest.links if link.label]
    names = sorted({link.model for link in placed})
    if not names:
        return None, 0, {}
    entries = _entries(manifest, names[0])
    if len(names) > 1 or len(entries) > 1:
        several = f"{' and '.join(names)} place rows" if len(names) > 1 else f"'{names[0]}' has {len(entries)} entries"
        raise UsageError(f"it cannot be told which entry sees an image: {several}", help=BY_HAND)
    view, shapes = entry_view(manifest, entries[0].name), {value.name: value.shape or () for value in read}
    rows = {_rows(link, view, shapes[link.input]) for link in placed}
    if len(rows) != 1:
        raise UsageError(f"'{names[0]}' writes {' and '.join(map(str, sorted(rows)))} rows in one step", help=BY_HAND)
    taken = {value.name: (tuple(value.shape or ()), numpy_dtype(value.dtype)) for value in of_caller(view)[0]}
    return entries[0].name, rows.pop(), taken


def _rows(link: LinkRecord, view: Manifest, read: Sequence[int]) -> int:
    """How many a step of the writer fills of an input of that shape."""
    written = next(value.shape or () for value in view.model.outputs if value.name == link.output)
    return prod(written) * read[link.axis] // prod(read)


def _entries(manifest: Manifest, model: str) -> list[EntryRecord]:
    return [entry for entry in manifest.entries if entry.model == model]

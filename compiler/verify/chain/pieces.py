"""What is run to see the models of a bundle work together: which model writes how many rows where, and how many of them a step reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ...bundle.entries import models_of, with_plan
from ...quantities import count

if TYPE_CHECKING:
    from ...bundle.link_record import LinkRecord
    from ...bundle.manifest import EntryRecord, Manifest

PLACES = (0.5, 1.0, 0.5)
"""Where parts lie in the rows of the first step, from the first place that they may take to the last: one chain each. Two are alike in all
but their numbers, since the second run of an entry at a place is bound already, and shows whether rows of the first one stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A step of a model that writes rows."""

    model: str
    rows: int
    at: int | None
    """The first of them, where every step places them; None where they begin at the first row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Rows that are written, and then read by a step of the model that links lead to."""

    entry: str
    rows: int
    written: tuple[Written, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Steps from empty caches on."""

    label: str
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)


def chains(manifest: Manifest) -> tuple[Chain, ...]:
    """Of a bundle of several models; () where what they write cannot fill what a step reads."""
    plan = _Plan(manifest)
    found = []
    for seed, place in enumerate(PLACES):
        pieces = tuple(plan.pieces(place))
        if pieces:
            found.append(Chain(label=f"{' + '.join(map(_said, pieces))}, seed {seed}", pieces=pieces))
    return tuple(found)


def row_size(manifest: Manifest, link: LinkRecord) -> int:
    """Elements of one row of the input."""
    shape = next(value.shape or () for value in manifest.model.inputs if value.name == link.input)
    return prod(size for axis, size in enumerate(shape) if axis != link.axis)


def _said(piece: Piece) -> str:
    placed = [f"{one.model} at {one.at}" for one in piece.written if one.at is not None]
    return count(piece.rows, "row") + (f" ({', '.join(placed)})" if placed else "")


class _Plan:
    """Of one bundle."""

    def __init__(self, manifest: Manifest) -> None:
        main = models_of(manifest)[0]
        self._sizes = {entry.name: _capacity(manifest, entry) for entry in manifest.entries if entry.model == main}
        self._length = min((state.length for state in manifest.states if state.length), default=0)
        self._fixed = {link.model: _fixed_rows(manifest, link) for link in manifest.links}
        self._parts = [model for model in self._fixed if any(link.label for link in manifest.links if link.model == model)]
        self._wholes = [model for model in self._fixed if model not in self._parts]
        inputs = {link.input for link in manifest.links}
        self._filled = inputs <= {link.input for link in manifest.links if not link.label}
        """Whether every input has a model that writes all of its rows."""

    def pieces(self, place: float) -> Iterator[Piece]:
        """The largest entry full, then behind that in part, then the others; without caches, each alone."""
        order = sorted(self._sizes, key=lambda name: -self._sizes[name])
        left = self._length
        for k, name in enumerate(order):
            size = self._sizes[name]
            for again, rows in enumerate((size, size // 2 + 1 if size > 1 else 1) if self._length else (size,)):
                piece = self._piece(name, rows, place if not k and not again else 0.0)
                if piece is None or (self._length and size > left):
                    continue
                yield piece
                left -= piece.rows

    def _piece(self, entry: str, rows: int, place: float) -> Piece | None:
        """None where the models cannot write as many rows."""
        total = sum(self._fixed[model] or 0 for model in self._parts)
        if not self._filled:
            rows = total if self._length else rows
        fits = 0 < total <= rows if self._filled else total == rows
        if any(fixed and fixed != rows for model in self._wholes if (fixed := self._fixed[model])) or not (self._filled or fits):
            return None
        written = [Written(model=model, rows=rows, at=None) for model in self._wholes]
        begin = int(place * (rows - total)) if fits else 0
        for model in self._parts if fits else ():
            number = self._fixed[model] or 0
            written.append(Written(model=model, rows=number, at=begin))
            begin += number
        return Piece(entry=entry, rows=rows, written=tuple(written)) if written and rows <= self._sizes[entry] else None


def _capacity(manifest: Manifest, entry: EntryRecord) -> int:
    """Rows that a step of an entry reads at most."""
    link = manifest.links[0]
    shape = next(value.shape or () for value in with_plan(manifest, entry).model.inputs if value.name == link.input)
    return shape[link.axis]


def _fixed_rows(manifest: Manifest, link: LinkRecord) -> int | None:
    """Rows that a step of the model writes; None where it is as many as it is given tokens."""
    entry = next(entry for entry in manifest.entries if entry.model == link.model)
    if entry.tokens is not None and not link.label:
        return None
    shape: Sequence[int] = next(value.shape or () for value in with_plan(manifest, entry).model.outputs if value.name == link.output)
    return prod(shape) // row_size(manifest, link)

"""Documentation of the word or number under an offset, in Markdown."""

from __future__ import annotations

from ...targets.dtypes import BITS
from ...targets.operators import versions_of
from ...targets.precision import FORMS, OTHER_FORM_NAMES
from ...targets.predicates import PREDICATES
from ..text.pieces import Piece
from ..words.properties import row
from ..words.reader import PROVENANCE
from ..words.units import ALL_UNITS, DIMENSIONS
from .place import piece_at, place_at, statement_of

MEANT = {
    "measured": "measured on the device",
    "src": "a published source",
    "vendor": "the vendor's own claim",
    "proxy": "measured on a relative",
    "guess": "not known",
}


def hover(text: str, offset: int) -> tuple[str, int, int] | None:
    """(Markdown, start, end) of what is under the offset; None if there is none."""
    index, pieces = piece_at(text, offset)
    if index < 0:
        return None
    piece = pieces[index]
    shown = _number(pieces, index) or _word(text, piece, pieces, index)
    return (shown, piece.start, piece.end) if shown else None


def _word(text: str, piece: Piece, pieces: list[Piece], index: int) -> str:
    if piece.text.startswith("@"):
        word = piece.text[1:]
        return f"`{piece.text}`: {MEANT[word]}" if word in PROVENANCE else ""
    place = place_at(text, piece.start)
    first = statement_of(pieces, index)[0].start == piece.start
    known = row(place.block, piece.text)
    if first and known:
        dimension = f" A {known.dimension}." if known.dimension else ""
        return f"`{known.example}`\n\n{known.meaning}{dimension}{' Required.' if known.required else ''}"
    if piece.text in PREDICATES and index + 1 < len(pieces) and pieces[index + 1].text == "(":
        predicate = PREDICATES[piece.text]
        return f"`{piece.text}({', '.join(predicate.takes)}{', …' if predicate.repeats else ''})`\n\n{predicate.meaning}"
    head = statement_of(pieces, index)[0].text
    return (form_summary(piece.text) if head in ("prefer", "keep") else "") or operator_summary(piece.text)


def form_summary(word: str) -> str:
    """What a form of `prefer` or `keep` is; "" for what is none."""
    form = next((form for name, form in FORMS.items() if name == OTHER_FORM_NAMES.get(word, word)), None)
    if form is None:
        return ""
    return f"`{form.name}`\n\nactivations in {form.activations if not form.quantised else f'{BITS[form.activations]}-bit integers'}, " + (
        f"weights in {form.weights}" if form.weights != form.activations else "weights too"
    )


def operator_summary(name: str) -> str:
    """Inputs, outputs and attributes of an operator's newest schema; "" for what is none."""
    versions = versions_of(name.removeprefix("ai.onnx::"))
    if not versions:
        return ""
    newest = versions[-1]
    marks = {"optional": "?", "variadic": "…", "": ""}
    inputs, outputs = (", ".join(slot.name + marks[slot.option] for slot in slots) for slots in (newest.inputs, newest.outputs))
    attributes = ", ".join(
        f"`{key}` {kind.rstrip('!=')}{' (required)' if kind.endswith('!') else ''}" for key, kind in newest.attributes.items()
    )
    since = ", ".join(str(version.since) for version in versions)
    gone = " Deprecated." if newest.deprecated else ""
    return f"**{name}**({inputs}) → {outputs}\n\nattributes: {attributes or 'none'}\n\nversions since opset {since}.{gone}"


def _number(pieces: list[Piece], index: int) -> str:
    """A number with its unit in the other usual units, and where it is from."""
    at = index if pieces[index].text[0].isdigit() else index - 1
    if at < 0 or at + 1 >= len(pieces) or not pieces[at].text[0].isdigit() or pieces[at + 1].text not in ALL_UNITS:
        return ""
    try:
        value = float(pieces[at].text)
    except ValueError:
        return ""
    unit = pieces[at + 1].text
    dimension, scale = ALL_UNITS[unit]
    others = [f"{value * scale / size:.6g} {other}" for other, size in DIMENSIONS[dimension].items() if 0.1 <= value * scale / size < 1e6]
    note = next((piece.text for piece in pieces[at + 2 : at + 3] if piece.text.startswith("@")), "")
    source = next((piece.text for piece in pieces[at + 4 : at + 5] if note and piece.text.startswith('"')), "")
    shown = f"\n\n{note[1:]}: {MEANT.get(note[1:], '')} {source}".rstrip() if note else "\n\nno source stated"
    return f"`{pieces[at].text} {unit}` is a {dimension}: {', '.join(dict.fromkeys(others))}{shown}"

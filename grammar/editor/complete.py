"""What may be written at an offset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...targets.dtypes import DTYPES
from ...targets.operators import operator_names, versions_of
from ...targets.precision import FORMS, OTHER_FORM_NAMES
from ...targets.predicates import PREDICATES
from ...targets.rule_spec import RuleFacts
from ..lower.expression import LINK_VARIABLES
from ..lower.precision import OF_THE_TARGET
from ..lower.runtime import RUNTIMES
from ..text.pieces import Piece, split_pieces
from ..words.properties import PROPERTIES, row
from ..words.reader import PROVENANCE
from ..words.units import ALL_UNITS, units_of
from .place import Place, place_at

TABLES = ("operators", "kernel")


@dataclass(frozen=True, slots=True)
class Completion:
    label: str
    kind: str
    """property, operator, operand, attribute, predicate, unit, rule, dtype, form, device, word"""
    detail: str = ""


def complete(text: str, offset: int, rules: Sequence[RuleFacts] = ()) -> tuple[Completion, ...]:
    """Everything that fits at an offset and begins with what is written there (whatever its capitals)."""
    place = place_at(text, offset)
    if place.inside_text:
        return ()
    written = place.word.lower()
    found = {item.label: item for item in _candidates(text, place, rules) if item.label.lower().startswith(written)}
    return tuple(found.values())


def _candidates(text: str, place: Place, rules: Sequence[RuleFacts]) -> Iterable[Completion]:
    before = [piece.text for piece in place.before]
    if place.word.startswith("@"):
        return [Completion(f"@{word}", "word", "where a number is from") for word in PROVENANCE]
    if "where" in before:
        return _condition(place, before)
    if before and before[-1][0].isdigit():
        return _units(place, before)
    if before and before[-1] == "->" and before[0] == "rewrite":
        return _rules(text, before[1], rules)
    if place.block in TABLES:
        return _operators(("inherit", "all") if not before and place.block == "operators" else ())
    if not before:
        return [found for found in _properties(place.block) if not _misplaced(found.label, place)]
    return _arguments(text, place, before)


def _misplaced(name: str, place: Place) -> bool:
    """Whether only the `precision` of the target itself has that statement."""
    return place.block == "precision" and place.blocks[-2:-1] != ("target",) and name in OF_THE_TARGET


def _properties(block: str) -> list[Completion]:
    known = PROPERTIES.get("target" if block == "amend" else block, {})
    return [Completion(name, "property", found.meaning) for name, found in known.items()]


def _operators(words: tuple[str, ...] = ()) -> list[Completion]:
    return [*(Completion(word, "word") for word in words), *(Completion(name, "operator") for name in operator_names())]


def _units(place: Place, before: list[str]) -> list[Completion]:
    """Units of the property's dimension; all where it has none or several."""
    heads = before[:1] if place.block == "calibration" else reversed(before)  # `zero_copy where … else copy 20`
    known = next((found for word in heads if (found := row(place.block, word))), None)
    word = next((word for word in reversed(before) if known and word in known.words), "")
    field = next((number for number in known.numbers if number.word == word), None) if known else None
    dimension = (field.dimension if field else "") or (known.dimension if known else "")
    units = units_of(dimension) if dimension else ALL_UNITS if not known else {}
    return [Completion(unit, "unit", f"{dimension or ALL_UNITS[unit][0]}") for unit in units]


def _rules(text: str, operator: str, rules: Sequence[RuleFacts]) -> list[Completion]:
    fitting = {facts.name: facts for facts in rules if operator in facts.matches}
    found = [Completion("native", "rule", "the operator itself")]
    found += [Completion(name, "rule", f"{operator} as {', '.join(facts.emits)}") for name, facts in fitting.items()]
    return [*found, *(Completion(name, "rule", "a rule of this file") for name in declared(text, "rule"))]


def _condition(place: Place, before: list[str]) -> list[Completion]:
    if place.block == "link":
        return [Completion(name, "word") for name in sorted(LINK_VARIABLES)] + [Completion(name, "dtype") for name in DTYPES]
    names = before[1:2] if before[0] == "rewrite" else _listed(place.before)
    about_loss = (
        [Completion("loss", "word", "the largest loss: `loss <= 0.1 %`")] if before[0] == "prefer" and before[-1] == "where" else []
    )
    operands: dict[str, Completion] = {}
    attributes: dict[str, Completion] = {}
    for name in names:
        for version in versions_of(name)[-1:]:
            operands.update({slot.name: Completion(slot.name, "operand", f"of {name}") for slot in (*version.inputs, *version.outputs)})
            attributes.update({f"attr.{key}": Completion(f"attr.{key}", "attribute", f"of {name}") for key in version.attributes})
    last = before[-1]
    if before[-2:-1] == ["native"] and last == "(":
        return _operators()
    if last == "{" or last in ("==", "!="):
        return [Completion(name, "dtype") for name in DTYPES]
    if last in ("(", ",") and before.count("(") > before.count(")"):
        return [*operands.values(), *attributes.values()]
    predicates = [Completion(name, "predicate", known.meaning) for name, known in PREDICATES.items()]
    return [*about_loss, *predicates, *attributes.values(), *(Completion(word, "word") for word in ("not", "and", "or", "in"))]


def _listed(before: Sequence[Piece]) -> list[str]:
    """The operators in front of `where`."""
    return [piece.text for piece in before[: next(i for i, piece in enumerate(before) if piece.text == "where")] if piece.text != ","]


def _arguments(text: str, place: Place, before: list[str]) -> list[Completion]:
    found = row(place.block, before[0])
    match before[0]:
        case "supports" if len(before) == 1:
            return [*_names("dtype", text), Completion("all", "dtype")]
        case "keep" | "prefer" if before[-1] == "on":
            return _names("device", text)
        case "keep" | "prefer" if len(before) == 1:
            return _names("form", text)
        case "keep" | "prefer":
            return [*_operators(), *(Completion(word, "word") for word in ("on", "where"))]
        case "rewrite" if len(before) > 1:
            return [Completion(word, "word") for word in ("->", "tol", "keep", "where")]
        case "runtime" if len(before) > 1:
            return [Completion(name, "word") for name in RUNTIMES.get(before[1], {}) if name]
        case "target":
            return [Completion("extends", "word")] if len(before) == 2 else [Completion(name, "word") for name in declared(text, "target")]
    if found is None:
        return []
    return [*(Completion(word, "word") for word in found.words), *(item for kind in found.takes for item in _names(kind, text))]


def _names(kind: str, text: str) -> list[Completion]:
    """The names of a kind that a property may take."""
    match kind:
        case "dtype":
            return [Completion(name, "dtype") for name in DTYPES]
        case "form":
            forms = [*FORMS.items(), *((name, FORMS[form]) for name, form in OTHER_FORM_NAMES.items())]
            return [Completion(name, "form", f"{form.activations} beside weights in {form.weights}") for name, form in forms]
        case "operator":
            return _operators()
        case "runtime":
            return [Completion(name, "word") for name in RUNTIMES]
        case "table":
            return [Completion(name, "word", "a table") for name in declared(text, "table")]
        case _:
            return [Completion(name, kind) for name in declared(text, kind)]


def declared(text: str, what: str) -> list[str]:
    """Names that the text declares: devices, memories, rules, tables, targets."""
    pieces = split_pieces(text)
    return list(dict.fromkeys(b.text for a, b in pairwise(pieces) if a.text == what and b.text.isidentifier()))

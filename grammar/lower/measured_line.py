"""One statement of a calibration: its numbers become facts under one note."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from ...targets.origin import Provenance
from ..text.syntax import Arg, Statement
from ..words.property import NumberField, Property
from ..words.reader import Quantity, Reader
from .context import Context

MOST_COUNTED = 1_000_000_000
"""Operators measured, models, extents: more is a slip."""


@dataclass(slots=True)
class Line:
    """One statement being read."""

    statement: Statement
    row: Property
    reader: Reader
    context: Context
    path: str
    noted: tuple[Provenance, str]

    def number(self, field: NumberField, name: str = "") -> float | None:
        """The number that comes next, kept as a fact; None if it was wrong, and reported. `name`: of the fact."""
        quantity = self.quantity(field)
        return None if quantity is None else self.keep(quantity, name or field.field)

    def quantity(self, field: NumberField) -> Quantity | None:
        """The number that comes next, within what its row allows; None if it was wrong, and reported."""
        dimension = field.dimension or self.row.dimension
        self.reader.subject = field.word or self.statement.head.text
        quantity = self.reader.take_number(dimension, field.zero, provenance=False, negative=field.negative)
        if quantity is None or quantity.value <= field.most:
            return quantity
        self.reader.failed = True
        message = f"`{quantity.text}` is more than 100 %" if field.most == 1.0 else f"`{quantity.text}` is more than {field.most:g}"
        self.context.report.error("HW0108", quantity.span, message)
        return None

    def whole(self, field: NumberField, name: str = "") -> int | None:
        """The same for what is counted."""
        arg = self.reader.peek()
        value = self.number(field, name)
        if value is None or arg is None:
            return None
        if value != int(value) or value > MOST_COUNTED:
            self.reader.failed = True
            self.context.report.error("HW0108", arg.span, f"`{arg.text}` must be a whole number of at most {MOST_COUNTED:,}")
            return None
        return int(value)

    def keep(self, quantity: Quantity, name: str) -> float | None:
        provenance, note = self.noted
        return self.context.fact(f"{self.path}.{name}", replace(quantity, provenance=provenance, note=note))

    def needs(self, words: Iterable[str], stated: Container[str]) -> None:
        """HW0104 for the first that the statement does not state."""
        lacking = [word for word in words if word not in stated]
        if lacking and not self.reader.failed:
            self.reader.failed = True
            message = f"`{self.statement.head.text}` states no `{lacking[0]}`"
            self.context.report.error("HW0104", self.statement.head.span, message, f"write for example `{self.row.example}`")

    def once(self, word: Arg, stated: Container[str]) -> bool:
        """Whether the word is new in its statement; HW0103 if it is not."""
        if word.text not in stated:
            return True
        self.reader.failed = True
        self.context.report.error("HW0103", word.span, f"`{word.text}` is stated twice in `{self.statement.head.text}`")
        return False


def line_note(statement: Statement, context: Context) -> tuple[Provenance, str] | None:
    """The one note that a block or line may have; None without."""
    notes = [arg for arg in statement.args if arg.kind == "provenance"]
    for again in notes[1:]:
        help = "the note of a line is that of all its numbers"
        context.report.error("HW0001", again.span, f"unexpected `{again.span.text}` in `{statement.head.text}`", help)
    if not notes:
        return None
    return Reader(statement, context.report, (notes[0],)).take_provenance()

"""A reader of the arguments of a statement: words, signs, numbers with units and provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from ...targets.origin import Fact, Provenance
from ..text.diagnostics import Diagnostic, Note, Severity, Span
from ..text.syntax import Arg, Statement
from .habits import habit
from .names import suggested_dtype, suggestion, suggestion_or_list
from .units import ALL_UNITS, example_of, suggested_unit, units_of

PROVENANCE: tuple[Provenance, ...] = ("measured", "src", "vendor", "proxy", "guess")


def exactly(digits: str, scale: float) -> float:
    """The number nearest to digits x scale, so that `100 us` and `0.1 ms` are the same; infinity where it is too large."""
    try:
        return float(Decimal(digits) * Decimal(repr(scale)))
    except ArithmeticError:
        return float("inf")


MOST_FOUND = 2000


class TooMany(Exception):
    """The file has so many mistakes that looking for more would only take time."""


@dataclass(slots=True)
class Report:
    """Collects the messages about one file; `broken` suppresses those that a syntax error may have caused."""

    broken: bool = False
    assumed: set[str] = field(default_factory=set)
    """Words that a misspelt one probably stood for; they are not missing."""
    found: list[Diagnostic] = field(default_factory=list)
    included: dict[str, Span] = field(default_factory=dict)
    """By name of a file, the `include` that brought it in."""
    misplaced: Counter[str] = field(default_factory=Counter)
    """By block (as messages call it), how many of its statements belong elsewhere."""

    def error(self, code: str, span: Span, message: str, help: str = "", notes: Iterable[Note] = ()) -> None:
        self.add("error", code, span, message, help, notes)

    def add(self, severity: Severity, code: str, span: Span, message: str, help: str = "", notes: Iterable[Note] = ()) -> None:
        """Keeps a message. Raises TooMany at an error beyond MOST_FOUND messages."""
        self.found.append(Diagnostic(code, severity, span, message, help, tuple(notes)))
        if severity == "error" and len(self.found) > MOST_FOUND:
            raise TooMany

    def missing(self, span: Span, message: str, help: str = "", what: str = "") -> None:
        """HW0104, unless the file has a syntax error, which may have swallowed the statement, or `what` was only misspelt."""
        if not self.broken and what not in self.assumed:
            self.error("HW0104", span, message, help)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in SI with how it was written and where it comes from."""

    value: float
    text: str
    unit: str
    provenance: Provenance
    note: str
    span: Span

    def fact(self, path: str) -> Fact:
        return Fact(path=path, value=self.value, text=self.text, provenance=self.provenance, note=self.note, origin=self.span.origin)


class Reader:
    """A cursor over arguments; each `take_*` consumes what it can use or reports and returns None."""

    def __init__(self, statement: Statement, report: Report, args: tuple[Arg, ...] | None = None) -> None:
        self.statement = statement
        self.report = report
        self._args = statement.args if args is None else args
        self._next = 0
        self.failed = False
        self.subject = statement.head.text
        """What a number is of, for messages."""

    def peek(self) -> Arg | None:
        return self._args[self._next] if self._next < len(self._args) else None

    def here(self) -> Span:
        """The next argument, or the last thing read."""
        arg = self.peek()
        if arg is not None:
            return arg.span
        return self._args[-1].span if self._args else self.statement.head.span

    def take_sign(self, *signs: str) -> str | None:
        """One of the signs if it comes next; no report otherwise."""
        arg = self.peek()
        if arg is not None and arg.kind == "sign" and arg.text in signs:
            self._next += 1
            return arg.text
        return None

    def take_word_if(self, *words: str) -> Arg | None:
        arg = self.peek()
        if arg is not None and arg.kind == "word" and arg.text in words:
            self._next += 1
            return arg
        return None

    def take(self, kind: str, what: str) -> Arg | None:
        """The next argument if it is of that kind; else "expected …" is reported."""
        arg = self.peek()
        if arg is None or arg.kind != kind:
            self.fail(what)
            return None
        self._next += 1
        return arg

    def take_choice(self, choices: Iterable[str], what: str, code: str = "HW0101") -> Arg | None:
        arg = self.take("word", what)
        if arg is not None and arg.text not in (known := tuple(choices)):
            self.failed = True
            help = suggested_dtype(arg.text) if code == "HW0306" else _numbered(arg.text, known) or suggestion_or_list(arg.text, known)
            what = what.removeprefix("a ").removeprefix("an ")
            self.report.error(code, arg.span, f"unknown {what} `{arg.text}`", help)
            return None
        return arg

    def fail(self, what: str, help: str = "") -> None:
        """Reports that `what` was expected; once a statement."""
        if self.failed:
            return
        self.failed = True
        arg = self.peek()
        found = f"found `{arg.span.text}`" if arg else "the statement ends here"
        help = help or self._habit()
        self.report.error("HW0001", self.here(), f"`{self.statement.head.text}` needs {what}; {found}", help)

    def _habit(self) -> str:
        return habit(self.statement.head, self._args, self._next) if self._next < len(self._args) else ""

    def end(self) -> None:
        """Reports what is left over; provenance that no number took is left over too."""
        arg = self.peek()
        if arg is None or self.failed:
            return
        self.failed = True
        message = f"unexpected `{arg.span.text}` in `{self.statement.head.text}`"
        self.report.error("HW0001", arg.span, message, self._habit())

    def take_number(self, dimension: str, zero: bool = False, provenance: bool = True, negative: bool = False) -> Quantity | None:
        """A number of that dimension (a key of units.DIMENSIONS) with unit and provenance; positive, unless `zero` or `negative`."""
        if self.take_sign("="):
            self.failed = True
            self.report.error("HW0001", self._args[self._next - 1].span, "unexpected `=`", "properties are written without `=`")
        minus = self.peek() if self.take_sign("-") is None else self._args[self._next - 1]
        below = minus is not None and minus.text == "-"
        number = self.take("number", f"a {dimension}, for example {example_of(dimension)}")
        if number is None:
            return None
        start = minus.span if below and minus else number.span
        scale, unit = self._unit(number, dimension)
        noted = self.take_provenance() if provenance else ("stated", "")
        if scale is None:
            return None
        value = exactly(number.text, scale) * (-1 if below else 1)
        last = unit.span if unit else number.span
        if (value < 0 and not negative) or (value == 0 and not (zero or negative)) or abs(value) == float("inf"):
            wanted = "" if negative else "at least 0 and " if zero else "more than 0 and "
            self.report.error("HW0108", start.to(last), f"`{self.subject}` must be {wanted}finite")
            self.failed = True
            return None
        text = f"{'-' if below else ''}{number.text}{f' {unit.text}' if unit else ''}"
        return Quantity(value, text, unit.text if unit else "", noted[0], noted[1], start.to(last))

    def _unit(self, number: Arg, dimension: str) -> tuple[float | None, Arg | None]:
        """Scale to SI and the unit; scale None if something was wrong and reported."""
        units = units_of(dimension)
        arg = self.peek()
        if not units:
            return 1.0, None
        if arg is None or not (arg.kind == "word" or arg.text == "%"):
            self.failed = True
            help = (self._habit() if arg and arg.kind == "sign" else "") or f"write for example {example_of(dimension)}"
            self.report.error("HW0106", number.span, f"`{number.text}` has no unit; `{self.subject}` is a {dimension}", help)
            return None, None
        self._next += 1
        if arg.text in units:
            return units[arg.text], arg
        self.failed = True
        known = ALL_UNITS.get(arg.text)
        if known:
            message = f"`{arg.text}` is a unit of {known[0]}; `{self.subject}` is a {dimension}"
            self.report.error("HW0106", arg.span, message, suggested_unit(arg.text, dimension))
        else:
            help = suggested_unit(arg.text, dimension, number.text)
            self.report.error("HW0105", arg.span, f"unknown unit `{arg.text}`", help)
        return None, arg

    def take_provenance(self) -> tuple[Provenance, str]:
        """What comes next if it is a provenance, with its note; ("stated", "") without one."""
        arg = self.peek()
        if arg is None or arg.kind != "provenance":
            return "stated", ""
        self._next += 1
        for word in PROVENANCE:
            if arg.text == word:
                if word != "guess" and not arg.note:
                    self.report.error("HW0111", arg.span, f'`@{word}` needs a source: @{word}("where the number is from")')
                return word, arg.note
        known = tuple(f"@{word}" for word in PROVENANCE)
        help = suggestion(f"@{arg.text}", known) or f"known here: {', '.join(known)}"
        self.report.error("HW0101", arg.span, f"unknown provenance `@{arg.text}`", help)
        return "stated", arg.note

    def skip_provenance(self) -> None:
        """A remark on a statement that has no number of its own."""
        while (arg := self.peek()) is not None and arg.kind == "provenance":
            self.take_provenance()


def _numbered(word: str, known: tuple[str, ...]) -> str:
    """Help for an option run together with its number, `v73` or `soc57`."""
    digits = word.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
    name = "arch" if word[:1] in "vV" and len(word) == len(digits) + 1 else word[: len(word) - len(digits)]
    return f"write `{name} {digits}`" if digits.isdigit() and name in known else ""

"""Conditions and formulas: syntax to `targets.expression`, with every name checked against its scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...targets import formula as ex
from ...targets.dtypes import DTYPES
from ...targets.predicates import PREDICATES
from ..text.diagnostics import Diagnostic, Span
from ..text.syntax import Formula
from ..words.names import suggested_dtype, suggestion, suggestion_or_list
from ..words.reader import Report, exactly
from ..words.units import ALL_UNITS, BYTES, suggested_unit
from .contradiction import contradiction
from .value_kinds import mismatch, never_equal

_BOOLEAN_CALLS = frozenset({"const", "present", "static", "same_shape", "native", "nonnegative", "per_tensor", "per_channel", "symmetric"})
_BOOLEAN_NAMES = frozenset({"last_dim_is_row", "quantised"})
LINK_VARIABLES = frozenset({"dtype", "rank", "elements", "bytes", "last_dim", "last_dim_is_row"})
_AN = {"number": "a number", "operand-or-attribute": "an operand or an attribute"}
OPERATOR_VARIABLES = frozenset({"opset", "quantised"})


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that a condition may use."""

    subject: str
    """For messages: "`Conv`" or "a link"."""
    variables: frozenset[str]
    operands: frozenset[str] | None = None
    """Names of the operator's inputs and outputs; None: not checked (an operator outside the dictionary)."""
    attributes: frozenset[str] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    """Of the attributes: "int", "floats" …; one whose type differs between the opsets is left out."""
    predicates: bool = True
    """Whether predicates over operands may be called (not on a link)."""
    known_operators: frozenset[str] = field(default_factory=frozenset)


def lower_condition(formula: Formula, scope: Scope, report: Report) -> ex.Expression | None:
    """The condition; None if something in it was wrong, and reported."""
    before = len(report.found)
    lowered = _Lowering(scope, report).condition(formula)
    _once(formula, before, report)
    if lowered is not None and (clash := contradiction(lowered)):
        report.error("HW0505", formula.span, f"this condition can never hold: {clash}")
    return lowered


def _once(formula: Formula, before: int, report: Report) -> None:
    """Reports a name that an operator lacks once per condition, however often it occurs and however many operators share it."""
    if len(report.found) == before:
        return
    start = before
    while start and _lacks(report.found[start - 1], formula):  # reported for the operators before it in the list
        start -= 1
    seen: set[str] = set()
    kept: list[Diagnostic] = []
    for found in report.found[start:]:
        if _lacks(found, formula) and found.span.text in seen:
            continue
        seen.add(found.span.text)
        kept.append(found)
    report.found[start:] = kept


def _lacks(found: Diagnostic, formula: Formula) -> bool:
    here = found.span.source is formula.span.source and formula.span.start <= found.span.start < formula.span.end
    return here and found.code in ("HW0402", "HW0403")


@dataclass(frozen=True, slots=True)
class _Lowering:
    scope: Scope
    report: Report

    def condition(self, formula: Formula) -> ex.Expression | None:
        """A formula that must be true or false."""
        match formula.kind:
            case "binary" if formula.text in ("and", "or"):
                left, right = self.condition(formula.parts[0]), self.condition(formula.parts[1])
                return ex.Binary(formula.text, left, right) if left is not None and right is not None else None
            case "negated":
                inner = self.condition(formula.parts[0])
                return ex.Unary("not", inner) if inner is not None else None
            case "binary" if formula.text in ex.COMPARISONS:
                return self._comparison(formula)
            case "among":
                options = tuple(self.value(part, formula.parts[0]) for part in formula.parts[1:])
                asked = self.value(formula.parts[0])
                found = tuple(option for option in options if option is not None)
                if asked is None or len(found) < len(options):
                    return None
                fits = [self._fits("==", asked, option, part) for option, part in zip(found, formula.parts[1:], strict=True)]
                return ex.Among(asked, found) if all(fits) else None
            case "between":
                value, low, high = (self.value(part) for part in formula.parts)
                if value is None or low is None or high is None or not self._fits("<=", value, high, formula):
                    return None
                return ex.Between(value, low, high)
        lowered = self.value(formula)
        if lowered is None or _is_boolean(lowered):
            return lowered
        help = f"compare it, as in `{formula.span.text} <= 4`"
        self.report.error("HW0402", formula.span, f"`{formula.span.text}` is not a condition", help)
        return None

    def _comparison(self, formula: Formula) -> ex.Expression | None:
        left = self.value(formula.parts[0], formula.parts[1])
        right = self.value(formula.parts[1], formula.parts[0])
        if left is None or right is None or not self._fits(formula.text, left, right, formula):
            return None
        return ex.Binary(formula.text, left, right)

    def _fits(self, operator: str, asked: ex.Expression, given: ex.Expression, formula: Formula) -> bool:
        """HW0402 for a comparison of two kinds of value, HW0505 for one with a value that cannot occur."""
        wrong, code = mismatch(asked, given, self.scope.types), "HW0402"
        if wrong is None:
            wrong, code = never_equal(operator, asked, given), "HW0505"
        if wrong is not None:
            self.report.error(code, formula.span, *wrong)
        return wrong is None

    def value(self, formula: Formula, opposite: Formula | None = None) -> ex.Expression | None:
        """A formula with a value; `opposite` is the other side of its comparison, which decides what a bare word may be."""
        match formula.kind:
            case "number":
                return self._number(formula)
            case "string":
                return ex.Text(formula.text)
            case "name":
                return self._name(formula, opposite)
            case "attribute":
                return self._attribute(formula)
            case "call":
                return self._call(formula)
            case "list":
                items = tuple(self.value(part, opposite) for part in formula.parts)
                found = tuple(item for item in items if item is not None)
                return ex.Listing(found) if len(found) == len(items) else None
            case "signed":
                inner = self.value(formula.parts[0])
                return ex.Unary("-", inner) if inner is not None else None
            case "binary" if formula.text in "+-*/^":
                left, right = (self.value(part) for part in formula.parts)
                return ex.Binary(formula.text, left, right) if left is not None and right is not None else None
            case _:
                return self.condition(formula)

    def _number(self, formula: Formula) -> ex.Expression | None:
        if not formula.parts:
            return ex.Number(float(formula.text), formula.text)
        unit = formula.parts[0]
        if unit.text in BYTES:
            return ex.Number(exactly(formula.text, BYTES[unit.text]), f"{formula.text} {unit.text}")
        if unit.text in ALL_UNITS:
            self.report.error("HW0106", unit.span, f"`{unit.text}` is a unit of {ALL_UNITS[unit.text][0]}; conditions compare sizes")
        else:
            self.report.error("HW0105", unit.span, f"unknown unit `{unit.text}`", suggested_unit(unit.text, "size"))
        return None

    def _name(self, formula: Formula, opposite: Formula | None) -> ex.Expression | None:
        name = formula.text
        if name in self.scope.variables:
            return ex.Name(name)
        if opposite is not None and opposite.kind == "attribute":
            return ex.Text(name)
        about_dtype = opposite is not None and opposite.text == "dtype"
        if name in DTYPES:
            return ex.Text(name)
        if about_dtype:
            self.report.error("HW0306", formula.span, f"unknown dtype `{name}`", suggested_dtype(name))
        elif name in PREDICATES:
            self.report.error("HW0402", formula.span, f"`{name}` is a predicate and needs arguments", f"write `{name}({_sample(name)})`")
        elif self.scope.operands is not None and name in self.scope.operands:
            help = f"use a predicate: `const({name})`, `rank({name})`, `dtype({name})` …"
            self.report.error("HW0402", formula.span, f"the operand `{name}` is not a value", help)
        elif self.scope.attributes is not None and name in self.scope.attributes:
            message = f"`{name}` is an attribute of {self.scope.subject}"
            self.report.error("HW0402", formula.span, message, f"write `attr.{name}`")
        else:
            known = (*self.scope.variables, *DTYPES, *(PREDICATES if self.scope.predicates else ()))
            help = suggestion(name, known) or f"known here: {', '.join(sorted(self.scope.variables))}"
            self.report.error("HW0402", formula.span, f"`{name}` is not known in a condition of {self.scope.subject}", help)
        return None

    def _attribute(self, formula: Formula) -> ex.Expression | None:
        known = self.scope.attributes
        if not self.scope.predicates:
            self.report.error("HW0402", formula.span, f"{self.scope.subject} has no attributes")
            return None
        if known is not None and formula.text not in known:
            message = f"{self.scope.subject} has no attribute `{formula.text}`"
            self.report.error("HW0403", formula.span, message, suggestion_or_list(formula.text, known))
            return None
        return ex.Attribute(formula.text)

    def _call(self, formula: Formula) -> ex.Expression | None:
        predicate = PREDICATES.get(formula.text)
        span = Span(formula.span.source, formula.span.start, formula.span.start + len(formula.text))
        if predicate is None or not self.scope.predicates:
            known = PREDICATES if self.scope.predicates else self.scope.variables
            self.report.error("HW0402", span, f"unknown predicate `{formula.text}`", suggestion_or_list(formula.text, known))
            return None
        wanted, given = predicate.takes, formula.parts
        if len(given) < len(wanted) or (len(given) > len(wanted) and not predicate.repeats):
            number = f"{len(wanted)}{' or more' if predicate.repeats else ''} argument{'s' if len(wanted) != 1 else ''}"
            message = f"`{formula.text}` takes {number}, {len(given)} given"
            self.report.error("HW0402", formula.span, message, f"write `{formula.text}({_sample(formula.text)})`")
            return None
        kinds = (*wanted, *(wanted[-1],) * (len(given) - len(wanted)))
        arguments = [self._argument(part, kind, formula) for part, kind in zip(given, kinds, strict=True)]
        found = tuple(argument for argument in arguments if argument is not None)
        return ex.Call(formula.text, found) if len(found) == len(arguments) else None

    def _argument(self, part: Formula, kind: str, call: Formula) -> ex.Expression | None:
        if part.kind == "attribute" and kind in ("attribute", "operand-or-attribute"):
            return self._attribute(part)
        if part.kind == "name" and kind in ("operand", "operand-or-attribute"):
            return self._operand(part)
        if part.kind == "name" and kind == "operator":
            if part.text not in self.scope.known_operators and "::" not in part.text:
                help = suggestion(part.text, self.scope.known_operators)
                self.report.error("HW0401", part.span, f"`{part.text}` is not an ONNX operator", help)
                return None
            return ex.Name(part.text)
        if part.kind == "name" and kind == "axis" and part.text in "NCDHW":
            return ex.Text(part.text)
        if kind in ("axis", "number") and part.kind in ("number", "signed"):
            return self.value(part)
        message = f"`{call.text}` takes {_AN.get(kind, f'an {kind}')} here"
        self.report.error("HW0402", part.span, message, f"write `{call.text}({_sample(call.text)})`")
        return None

    def _operand(self, part: Formula) -> ex.Expression | None:
        known = self.scope.operands
        if known is not None and part.text not in known:
            message = f"{self.scope.subject} has no operand `{part.text}`"
            self.report.error("HW0403", part.span, message, _close_operand(part.text, known))
            return None
        return ex.Name(part.text)


def _close_operand(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    same = [other for other in names if other.lower() == name.lower()]
    return f"did you mean `{same[0]}`?" if same else f"its operands: {', '.join(names)}"


def _sample(predicate: str) -> str:
    words = {"operand": "X", "operand-or-attribute": "B", "attribute": "attr.dilations", "axis": "1", "number": "0", "operator": "Gelu"}
    return ", ".join(words[kind] for kind in PREDICATES[predicate].takes)


def _is_boolean(lowered: ex.Expression) -> bool:
    match lowered:
        case ex.Call(function=function):
            return function in _BOOLEAN_CALLS
        case ex.Name(name=name):
            return name in _BOOLEAN_NAMES
        case ex.Unary(operator=operator):
            return operator == "not"
        case ex.Binary(operator=operator):
            return operator in ("and", "or", *ex.COMPARISONS)
        case ex.Among() | ex.Between():
            return True
        case _:
            return False

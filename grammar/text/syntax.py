"""Text to an immutable syntax tree with spans. Knows brackets, words and formulas; not what a word means.

Syntax errors come back as diagnostics beside a tree of what could be read (recovery.py); `broken` then keeps later checks from
complaining about what a broken part may have held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .diagnostics import Diagnostic, Source, Span
from .parser import parser

if TYPE_CHECKING:
    from lark import Token, Tree

MAX_BYTES = 1 << 20
MAX_BRACKETS = 64
MAX_OPERATORS = 128


@dataclass(frozen=True, slots=True)
class Arg:
    """One word, number, string, sign, provenance or reference of a statement."""

    kind: str
    """word, number, string, sign, provenance, reference"""
    text: str
    """As written; of a string its content, of a provenance its word ("guess"), of a reference its dotted path."""
    span: Span
    note: str = ""
    """Of a provenance: its quoted source."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A node of a condition or of mathematics; `kind` is the rule of hw.lark."""

    kind: str
    text: str
    """A number's digits, a name, a sign or a function."""
    parts: tuple[Formula, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Statement:
    head: Arg
    args: tuple[Arg, ...]
    where: Formula | None
    otherwise: tuple[Arg, ...] | None
    """What follows `else`; None without one."""
    body: tuple[Item, ...] | None
    """Statements of its block; None if it ends with `;`."""
    span: Span

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(arg.text for arg in self.args if arg.kind == "word")


@dataclass(frozen=True, slots=True)
class Rule:
    """rule name(parameters) { match …; let …; emit …; error …; }"""

    name: Arg
    parameters: tuple[Arg, ...]
    match: tuple[Formula, ...]
    where: Formula | None
    """The condition after `match`."""
    let: tuple[tuple[Arg, Formula], ...]
    emit: tuple[Formula, ...]
    statements: tuple[Statement, ...]
    span: Span


Item = Statement | Rule


@dataclass(frozen=True, slots=True)
class File:
    source: Source
    items: tuple[Item, ...]
    errors: tuple[Diagnostic, ...]

    @property
    def broken(self) -> bool:
        return bool(self.errors)


def read(source: Source) -> File:
    """The syntax tree of a source, with every syntax error found in one run."""
    refused = refusal(source)
    if refused:
        return File(source, (), (refused,))
    tree, errors = parse(source)
    return File(source, _items(tree.children, source) if tree is not None else (), errors)


def parse(source: Source) -> tuple[Tree[Token] | None, tuple[Diagnostic, ...]]:
    """The tree of what could be parsed (None if too little could) and the syntax errors. Call `refusal` first: it bounds time and depth."""
    from lark import UnexpectedInput

    try:
        return parser().parse(source.text), ()
    except UnexpectedInput as error:
        from .recovery import recover  # only a file with a mistake needs it

        return recover(source, error)


_SCAN = re.compile(
    r"""(?P<skip>"[^"\n]*"|//[^\n]*|/\*.*?\*/|<->|->)|(?P<open>[{(\[])|(?P<close>[})\]])|(?P<end>;)"""
    r"""|(?P<operator>\b(?:and|or|not|in)\b|[-+*/^]|[<>=!]=?)""",
    re.DOTALL,
)


def refusal(source: Source) -> Diagnostic | None:
    """The message about a text over the limits that keep time, memory and recursion bounded; None if it is within them."""
    size = len(source.text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        return Diagnostic("HW0005", "error", Span(source, 0, 1), f"the file has {size:,} bytes; the limit is {MAX_BYTES:,}")
    depth = operators = 0
    for found in _SCAN.finditer(source.text):
        kind = found.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "end":
            operators = 0
        elif kind == "operator":
            operators += 1
        if depth > MAX_BRACKETS:
            return Diagnostic("HW0004", "error", Span(source, *found.span()), f"brackets nested more than {MAX_BRACKETS} deep")
        if operators > MAX_OPERATORS:
            help = "split the condition into several statements: an operator is supported if one of its lines applies"
            return Diagnostic("HW0004", "error", Span(source, *found.span()), f"more than {MAX_OPERATORS} operators in one statement", help)
    return None


# --- lark's tree to ours; recursion is bounded by the limits above


def _items(children: list[Any], source: Source) -> tuple[Item, ...]:
    return tuple(_rule(child, source) if child.data == "rule" else _statement(child, source) for child in children)


def _span(node: Tree[Token] | Token, source: Source) -> Span:
    if isinstance(node, str):
        return Span(source, node.start_pos, node.end_pos)  # type: ignore[arg-type]
    first: Any = node
    last: Any = node
    inner = type(node)
    while first.__class__ is inner:
        first = first.children[0]
    while last.__class__ is inner:
        last = last.children[-1]
    return Span(source, first.start_pos, last.end_pos)


def _arg(node: Tree[Token] | Token, source: Source) -> Arg:
    span = _span(node, source)
    if not isinstance(node, str):  # provenance
        note = str(node.children[2])[1:-1] if len(node.children) > 1 else ""
        return Arg("provenance", str(node.children[0])[1:], span, note)
    text = str(node)
    match node.type:
        case "WORD" | "QUALIFIED" | "NAME":
            return Arg("word", text, span)
        case "NUMBER":
            return Arg("number", text, span)
        case "STRING":
            return Arg("string", text[1:-1], span)
        case "REFERENCE":
            return Arg("reference", text[1:], span)
        case _:
            return Arg("sign", text, span)


def _statement(tree: Tree[Token], source: Source) -> Statement:
    head: Token = tree.children[0]  # type: ignore[assignment]
    rest: list[Any] = tree.children[1:]
    args: list[Arg] = []
    where: Formula | None = None
    otherwise: tuple[Arg, ...] | None = None
    body: tuple[Item, ...] | None = None
    for child in rest:
        kind = getattr(child, "type", "") or child.data
        if kind == "condition":
            where = _formula(child.children[1], source)
            if len(child.children) > 2:
                otherwise = tuple(_arg(arg, source) for arg in child.children[2].children[1:])
        elif kind == "block":
            body = _items(child.children[1:-1], source)
        elif kind != "SEMI":
            args.append(_arg(child, source))
    return Statement(_arg(head, source), tuple(args), where, otherwise, body, _span(tree, source))


def _rule(tree: Tree[Token], source: Source) -> Rule:
    names = [_arg(child, source) for child in tree.children if isinstance(child, str) and child.type == "NAME"]
    parts: list[Any] = [child for child in tree.children if not isinstance(child, str)]

    def formulas(kind: str) -> tuple[Formula, ...]:
        found = [child for part in parts if part.data == kind for child in part.children if not isinstance(child, str)]
        return tuple(_formula(child, source) for child in found if child.data != "condition")

    conditions = [child for part in parts if part.data == "match" for child in part.children if getattr(child, "data", "") == "condition"]

    bindings = [child for part in parts if part.data == "let" for child in part.children if not isinstance(child, str)]
    return Rule(
        name=names[0],
        parameters=tuple(names[1:]),
        match=formulas("match"),
        where=_formula(conditions[0].children[1], source) if conditions else None,
        let=tuple((_arg(child.children[0], source), _formula(child.children[2], source)) for child in bindings),
        emit=formulas("emit"),
        statements=tuple(_statement(part, source) for part in parts if part.data == "statement"),
        span=_span(tree, source),
    )


_INFIX = frozenset({"either", "both", "compared", "sum", "product", "power"})


def _formula(tree: Tree[Token], source: Source) -> Formula:
    kind, children, span, inner = str(tree.data), tree.children, _span(tree, source), tree.__class__
    parts = tuple([_formula(child, source) for child in children if child.__class__ is inner])
    first = "" if children[0].__class__ is inner else str(children[0])  # a tree would be written out
    match kind:
        case "group":
            return parts[0]
        case "number":
            unit = tuple(Formula("unit", str(token), (), _span(token, source)) for token in children[1:])
            return Formula(kind, first, unit, span)
        case "string":
            return Formula(kind, first[1:-1], (), span)
        case "attribute":
            return Formula(kind, first.removeprefix("attr."), (), span)
        case "name" | "call" | "keyword":
            return Formula(kind, first, parts, span)
        case _ if kind in _INFIX:
            return Formula("binary", str(children[1]), parts, span)
        case _:
            return Formula(kind, "", parts, span)

"""memory, link: the smaller blocks of a target."""

from __future__ import annotations

from ...targets.formula import Expression
from ...targets.model import Link, Memory
from ...targets.origin import Origin
from ..text.syntax import Statement
from ..words.properties import PROPERTIES, row
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .expression import LINK_VARIABLES, Scope, lower_condition
from .numbers import completed, read_numbers, report_missing

LINK_SCOPE = Scope("a link", LINK_VARIABLES, predicates=False)


def statements(statement: Statement, context: Context) -> list[Statement]:
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, f"`{statement.head.text}` needs a block")
        return []
    return [item for item in statement.body if isinstance(item, Statement)]


def _named(statement: Statement, context: Context) -> str | None:
    reader = Reader(statement, context.report)
    name = reader.take("word", "a name")
    reader.end()
    return name.text if name else None


def lower_memory(statement: Statement, context: Context) -> Memory | None:
    """`memory dram { size …; budget …; bandwidth …; page …; holds …; shared …; }`"""
    name = _named(statement, context)
    if name is None:
        return None
    numbers: dict[str, float] = {}
    shared: tuple[str, ...] | None = None
    holds = PROPERTIES["memory"]["holds"].words
    for item in statements(statement, context):
        reader = Reader(item, context.report)
        found = row("memory", item.head.text)
        match item.head.text:
            case "shared":
                shared = _names(reader)
            case "holds":
                holds = _roles(reader)
            case _ if found and found.numbers:
                numbers |= read_numbers(reader, found, f"memory.{name}", context)
            case _:
                unknown(item, "memory", f"memory `{name}`", context.report)
                continue
        reader.end()
    report_missing("memory", f"memory `{name}`", statement.body, statement.args[0].span, context)
    fields = completed("memory", numbers)
    if fields is None or shared is None:
        return None
    return Memory(name=name, shared=shared, holds=holds, origin=statement.args[0].span.origin, **fields)


def _roles(reader: Reader) -> tuple[str, ...]:
    """`holds weights` or `holds weights, activations`; all if one was wrong, and reported."""
    known = PROPERTIES["memory"]["holds"]
    found: list[str] = []
    while role := reader.take_choice(known.words, known.choice):
        found.append(role.text)
        if not reader.take_sign(","):
            break
    return known.words if reader.failed else tuple(role for role in known.words if role in found)


def _names(reader: Reader) -> tuple[str, ...]:
    found: list[str] = []
    while name := reader.take("word", "the name of a device"):
        found.append(name.text)
        if not reader.take_sign(","):
            break
    return tuple(found)


def lower_link(statement: Statement, context: Context) -> Link | None:
    """`link npu <-> cpu { via iosurface; zero_copy where … else copy 20 GB/s; row 64 B; handoff 30 us; }`"""
    reader = Reader(statement, context.report)
    source = reader.take("word", "two devices: `link npu <-> cpu`")
    arrow = reader.take_sign("<->", "->") if source else None
    if source and arrow is None:
        reader.fail("`<->` or `->` between the devices")
    destination = reader.take("word", "the second device") if arrow else None
    reader.end()
    if source is None or arrow is None or destination is None:
        return None
    path = f"link.{source.text}-{destination.text}"
    parts = _LinkParts()
    for item in (items := statements(statement, context)):
        _link_property(item, path, parts, context)
    span = source.span.to(destination.span)
    report_missing("link", f"link `{span.text}`", statement.body, span, context)
    if not {item.head.text for item in items} & {"zero_copy", "copy"}:
        help = "say how a tensor crosses: `zero_copy;`, `copy 20 GB/s;`, or `zero_copy where … else copy 20 GB/s;`"
        context.report.missing(span, f"link `{span.text}` has neither `zero_copy` nor `copy`", help, "zero_copy")
    fields = completed("link", parts.numbers)
    if fields is None or not (parts.zero_copy or "copy_bandwidth" in parts.numbers):
        return None
    return Link(
        source=source.text,
        destination=destination.text,
        both=arrow == "<->",
        via=parts.via,
        zero_copy=parts.zero_copy,
        zero_copy_where=parts.where,
        origin=source.span.origin,
        zero_copy_origin=parts.zero_copy_origin,
        **fields,
    )


class _LinkParts:
    """What has been read of a link so far."""

    def __init__(self) -> None:
        self.via = ""
        self.zero_copy = False
        self.where: Expression | None = None
        self.zero_copy_origin: Origin | None = None
        self.numbers: dict[str, float] = {}


def _link_property(item: Statement, path: str, parts: _LinkParts, context: Context) -> None:
    reader = Reader(item, context.report)
    found = row("link", item.head.text)
    match item.head.text:
        case "via":
            parts.via = " ".join(arg.text for arg in item.args if arg.kind in ("word", "string"))
            if not parts.via:
                reader.fail("a mechanism, as in `via iosurface`")
            return
        case "zero_copy":
            reader.end()
            _zero_copy(item, path, parts, context)
            return
        case _ if found and found.numbers:
            parts.numbers |= read_numbers(reader, found, path, context)
        case _:
            unknown(item, "link", f"the link {path.removeprefix('link.')}", context.report)
            return
    reader.end()
    if item.where is not None:
        context.report.error("HW0001", item.where.span, f"`{item.head.text}` takes no condition", "only `zero_copy` takes one")


def _zero_copy(item: Statement, path: str, parts: _LinkParts, context: Context) -> None:
    """`zero_copy;` or `zero_copy where … [else copy 20 GB/s];`"""
    parts.zero_copy = True
    parts.zero_copy_origin = item.head.span.origin
    if item.where is None:
        return
    parts.where = lower_condition(item.where, LINK_SCOPE, context.report)
    if item.otherwise is None:
        return
    reader = Reader(item, context.report, item.otherwise)
    if reader.take_word_if("copy"):
        parts.numbers |= read_numbers(reader, PROPERTIES["link"]["copy"], path, context)
        reader.end()
    else:
        reader.fail("`else copy` and a bandwidth")

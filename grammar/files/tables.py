"""`table qnn_htp { … }` and `inherit qnn_htp;`: what a runtime takes, written once and shared by the devices of several targets.

A table stands outside targets and holds what does not depend on the chip: `supports`, `deny`, `kernel`, `rewrite`, `max`, `align row`,
`static_shapes`. A device that inherits it gets all of that as a layer below its own statements, so it may add, deny and override; a
`supports` block that inherits it gets the operators alone, those of the table's float blocks into a float block, int8 into int8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ...targets.dtypes import FLOATS
from ..text.diagnostics import Source, Span
from ..text.syntax import Arg, Item, Rule, Statement
from ..words.names import suggestion_or_list
from ..words.properties import PROPERTIES
from ..words.reader import Reader, Report
from ..words.schema import unknown
from .amend import merge
from .include_help import where_it_is


@dataclass(slots=True)
class Tables:
    """The tables of the files read, and which of them something inherits."""

    report: Report
    declared: dict[str, Statement] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def declare(self, name: str, table: Statement) -> None:
        """Keeps what a table may hold; HW0101 for what it may not."""
        kept: list[Item] = []
        for item in table.body or ():
            if isinstance(item, Rule):
                self.report.error("HW0101", item.span, "a `rule` must be outside the table")
            elif item.head.text not in PROPERTIES["table"]:
                unknown(item, "table", f"table `{name}`", self.report)
            else:
                kept.append(item)
        self.declared[name] = replace(table, body=tuple(kept))

    def names(self, source: Source) -> tuple[Span, ...]:
        """The names of the tables that stand in one source."""
        return tuple(table.args[0].span for table in self.declared.values() if table.span.source is source)

    def unused(self) -> list[tuple[str, Statement]]:
        """Tables that no device inherits, with what they inherit themselves."""
        left = [name for name in self.declared if name not in self.used]
        return [(name, replace(self.declared[name], body=self._body(name, ()))) for name in left]

    def expand(self, items: tuple[Item, ...], block: str) -> tuple[Item, ...]:
        """A layer of a target or a device with what it inherits from tables in place of the `inherit` lines."""
        if block == "device":
            return self._layered(items, ())
        if block != "target":
            return items
        return tuple(
            replace(item, body=self._layered(item.body, ()))
            if isinstance(item, Statement) and item.head.text == "device" and item.body is not None
            else item
            for item in items
        )

    def _body(self, name: str, stack: tuple[str, ...]) -> tuple[Item, ...]:
        return self._layered(self.declared[name].body or (), (*stack, name))

    def _layered(self, items: tuple[Item, ...], stack: tuple[str, ...]) -> tuple[Item, ...]:
        """Own statements over those of the inherited tables; `stack` names the tables that led here."""
        below: tuple[Item, ...] = ()
        own: list[Item] = []
        for item in items:
            if isinstance(item, Statement) and item.head.text == "inherit":
                name = self._inherited(item, stack)
                below = merge(below, self._body(name.text, stack), "device") if name else below
            elif isinstance(item, Statement) and item.head.text == "supports" and item.body is not None:
                own.append(replace(item, body=tuple(self._operators(item, stack))))
            else:
                own.append(item)
        return merge(below, tuple(own), "device") if below else tuple(own)

    def _inherited(self, statement: Statement, stack: tuple[str, ...]) -> Arg | None:
        """The table that an `inherit` line names; HW0206 if there is none, HW0205 if it leads back to itself."""
        reader = Reader(statement, self.report)
        name = reader.take("word", "the name of a table")
        reader.end()
        if name is None or reader.failed:
            return None
        if name.text in stack:
            chain = " -> ".join((*stack[stack.index(name.text) :], name.text))
            self.report.error("HW0205", name.span, f"the table `{name.text}` inherits from itself: {chain}")
            return None
        if name.text not in self.declared:
            if not self.report.broken:
                help = where_it_is(name.text, "std/", tuple(self.declared)) or suggestion_or_list(name.text, self.declared)
                help = help or 'include the file it is in: `include "std/qnn_htp.hw";`'
                self.report.error("HW0206", name.span, f"no table `{name.text}` to inherit", help)
                self.report.assumed.add("supports")  # the table may have them
            return None
        self.used.add(name.text)
        return name

    def _operators(self, supports: Statement, stack: tuple[str, ...]) -> Iterable[Item]:
        """The lines of a `supports` block, those of inherited tables included; `inherit` of a device is left for the lowering."""
        for line in supports.body or ():
            if not isinstance(line, Statement) or line.head.text != "inherit":
                yield line
            elif stack or (line.words[:1] and line.words[0] in self.declared):
                name = self._inherited(line, stack)
                for block in self._body(name.text, stack) if name else ():
                    if isinstance(block, Statement) and block.head.text == "supports" and of_one_kind(block, supports):
                        yield from block.body or ()
            else:
                yield line


def of_one_kind(one: Statement, other: Statement) -> bool:
    """Whether two `supports` blocks share a dtype or are both of floats."""
    a, b = set(one.words), set(other.words)
    return not a.isdisjoint(b) or (not a.isdisjoint(FLOATS) and not b.isdisjoint(FLOATS))

"""The text that a new target begins as, from the rows of the property table. It holds no number: what is open is a `?`, an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ...grammar.text.format import COMMENT_COLUMN, format_text
from ...grammar.words.properties import PROPERTIES
from ...grammar.words.property import Property

HEAD = """hw 1;

// Replace every `?`. `autoglmc check` reports what is still open and what does not fit; `autoglmc fmt` lines it up.
// Each number may state its source, right behind it: @src("page, table"), @vendor("…"), @proxy("measured on a relative of it"),
// @guess. There are no defaults: a number that nobody knows is a guess, and is marked as one.
// Operators need not be listed by hand: include the file of a table that ships and write `inherit ort_cpu` in the device.
"""
MICROCONTROLLER = """// A microcontroller has these two instead:
// memory sram { size ? KiB; bandwidth ? GB/s; holds activations; shared npu, cpu; }
// memory flash { size ? MiB; bandwidth ? GB/s; holds weights; shared npu, cpu; }"""
USUAL = frozenset({"name", "runtime", "via", "copy"})
"""Not required, and stated by nearly every target."""


def skeleton(name: str) -> str:
    """A commented target of that name with one accelerator and its host. Raises ValueError if the name is not valid."""
    if not name.isascii() or not name.isidentifier():
        raise ValueError(f"'{name}' is not a valid target name: use letters, digits and _, starting with a letter")
    rows = PROPERTIES["target"]
    blocks = [
        f"{_block('memory dram', PROPERTIES['memory'])}\n{MICROCONTROLLER}",
        _block("device npu : ?", PROPERTIES["device"]),
        "device cpu : ? {\nruntime ort;\n" + "\n".join(_host(PROPERTIES["device"])) + "\nsupports all;\n}",
        _block("link npu <-> cpu", PROPERTIES["link"]),
    ]
    first = _lines({name: row for name, row in rows.items() if not row.opens}, 2)
    last = _lines({name: row for name, row in rows.items() if row.opens}, 2)
    parts = ["\n".join(first), *blocks, "\n".join(last)]
    return format_text(f"{HEAD}\ntarget {name} {{\n" + "\n\n".join(parts) + "\n}\n")


def _block(head: str, rows: Mapping[str, Property]) -> str:
    return "\n".join((f"{head} {{", *_lines(rows, 4), "}"))


def _lines(rows: Mapping[str, Property], indent: int) -> Iterator[str]:
    """A line for each row, those that may be left out as comments; behind it what the property means."""
    for name, row in rows.items():
        blank = open_statement(row)
        if blank:
            first, *rest = blank.split("\n")
            if not row.required and name not in USUAL:
                first = f"// {first}".ljust(COMMENT_COLUMN - indent - 1)
            yield "\n".join((f"{first} // {row.meaning.rstrip('.')}", *rest))


def _host(rows: Mapping[str, Property]) -> Iterable[str]:
    """The numbers that every device states."""
    return (open_statement(row) for row in rows.values() if row.required and row.numbers)


def open_statement(row: Property) -> str:
    """The statement with `?` in place of its numbers; "" if a new target does not show it."""
    return re.sub(r"(?<!\w)\d+(\.\d+)?(?!\w)", "?", row.example) if row.blank is None else row.blank

"""The columns of results on disk: rows to a table and back. docs/what-if.md says what each means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from .row import Row

FORMAT_KEY, FORMAT = b"autoglmc.what-if", b"2"
FIXED: Mapping[str, str] = {
    "model": "string", "sha256": "string", "target": "string", "digest": "string", "version": "string", "effort": "double",
    "objective": "string", "shapes": "string", "latency": "double", "half_width": "double", "outside": "double", "energy": "double",
    "memory": "int64", "handoffs": "int64", "unproven": "string", "kept": "bool", "plan": "string", "problem": "string", "error": "string",
}  # fmt: skip
"""Name and type of the columns that every file has."""
FAMILIES: Mapping[str, tuple[str, str]] = {
    "set": ("settings", "double"),
    "memory": ("memories", "int64"),
    "segments": ("segments", "int64"),
    "operators": ("operators", "int64"),
    "margin": ("margins", "double"),
}
"""By the first word of a column's name, `set.device.npu.dispatch`: the field of a row, and its type. A row that says nothing there has
null."""


def table_of(rows: Sequence[Row], pa: Any) -> Any:
    """A pyarrow.Table with a column for whatever any of the rows says, in a fixed order."""
    fields = [(name, kind) for name, kind in FIXED.items()]
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in FIXED}
    for family, (field, kind) in FAMILIES.items():
        for key in sorted({key for row in rows for key in getattr(row, field)}):
            fields.append((f"{family}.{key}", kind))
            columns[f"{family}.{key}"] = [getattr(row, field).get(key) for row in rows]
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in fields], metadata={FORMAT_KEY: FORMAT})
    return pa.Table.from_pydict(columns, schema=schema)


def rows_of(table: Any, pa: Any, where: str) -> list[Row]:
    """Raises UsageError for a table of another schema."""
    check_schema(table.schema, pa, where)
    families = [(name, *name.split(".", 1)) for name in table.schema.names if name not in FIXED]
    return [_row(values, families) for values in table.to_pylist()]


def _row(values: Mapping[str, Any], families: Iterable[tuple[str, str, str]]) -> Row:
    facts: dict[str, Any] = {name: values[name] for name in FIXED}
    for name, family, key in families:
        if (value := values[name]) is not None:
            facts.setdefault(FAMILIES[family][0], {})[key] = value
    return Row(**facts)


def check_schema(schema: Any, pa: Any, where: str) -> None:
    """Raises UsageError for what `table_of` did not write."""
    help = "name another file with --save"
    known = (schema.metadata or {}).get(FORMAT_KEY)
    if known is not None and known != FORMAT:
        raise UsageError(f"{where} holds results of another release of autoglmc, and is left as it is", help=help)
    if known is None:
        raise UsageError(f"{where} holds no results of what-if, and is left as it is", help=help)
    expected = {name: FIXED.get(name) or FAMILIES.get(name.partition(".")[0], ("", ""))[1] for name in (*FIXED, *schema.names)}
    for name, kind in expected.items():
        found = str(schema.field(name).type) if name in schema.names else "missing"
        if not kind or found != str(pa.type_for_alias(kind)):
            said = f"{found}, not {kind}" if kind else "unknown"
            raise UsageError(f"{where} is of another schema: column '{name}' is {said}", help=help)

"""Writes docs/manifest.schema.json and docs/bench.schema.json, the JSON schemas of a bundle's manifest and of a measurement, from the
records in compiler/bundle and compiler/bench.

--check: exit with 1 where a file is not up to date.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from autoglmc.compiler.bench import record as bench_record
from autoglmc.compiler.bundle import confidence_record, manifest, plan_records

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS: dict[str, tuple[str, type[msgspec.Struct], tuple[ModuleType, ...]]] = {
    "manifest.schema.json": ("autoglmc bundle manifest", manifest.Manifest, (manifest, confidence_record, plan_records)),
    "bench.schema.json": ("autoglmc bench record", bench_record.BenchRecord, (bench_record,)),
}
"""File -> title, the outermost record, and the modules whose docstrings describe fields."""


def schema(name: str) -> dict[str, Any]:
    """The schema in a file; descriptions are the docstrings of the records and of their fields."""
    title, outermost, modules = SCHEMAS[name]
    made = msgspec.json.schema(outermost)
    for record, field, text in _described(modules):
        if record in made["$defs"]:
            made["$defs"][record]["properties"][field]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **made}


def _described(modules: tuple[ModuleType, ...]) -> Iterator[tuple[str, str, str]]:
    """Every docstring that stands below a field: (record, field, text)."""
    for record in (item for module in modules for item in ast.parse(inspect.getsource(module)).body):
        if isinstance(record, ast.ClassDef):
            for field, below in zip(record.body, record.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                    assert isinstance(below.value, ast.Constant)
                    yield record.name, field.target.id, str(below.value.value)


def page(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    if "--check" in sys.argv[1:]:
        raise SystemExit(any((DOCS / name).read_text("utf-8") != page(name) for name in SCHEMAS))
    for name in SCHEMAS:
        (DOCS / name).write_text(page(name), "utf-8")


if __name__ == "__main__":
    main()

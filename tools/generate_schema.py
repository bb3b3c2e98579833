"""Writes docs/manifest.schema.json, docs/bench.schema.json and docs/run.schema.json, the JSON schemas of a bundle's manifest, of a
measurement and of requests that were run, from the records in compiler/bundle and compiler/bench.

--check: exit with 1 where a file is not up to date.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from autoglmc.compiler.bench import record as bench_record
from autoglmc.compiler.bench import run_record
from autoglmc.compiler.bundle import manifest

DOCS = Path(__file__).parents[1] / "docs"
BUNDLE = [
    importlib.import_module(f"{manifest.__package__}.{path.stem}") for path in sorted(Path(manifest.__file__).parent.glob("*_record*.py"))
]
SCHEMAS: dict[str, tuple[str, type[msgspec.Struct], tuple[ModuleType, ...]]] = {
    "manifest.schema.json": (
        "autoglmc bundle manifest",
        manifest.Manifest,
        (manifest, *BUNDLE),
    ),
    "bench.schema.json": ("autoglmc bench record", bench_record.BenchRecord, (bench_record,)),
    "run.schema.json": ("autoglmc run record", run_record.RunRecord, (run_record,)),
}
"""File -> title, the outermost record, and the modules whose docstrings describe fields."""


def schema(name: str) -> dict[str, Any]:
    """The schema in a file; descriptions are the docstrings of the records and of their fields."""
    title, outermost, modules = SCHEMAS[name]
    made = msgspec.json.schema(outermost)
    for record, number, field, text in _described(modules):
        if record in made["$defs"]:
            found = _field(made["$defs"][record], field, number)
            found |= {"description": text} if text else {}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **made}


def _field(record: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    """Of an object by its name; of an array, which does not know names, by its number, with the name as its title."""
    if "properties" in record:
        found: dict[str, Any] = record["properties"][name]
        return found
    item: dict[str, Any] = record["prefixItems"][number]
    item["title"] = name
    return item


def _described(modules: tuple[ModuleType, ...]) -> Iterator[tuple[str, int, str, str]]:
    """Every field: (record, number of the field, its name, the docstring that stands below it or "")."""
    for record in (item for module in modules for item in ast.parse(inspect.getsource(module)).body):
        if not isinstance(record, ast.ClassDef):
            continue
        number = 0
        for field, below in zip(record.body, (*record.body[1:], None), strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
                yield record.name, number, field.target.id, str(text)
                number += 1


def page(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    if "--check" in sys.argv[1:]:
        raise SystemExit(any((DOCS / name).read_text("utf-8") != page(name) for name in SCHEMAS))
    for name in SCHEMAS:
        (DOCS / name).write_text(page(name), "utf-8")


if __name__ == "__main__":
    main()

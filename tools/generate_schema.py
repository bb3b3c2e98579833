"""Writes docs/manifest.schema.json, the JSON schema of a bundle's manifest, from the records in compiler/bundle.

--check: exit with 1 where the file is not up to date.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from autoglmc.compiler.bundle import confidence_record, manifest, plan_records

FILE = Path(__file__).parents[1] / "docs" / "manifest.schema.json"


def schema() -> dict[str, Any]:
    """The schema of a manifest; descriptions are the docstrings of the records and of their fields."""
    made = msgspec.json.schema(manifest.Manifest)
    for record, field, text in _described():
        if record in made["$defs"]:
            made["$defs"][record]["properties"][field]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "autoglmc bundle manifest", **made}


def _described() -> Iterator[tuple[str, str, str]]:
    """Every docstring that stands below a field: (record, field, text)."""
    for record in (item for module in (manifest, confidence_record, plan_records) for item in ast.parse(inspect.getsource(module)).body):
        if isinstance(record, ast.ClassDef):
            for field, below in zip(record.body, record.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                    assert isinstance(below.value, ast.Constant)
                    yield record.name, field.target.id, str(below.value.value)


def page() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    if "--check" in sys.argv[1:]:
        raise SystemExit(FILE.read_text("utf-8") != page())
    FILE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()

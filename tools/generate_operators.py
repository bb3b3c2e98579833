"""Writes targets/operators.json, the dictionary of ONNX operators, from the schemas of the installed onnx.

    python tools/generate_operators.py            rewrite the file
    python tools/generate_operators.py --check    exit 1 if the file differs

Checking a .hw file needs operand and attribute names and element types, but must not pay for importing onnx.
Layout: {"onnx", "opset", "types": [[dtype …] …], "operators": {"Conv" or "ai.onnx.ml::Scaler": [version …]}}, a version being
{"since", "deprecated"?, "in": [[name, option, type variable, index into types] …], "out": [… the same], "attr": {name: type}};
option is "", "optional" or "variadic"; an attribute's type ends in "!" where it is required and in "=" where it has a default.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from autoglmc.targets.dtypes import DTYPES

FILE = Path(__file__).resolve().parent.parent / "targets" / "operators.json"
NAMES = {dtype.onnx: name for name, dtype in DTYPES.items() if dtype.onnx} | {name: name for name in ("string", "int2", "uint2")}
"""The names of tensor types in schemas to ours; no device here takes the last three."""


def dtypes_of(types: set[str]) -> tuple[str, ...]:
    """Our names of the tensor types; a sequence, map or optional counts as "sequence"."""
    found = set()
    for text in types:
        plain = re.fullmatch(r"tensor\((\w+)\)", text)
        if plain is None:
            found.add("sequence")
        elif plain[1] in NAMES:
            found.add(NAMES[plain[1]])
        elif re.match(r"float[468]e", plain[1]):
            found.add("fp8")  # the narrow floats: no device here computes in one
        else:
            raise KeyError(f"unknown tensor type {plain[1]}")
    return tuple(sorted(found))


def dictionary() -> dict[str, Any]:
    """The whole content of operators.json."""
    import onnx
    from onnx import defs

    table: dict[tuple[str, ...], int] = {}
    operators: dict[str, list[dict[str, Any]]] = {}
    schemas = sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))

    def operands(formal: Any) -> list[list[Any]]:
        rows = []
        for one in formal:
            option = {"Single": "", "Optional": "optional", "Variadic": "variadic"}[one.option.name]
            rows.append([one.name, option, one.type_str, table.setdefault(dtypes_of(one.types), len(table))])
        return rows

    for schema in schemas:
        name = f"{schema.domain}::{schema.name}" if schema.domain else schema.name
        version: dict[str, Any] = {"since": schema.since_version}
        if schema.deprecated:
            version["deprecated"] = True
        version["in"], version["out"] = operands(schema.inputs), operands(schema.outputs)
        version["attr"] = {key: _attribute(value) for key, value in sorted(schema.attributes.items())}
        operators.setdefault(name, []).append(version)
    return {"onnx": onnx.__version__, "opset": defs.onnx_opset_version(), "types": [list(t) for t in table], "operators": operators}


def _attribute(attribute: Any) -> str:
    has_default = attribute.default_value is not None and attribute.default_value.name
    return attribute.type.name.lower() + ("!" if attribute.required else "=" if has_default else "")


def text(content: dict[str, Any]) -> str:
    """One operator version a line, so that a diff is readable."""
    lines = [f'{{"onnx": {json.dumps(content["onnx"])}, "opset": {content["opset"]}, "types": [']
    lines += [",\n".join(json.dumps(row) for row in content["types"]), '], "operators": {']
    entries = []
    for name, versions in content["operators"].items():
        rows = ",\n  ".join(json.dumps(version, separators=(",", ":")) for version in versions)
        entries.append(f"{json.dumps(name)}: [\n  {rows}]")
    return "\n".join(lines) + "\n" + ",\n".join(entries) + "\n}}\n"


def main() -> int:
    wanted = text(dictionary())
    if "--check" in sys.argv:
        return 0 if FILE.read_text("utf-8") == wanted else 1
    FILE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

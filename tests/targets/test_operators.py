"""operators.json says what onnx says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import autoglmc.targets.operators as operators
from autoglmc.targets.operators import version_at, versions_of

ROOT = Path(operators.__file__).resolve().parent.parent


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_operators", ROOT / "tools" / "generate_operators.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expanded(content: dict[str, Any], newest: int) -> dict[str, Any]:
    """Every ai.onnx operator version up to an opset, with its types spelt out."""
    rows: dict[str, Any] = {}
    for name, versions in content["operators"].items():
        for version in versions:
            if "::" not in name and version["since"] <= newest:
                spelt = [[*row[:3], content["types"][row[3]]] for row in (*version["in"], *version["out"])]
                rows[f"{name} {version['since']}"] = (spelt, version["attr"], version.get("deprecated", False))
    return rows


def test_dictionary_equals_the_schemas_of_onnx() -> None:
    stored = json.loads((ROOT / "targets" / "operators.json").read_text("utf-8"))
    fresh = generator().dictionary()
    if stored["onnx"] == fresh["onnx"]:
        assert (ROOT / "targets" / "operators.json").read_text("utf-8") == generator().text(fresh), "run tools/generate_operators.py"
    # another onnx may correct an opset still in development: compare the ones that both have released
    newest = min(stored["opset"], fresh["opset"]) - 1
    assert expanded(stored, newest) == expanded(fresh, newest)


def test_versions() -> None:
    assert [version.since for version in versions_of("Gelu")] == [20]
    assert version_at("Gelu", 19) is None
    clip = version_at("Clip", 12)
    assert clip is not None and clip.since == 12 and [slot.name for slot in clip.inputs] == ["input", "min", "max"]
    assert versions_of("Nothing") == ()


def test_data_inputs() -> None:
    wanted = {
        "Conv": ("X", "W", "B"), "Gather": ("data",), "Resize": ("X",), "Where": ("X", "Y"), "And": ("A", "B"), "Slice": ("data",),
        "QLinearConv": ("x", "x_zero_point"), "Reshape": ("data",), "Concat": ("inputs",), "Not": ("X",), "TopK": ("X",),
    }  # fmt: skip
    for name, inputs in wanted.items():
        version = version_at(name, 13)
        assert version is not None
        assert tuple(n for n in version.data_inputs if n not in ("roi",)) in (inputs, inputs[:1]), name

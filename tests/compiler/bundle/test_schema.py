"""docs/manifest.schema.json is what the reader of manifests takes: generated from the same records, and tried on every field."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from onnx import numpy_helper
from slicing import ABSENT, bundle_of, cut, facts
from small_models import parse, save

from autoglmc.compiler.bundle.manifest import BoundRecord, DecisionRecord, GuessRecord, LimitRecord, MeasuredRecord
from autoglmc.compiler.bundle.manifest_json import from_json
from autoglmc.compiler.bundle.verification_record import StageVerdict
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "manifest.schema.json").read_text("utf-8"))
CHECK = jsonschema.Draft202012Validator(SCHEMA)
MODEL = "g (float[4,32] x, string[2] t) => (float[4,32] y, string[2] u) { a = MatMul(x, w) b = Relu(a) u = Identity(t) y = Tanh(b) }"
WRONG: tuple[Any, ...] = (None, -1, 1.5, 1 << 70, True, "x", [], [-1], {}, "segments/../x")


def test_the_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate_schema", ROOT / "tools" / "generate_schema.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in tool.SCHEMAS:
        assert (ROOT / "docs" / name).read_text("utf-8") == tool.page(name), "run: python tools/generate_schema.py"


def test_every_record_says_what_it_is() -> None:
    assert not [name for name, record in SCHEMA["$defs"].items() if not record.get("description")]
    assert not [name for name, record in SCHEMA["$defs"].items() if not _closed(record)]
    assert not [name for name, record in SCHEMA["$defs"].items() if _neither_required_nor_by_default(record)]


def _closed(record: dict[str, Any]) -> bool:
    """Whether it takes no other fields; an array names those that it has."""
    if record["type"] == "object":
        return record["additionalProperties"] is False
    return record["minItems"] == record["maxItems"] == len(record["prefixItems"]) and all(item["title"] for item in record["prefixItems"])


def _neither_required_nor_by_default(record: dict[str, Any]) -> set[str]:
    if record["type"] == "array":
        return set()
    return {name for name, field in record["properties"].items() if "default" not in field} ^ set(record["required"])


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A manifest with one record of every kind, which is all that a reader of JSON asks for."""
    model = parse(MODEL)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((32, 32), np.float32), "w"))
    compiled = cut(model, ("npu", "cpu"), modes=("copy", "zero_copy"), runtimes={"npu": ABSENT})
    bundle = bundle_of(
        compiled, tmp_path_factory.mktemp("full") / "b", facts(bounds=(BoundRecord(rule="r", site="s", bound=1.0, over="all"),))
    )
    data = json.loads((bundle.folder / "manifest.json").read_text("utf-8"))
    limit = LimitRecord(
        unproven="",
        kind="error",
        subject="abs",
        comparison="<=",
        limit=1.0,
        text="1",
        basis="measured",
        value=0.5,
        margin=0.5,
        origin="box.hw:9",
    )
    error = MeasuredRecord(output="y", inputs="seed 0", max_abs=0.5, max_rel=0.1, cosine=1.0)
    guess = GuessRecord(path="p", text="1 us", origin="box.hw:3", decided="much")
    decision = DecisionRecord(rule="r", site="s", taken=False, reason="why")
    for place, record in (("limits", limit), ("guesses", guess), ("decisions", decision)):
        data[place] = [msgspec.to_builtins(record)]
    data["errors"]["measured"] = [msgspec.to_builtins(error)]
    stage = StageVerdict(stage="simplified", verified=False, reason="why")
    data["verification"]["stages"] = [msgspec.to_builtins(stage)]
    for list_of_words in ("inputs", "not_exercised", "runtime_faults", "unchecked"):
        data["verification"][list_of_words] = ["a word"]
    data["segments"][0]["runtime"]["versions"] = {"soc": "v75"}
    data["files"] = dict(list(data["files"].items())[:1])
    return first_of_each(data)


def first_of_each(data: Any) -> Any:
    """The data with no more than one item in a list, but for pairs of numbers."""
    if isinstance(data, dict):
        return {key: first_of_each(value) for key, value in data.items()}
    return [first_of_each(item) for item in (data if data and isinstance(data[0], int) else data[:1])] if isinstance(data, list) else data


def places(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in the data."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def edited(data: Any, path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy in which `change` was done to the container at the end of the path, and its key."""
    made = copy.deepcopy(data)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return made


def edits(data: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """(place, manifest with one thing changed there): every value replaced by each of WRONG, every field left out, one field too many."""
    for path in places(data):
        if not path or path in (("tool", "name"), ("tool", "format")):  # these say whose manifest it is: test_format.py
            continue
        for value in WRONG:
            yield path, edited(data, path, lambda inner, key, value=value: inner.__setitem__(key, value))  # type: ignore[misc]
        if isinstance(path[-1], str):
            yield path[:-1], edited(data, path, lambda inner, key: inner.pop(key))
            yield path[:-1], edited(data, path, lambda inner, key: inner.__setitem__("besides", 1))


def test_reader_and_schema_agree_on_every_edit_and_the_field_is_named(full: Any) -> None:
    CHECK.validate(full)
    from_json(json.dumps(full), "here")
    seen = 0
    for path, data in edits(full):
        text = json.dumps(data)
        try:
            from_json(text, "here")
        except BundleError as problem:
            assert not CHECK.is_valid(data), (path, problem.message)
            assert f"manifest{named(path)}" in problem.message or path == ("tool",), (path, problem.message)
        else:
            assert CHECK.is_valid(data), (path, text)
        seen += 1
    assert seen > 1000


def named(path: tuple[str | int, ...]) -> str:
    """`'s segments[0].file`, as messages name a place; a key that is not the name of a field of a record is left out."""
    text = ""
    for key in path:
        if key in ("soc", "besides"):
            return text
        text += f"[{key!r}]" if isinstance(key, int) or not key.isidentifier() else f".{key}" if text else f"'s {key}"
    return text


def test_a_compiled_model_satisfies_the_schema(tmp_path: Path) -> None:
    model = parse("g (float[1,8,16,16] x) => (float[1,8,16,16] y) { a = Relu(x) b = Exp(a) y = Add(b, x) }")
    for target in ("a16", "workstation", "x86_cpu"):
        result = compile_model(save(model, tmp_path), target, output=tmp_path / target, emulate=True)
        CHECK.validate(json.loads((result.folder / "manifest.json").read_text("utf-8")))

"""`package size` counts what lies on disk: the sum of os.stat over the bundle's folder, compiled segments and the manifest included."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_target
from msgspec import structs
from onnx import numpy_helper
from slicing import bundle_of, cut
from small_models import parse, save
from stub_adapter import MODEL, target_with, use_stub

from autoglmc.compiler.bundle.manifest import LimitRecord, Manifest
from autoglmc.compiler.bundle.manifest_json import from_json, read_manifest
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.emit.package import parts, weighed
from autoglmc.compiler.errors import Infeasible, ModelError
from autoglmc.targets.model import Limit, Target


def on_disk(folder: Path) -> int:
    return sum(os.stat(Path(place) / name).st_size for place, _, names in os.walk(folder) for name in names)


def machine(compiles: bool, size: int) -> Target:
    """With a limit on the package, and with a runtime that compiles its segments or without."""
    target = target_with("fine") if compiles else make_target([make_cpu()], [])
    limit = Limit(kind="package", subject="size", comparison="<=", value=float(size), text=f"{size} B", origin=HERE)
    return dataclasses.replace(target, limits=(limit,))


def weighty(rows: int) -> onnx.ModelProto:
    model = parse(MODEL)
    model.graph.node.append(onnx.helper.make_node("MatMul", ["y", "w"], ["z"]))
    model.graph.initializer.append(numpy_helper.from_array(np.random.default_rng(1).random((256, rows), np.float32), "w"))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [64, rows]))
    return model


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_size_is_what_lies_on_disk(compiled: bool, verify: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`compiled`: with a segment that its runtime compiled ahead of time."""
    use_stub(monkeypatch, tmp_path)
    target = machine(compiled, 10_000_000)
    result = compile_model(save(weighty(40), tmp_path), target, output=tmp_path / "bundle", verify=verify)
    (record,) = [limit for limit in read_manifest(result.folder).limits if limit.kind == "package"]
    assert any(segment.blob for segment in result.manifest.segments) == compiled
    assert record.value == on_disk(result.folder) and record.basis == "measured"
    assert record.margin == 10_000_000 - on_disk(result.folder)
    package = result.as_json()["package"]
    assert package["bytes"] == on_disk(result.folder) == sum(size for name, size in package.items() if name != "bytes")
    assert (package["compiled"] > 0) == compiled


@pytest.mark.parametrize("compiled", [False, True])
def test_a_package_too_large_is_refused_with_a_size_that_does(compiled: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    path = save(weighty(40), tmp_path)
    with pytest.raises(Infeasible, match="package size: measured") as failure:
        compile_model(path, machine(compiled, 9_999), output=tmp_path / "small")
    assert failure.value.resource == "package size" and not (tmp_path / "small").exists()
    advised = re.search(r"package size <= ([\d.]+) KiB", failure.value.help)
    assert advised is not None
    kept = compile_model(path, machine(compiled, int(float(advised[1]) * 1024)), output=tmp_path / "small")
    assert on_disk(kept.folder) <= float(advised[1]) * 1024


def test_a_plan_without_what_is_compiled_may_keep_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    path = save(weighty(40), tmp_path)
    whole = compile_model(path, machine(True, 10_000_000), output=tmp_path / "whole")
    allowed = on_disk(whole.folder) - 500
    smaller = compile_model(path, machine(True, allowed), output=tmp_path / "smaller")
    assert on_disk(smaller.folder) <= allowed and not any(segment.blob for segment in smaller.manifest.segments)
    assert any(note.startswith("faster plans were refused: package size: measured") for note in smaller.notes)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return bundle_of(cut(parse(MODEL), ("cpu",)), tmp_path_factory.mktemp("some") / "b").manifest


@given(others=st.integers(0, 2_000_000), room=st.integers(-20_000, 2_000_000), two=st.booleans())
def test_the_number_counts_the_text_it_stands_in(others: int, room: int, two: bool, manifest: Manifest) -> None:
    """Also where a digit more in the total is a digit less in the margin."""
    whole = others + len(weighed(manifest, others)[1])
    record = LimitRecord(
        unproven="",
        kind="package",
        subject="size",
        comparison="<=",
        limit=float(whole + room),
        text="x",
        basis="measured",
        value=None,
        margin=None,
        origin="",
    )
    asked = structs.replace(manifest, limits=(record, record) if two else (record,))
    found, text = weighed(asked, others)
    assert all(limit.value == others + len(text.encode()) for limit in found.limits)
    assert from_json(text, "here") == found
    assert sum(parts(found).values()) - sum(file.size for file in found.files.values()) == len(text.encode()) + others - sum(
        file.size for file in found.files.values()
    )


@pytest.mark.parametrize("verify", [True, False])
def test_no_bundle_is_written_that_no_reader_takes(verify: bool, tmp_path: Path) -> None:
    """A tensor of more dims than a manifest may have: refused as the model's, not as damage to a bundle that was just made."""
    shape = ",".join(["1"] * 100)
    model = parse(f"g (float[{shape}] x) => (float[{shape}] y) {{ y = Relu(x) }}")
    with pytest.raises(ModelError, match=r"does not fit into a bundle: the manifest's arena\.slots"):
        compile_model(model, "x86_cpu", output=tmp_path / "b", verify=verify)
    assert not list(tmp_path.iterdir())

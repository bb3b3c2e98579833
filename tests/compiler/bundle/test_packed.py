"""A packed bundle computes what it computed before, takes fewer bytes, and damaged data never reaches a runtime."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_models import parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.bundle.manifest_json import read_manifest
from autoglmc.compiler.bundle.packed import unpacked
from autoglmc.compiler.emit.package import parts
from autoglmc.compiler.errors import BundleError

TEXT = "g (float[8,64] x) => (float[8,64] y) { a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }"


def model() -> onnx.ModelProto:
    """Its weights are a few different numbers, which deflate."""
    rng, made = np.random.default_rng(0), parse(TEXT)
    made.graph.initializer.extend(numpy_helper.from_array(rng.integers(-5, 5, (64, 64)).astype(np.float32) / 8, name) for name in "wv")
    return made


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[autoglmc.Bundle, autoglmc.Bundle]:
    folder = tmp_path_factory.mktemp("packed")
    plain = autoglmc.compile(model(), "x86_cpu", output=folder / "plain")
    return plain, autoglmc.compile(model(), "x86_cpu", output=folder / "packed", compress=True)


@pytest.fixture
def packed(both: tuple[autoglmc.Bundle, autoglmc.Bundle], tmp_path: Path) -> Path:
    """A packed bundle to spoil."""
    return Path(shutil.copytree(both[1].folder, tmp_path / "b"))


def test_it_is_smaller_and_computes_the_same(both: tuple[autoglmc.Bundle, autoglmc.Bundle]) -> None:
    plain, packed = both
    x = {"x": np.random.default_rng(1).standard_normal((8, 64)).astype(np.float32)}
    np.testing.assert_array_equal(packed.run(x)["y"], plain.run(x)["y"])
    sizes = [sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file()) for bundle in both]
    assert sizes[1] < 0.7 * sizes[0]
    assert [sum(parts(bundle.manifest).values()) for bundle in both] == sizes
    assert not (packed.folder / "segments" / "weights.bin").exists()
    assert packed.manifest.verification.verified


def test_what_is_unpacked_is_what_was_packed_and_goes_with_its_session(both: tuple[autoglmc.Bundle, autoglmc.Bundle]) -> None:
    plain, packed = both
    made = unpacked(packed.folder, packed.manifest)
    for name, record in packed.manifest.files.items():
        data = (made / name).read_bytes()
        assert data == (plain.folder / name).read_bytes() and hashlib.sha256(data).hexdigest() == record.sha256
    shutil.rmtree(made)
    session = packed.session()
    files = session._files
    assert files != packed.folder and (files / "segments" / "weights.bin").is_file()
    del session
    gc.collect()
    assert not files.exists()


def test_equal_input_gives_equal_bytes(both: tuple[autoglmc.Bundle, autoglmc.Bundle], tmp_path: Path) -> None:
    again = autoglmc.compile(model(), "x86_cpu", output=tmp_path / "again", compress=True)
    assert again.digest == both[1].digest


def test_what_does_not_deflate_is_left_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(parse("g (float[4] x) => (float[4] y) { y = Tanh(x) }"), tmp_path)
    assert cli.run(["compile", str(path), "--target", "x86_cpu", "-o", str(tmp_path / "b"), "--compress"]) == 0
    assert "deflated they would take no fewer bytes" in " ".join(capsys.readouterr().out.split())
    assert all(record.packed is None for record in read_manifest(tmp_path / "b").files.values())


def rewritten(folder: Path, data: bytes, **fields: Any) -> None:
    """Other packed data under a manifest that knows its digest."""
    name = "segments/weights.bin"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / f"{name}.zlib").write_bytes(data)
    manifest["files"][name]["packed"].update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    manifest["files"][name].update(fields)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("data", "fields", "says"),
    [
        (b"no zlib", {}, "is damaged"),
        (zlib.compress(b"other weights"), {}, "does not unpack to segments/weights.bin"),
        (zlib.compress(bytes(1 << 24)), {}, "does not unpack to segments/weights.bin"),
        (b"", {}, "does not unpack to segments/weights.bin"),
        (zlib.compress(bytes(40_000))[:-5], {"size": 40_000}, "does not unpack to segments/weights.bin"),
    ],
)
def test_damaged_data_is_refused(packed: Path, data: bytes, fields: dict[str, Any], says: str) -> None:
    rewritten(packed, data, **fields)
    with pytest.raises(BundleError, match=says):
        autoglmc.Bundle.load(packed).session()


def test_packed_data_has_a_digest_of_its_own(packed: Path) -> None:
    place = packed / "segments" / "weights.bin.zlib"
    place.write_bytes(place.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError, match=r"weights.bin.zlib has sha256"):
        autoglmc.Bundle.load(packed)
    place.unlink()
    with pytest.raises(BundleError, match=r"weights.bin.zlib is missing"):
        autoglmc.Bundle.load(packed)

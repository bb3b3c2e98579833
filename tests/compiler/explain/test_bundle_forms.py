"""`autoglmc why BUNDLE`: why operators stayed in fp32."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import RELU, parse, save

from autoglmc.compiler import cli

NET = """g (float[1,512] x) => (float[1,16] y) { a = MatMul(x, w0)  b = Erf(a)  c = MatMul(b, w1)  d = Selu(c)  y = MatMul(d, w2) }"""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model with forms chosen, with one form for all, and as it is."""
    folder = tmp_path_factory.mktemp("forms")
    made, generator = parse(NET), np.random.default_rng(0)
    for name, shape in (("w0", (512, 512)), ("w1", (512, 512)), ("w2", (512, 16))):
        array = (generator.standard_normal(shape) * 0.05).astype(np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for node in made.graph.node:
        node.name = f"{node.op_type.lower()}_{node.output[0]}"
    model = save(made, folder)
    np.savez(folder / "data.npz", x=generator.standard_normal((16, 512)).astype(np.float32))
    (folder / "kept.hw").write_text(
        'hw 1;\ninclude "x86_cpu.hw";\ntarget kept extends x86_cpu {\n  device cpu { precision { keep fp32 MatMul; } }\n}\n'
    )
    found = {}
    options = {"auto": ["x86_cpu"], "int8": ["x86_cpu", "--precision", "int8"], "kept": [str(folder / "kept.hw")]}
    for name, (target, *more) in options.items():
        found[name] = folder / name
        line = [
            str(model),
            "--target",
            target,
            "-o",
            str(found[name]),
            "--calibration-data",
            str(folder / "data.npz"),
            "--no-verify",
            *more,
        ]
        assert cli.run([*line, "--allow-unverified", "-q"]) == 0
    found["plain"] = folder / "plain"
    line = [str(save(parse(RELU), folder, "relu.onnx")), "--target", "x86_cpu", "-o", str(found["plain"]), "-q"]
    assert cli.run(line) == 0
    return found


def asked(bundle: Path, word: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert cli.run(["why", str(bundle), *([word] if word else []), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["asked"] == word
    return list(facts["units"])


def test_every_operator_in_floats_has_a_reason(bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("auto", "int8", "kept"):
        units = asked(bundles[name], "", capsys)
        assert units and all(unit["because"] and unit["chosen"] == "fp32" for unit in units)
        manifest = json.loads((bundles[name] / "manifest.json").read_text())
        for unit in units:
            for operator in unit["operators"]:  # type: ignore[attr-defined]
                assert asked(bundles[name], operator, capsys) == [unit if unit["forms"] else unit | {"operators": [operator]}]
        assert {unit["chosen"] for unit in manifest["precision"]["units"]} - {"fp32"} <= set(manifest["precision"]["forms"])


@pytest.mark.parametrize(
    ("bundle", "word", "because"),
    [
        ("auto", "erf_b", "no device of x86_cpu lists Erf in fewer bits"),
        ("int8", "erf_b", "no device of x86_cpu lists Erf in fewer bits"),
        ("kept", "matmul_a", "`keep fp32 MatMul` holds on cpu (kept.hw:4:28)"),
    ],
)
def test_the_reason_is_named(bundle: str, word: str, because: str, bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    (unit,) = asked(bundles[bundle], word, capsys)
    assert unit["because"] == because
    capsys.readouterr()
    assert cli.run(["why", str(bundles[bundle]), word]) == 0
    assert f"because {because}" in " ".join(capsys.readouterr().out.split())


def test_forms_are_compared(bundles: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    units = asked(bundles["auto"], "MatMul", capsys)
    chosen = [unit for unit in units if unit["chosen"] != "fp32"]
    assert chosen
    for unit in chosen:
        rows = {row["form"]: row for row in unit["forms"]}  # type: ignore[attr-defined]
        assert rows[unit["chosen"]]["weight_bytes"] < rows["fp32"]["weight_bytes"] and rows["fp32"]["loss"] == 0
    capsys.readouterr()
    assert cli.run(["why", str(bundles["auto"]), "matmul_a"]) == 0
    shown = capsys.readouterr().out
    assert "form  device" in shown and "fp32" in shown


def test_what_cannot_be_asked(bundles: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line, message in (
        (["why", str(bundles["auto"]), "matmul_z"], "did you mean 'matmul_"),
        (["why", str(bundles["plain"])], "no forms were chosen for it"),
        (["why", str(tmp_path)], "manifest.json"),
        (["why", str(bundles["auto"].parent / "relu.onnx")], "Missing option '--target'"),
    ):
        assert cli.run(line) in (1, 2)
        told = capsys.readouterr().err
        assert told.count("error:") == 1 and message in told and "Traceback" not in told

"""Options that several commands have: inputs of your own for `verify`, the sizes of a bucket for `why`; the short name of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hw_layers import BOX
from make_target import make_cpu, make_target
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.run.bundle import Bundle


def test_verify_compares_inputs_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = save(parse(RELU), tmp_path)
    folder = compile_model(model, make_target([make_cpu()], []), output=tmp_path / "b", verify=False).folder
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    arguments = ["verify", str(model), str(folder), "--json", "--inputs"]
    assert cli.run([*arguments, str(tmp_path / "x.npz")]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][:2] == ["x.npz", "seed 0"]
    (tmp_path / "more").mkdir()
    for name in ("b", "a"):
        np.savez(tmp_path / "more" / f"{name}.npz", x=-np.ones((1, 4), np.float32))
    assert cli.run([*arguments, str(tmp_path / "more"), "--inputs", str(tmp_path / "x.npz")]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"][:4] == ["a.npz", "b.npz", "x.npz", "seed 0"]
    np.savez(tmp_path / "z.npz", z=np.ones((1, 4), np.float32))
    assert cli.run([*arguments, str(tmp_path / "z.npz")]) == 2
    assert "the model has no input 'z'" in capsys.readouterr().out


def test_a_bundle_names_itself_briefly(tmp_path: Path) -> None:
    folder = compile_model(save(parse(RELU), tmp_path), make_target([make_cpu()], []), output=tmp_path / "b", verify=False).folder
    assert repr(Bundle.load(folder)) == f"<Bundle '{folder}': test, 1 segment on cpu, NOT verified>"
    folder = compile_model(save(parse(RELU), tmp_path), make_target([make_cpu()], []), output=tmp_path / "b").folder
    assert repr(Bundle.load(folder)) == f"<Bundle '{folder}': test, 1 segment on cpu>"


def test_why_takes_the_sizes_of_a_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "box.hw"
    target.write_text(BOX.replace("  precision", "  shapes { some: batch 3, seq 5, 7; }\n  precision", 1), "utf-8")
    arguments = ["why", str(save(parse(DYNAMIC), tmp_path)), "--target", str(target), "--json"]
    assert cli.run(arguments) == 0
    assert "batch=" in json.loads(capsys.readouterr().out)["assumed_shapes"]
    assert cli.run([*arguments, "--bucket", "some=7"]) == 0
    assert json.loads(capsys.readouterr().out)["assumed_shapes"] is None
    assert cli.run([*arguments, "--bucket", "none"]) == 2

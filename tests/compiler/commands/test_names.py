"""Names of a model are data: whatever is in them, a terminal gets it escaped."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler import cli

NAMES = {
    "nul": "a\0b",
    "escape": "a\x1b[31mb",
    "line": "a\nerror: b",
    "return": "a\rb",
    "backwards": "a\u202eb",
    "bell": "\x07",
    "csi": "a\x9b2Jb",
}


def named(name: str, folder: Path) -> Path:
    """A model all of whose names are that and a digit."""
    model = parse("g (float[1,4] x) => (float[1,4] y) { a = Neg(x) b = Relu(a) y = Tanh(b) }")
    new = {old: f"{name}{number}" for number, old in enumerate("xaby")}
    for node in model.graph.node:
        node.name = f"{name}{node.op_type}"
        for field in (node.input, node.output):
            field[:] = [new[old] for old in field]
    for value in (*model.graph.input, *model.graph.output):
        value.name = new[value.name]
    model.graph.name = model.producer_name = name
    path = folder / "m.onnx"
    onnx.save(model, path)
    return path


def visible(text: str) -> bool:
    return all(char == "\n" or unicodedata.category(char) not in ("Cc", "Cf") for char in text)


@pytest.mark.parametrize("kind", NAMES)
def test_no_command_prints_them_as_they_are(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = NAMES[kind]
    named(name, tmp_path)
    np.savez("wrong.npz", **{"z\x1b[31m": np.zeros(1)})  # type: ignore[arg-type]
    np.savez("shape.npz", **{f"{name}0": np.zeros(1)} if "\0" not in name else {"x": np.zeros(1)})  # type: ignore[arg-type]
    np.savez("right.npz", **{f"{name}0": np.full((1, 4), np.nan, np.float32)} if "\0" not in name else {"x": np.zeros(1)})  # type: ignore[arg-type]
    commands = [
        ["check", "m.onnx"],
        ["m.onnx", "--target", "a16", "--emulate", "-o", "b", "-v"],
        ["why", "m.onnx", "--target", "a16", "-v"],
        ["why", "m.onnx", f"{name}Tanh".replace("\0", "")[:40] or "x", "--target", "a16"],
        ["verify", "m.onnx", "b", "--emulate", "-v"],
        *(
            ["run", "b", "--input", f"{given}.npz", "--emulate", "-v", "-o", f"out{k}.npz"]
            for k, given in enumerate(("wrong", "shape", "right"))
        ),
        *(["verify", "m.onnx", "b", "--inputs", f"{given}.npz"] for given in ("wrong", "shape", "right")),
        ["m.onnx", "--target", "a16", "--emulate", "--verify-each", "-o", "c"],
    ]
    for words in commands:
        code = cli.run(words)
        shown = capsys.readouterr()
        assert code in (0, 1, 2, 4), (words, shown)
        assert visible(shown.out) and visible(shown.err), (words, shown)
        assert not any(line.startswith("error: b") for line in (shown.out + shown.err).splitlines()), (words, shown)

"""Names with NUL, ESC or a megabyte, in models, files and arguments: quoted where they are shown, and no message repeats all of one."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from autoglmc.compiler import cli

LONG = "n" * 1_000_000
NAMES = {"ESC": "a\x1b[31m\x07b", "NUL": "a\0b", "lines": "a\nerror: b\r\nc", "a megabyte": LONG, "right to left": "a\u202eb"}
ARGUMENT = {name: text if len(text) < 1000 else text[:100_000] for name, text in NAMES.items() if name != "NUL"}
"""What an operating system passes on."""
MOST = 12_000
"""Characters that a command may print about one name, however often it says it."""


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints; safe for a terminal, and no crash."""
    code = cli.run([*words])
    out, err = capsys.readouterr()
    text = out + err
    assert code in (0, 1, 2, 4), text[:2000]
    assert "Traceback" not in text and "this is a fault in autoglmc" not in text
    assert text.replace("\n", "").replace("\t", "").isprintable(), [char for char in text if not char.isprintable() and char not in "\n\t"]
    assert len(text) < MOST, (len(text), text[:500])
    return text


def model(folder: Path, name: str, operator: str) -> Path:
    """Every name of it is `name`."""
    nodes = [helper.make_node(operator, [f"{name}x"], [f"{name}y"], name=name, domain="" if operator == "Relu" else name)]
    ends = [helper.make_tensor_value_info(f"{name}{end}", 1, [name, 4]) for end in "xy"]
    graph = helper.make_graph(nodes, name, ends[:1], ends[1:], doc_string=name)
    imports = [helper.make_opsetid("", 17), *([] if operator == "Relu" else [helper.make_opsetid(name, 1)])]
    path = folder / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name=name), path)
    return path


@pytest.mark.parametrize("operator", ["Relu", "Nothing"])
@pytest.mark.parametrize("kind", NAMES)
def test_names_of_a_model(kind: str, operator: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(model(tmp_path, NAMES[kind], operator))
    said(capsys, "check", path)
    said(capsys, path, "--target", "x86_cpu", "-o", str(tmp_path / "b"))
    said(capsys, path, "--target", "x86_cpu", "--shape", "nothing=3", "-o", str(tmp_path / "b"))
    said(capsys, path, "--target", "x86_cpu", "--shape", f"{NAMES[kind]}=3", "--no-verify", "-o", str(tmp_path / "b"))
    said(capsys, "why", path, "--target", "tensor_g2")
    if (tmp_path / "b").exists():
        said(capsys, "verify", path, str(tmp_path / "b"))
        said(capsys, "run", str(tmp_path / "b"))


@pytest.mark.parametrize("kind", ARGUMENT)
def test_names_in_arguments(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, path = ARGUMENT[kind], str(model(tmp_path, "m", "Relu"))
    for words in (
        [name], ["check", name], ["check", "--explain", name], ["why", path, "--target", name], [path, "--target", "a16", "--shape", name],
        [path, "--target", "a16", "--bucket", name], [path, "--target", "a16", "-o", str(tmp_path / "no" / name)], ["run", name],
        ["verify", path, name], ["diff", "a16", name], ["show", name], ["fmt", name], ["new-target", name], ["rules", name],
        ["check", path, f"--{name}"], ["why", path, name, "--target", "a16"], ["cache", name],
    ):  # fmt: skip
        said(capsys, *words)


@pytest.mark.parametrize("kind", ["ESC", "lines", "right to left"])
def test_names_of_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / NAMES[kind].replace("/", "")
    place.mkdir()
    path = model(place, "m", "Relu")
    target = place / "t.hw"
    target.write_text("hw 1;\ntarget t { memory x; }\n")
    said(capsys, "check", str(path))
    said(capsys, "check", str(target))
    said(capsys, str(path), "--target", "x86_cpu", "--shape", "m=2", "--no-verify")
    said(capsys, str(path), "--target", str(target))

"""What a user's pass does beside its work: printing, careless names, shapes written onto outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from make_target import make_cpu, make_target
from small_models import parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserPassError

MODEL = "g (float[1,4] x) => (float[1,4] y) { a = Relu(x) b = Abs(a) y = Tanh(b) }"
PRINTS = "print('while it is imported')\n\n\ndef prints(graph):\n    print('hello')\n\n\nprints.contract = 'exact'\n"


def compiled(folder: Path, function: Any) -> Any:
    function.contract = "exact"
    return compile_model(save(parse(MODEL), folder), make_target([make_cpu()], []), output=folder / "b", passes=[function])


@pytest.mark.parametrize("quiet", ["-q", "--json"])
def test_what_a_pass_prints_stays_off_stdout(quiet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text(PRINTS)
    model = save(parse(MODEL), tmp_path)
    command = [str(model), "--target", "x86_cpu", "-o", str(tmp_path / "b"), "--pass", f"{tmp_path / 'own.py'}:prints", quiet]
    assert cli.run(command) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("{" if quiet == "--json" else str(tmp_path / "b")) and "hello" not in shown.out
    assert "while it is imported\n" in shown.err and "\nhello\n" in shown.err


def test_nodes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    def careless(graph: Any) -> None:
        for node in graph.nodes:
            node.name = "n"

    result = compiled(tmp_path, careless)
    names = [node.name for path in (tmp_path / "b" / "segments").glob("*.onnx") for node in onnx.load(path).graph.node]
    assert len(set(names)) == len(names) == 3 and result.verification.verified


def test_a_shape_written_onto_an_output_is_refused(tmp_path: Path) -> None:
    def reshapes(graph: Any) -> None:
        graph.outputs[0].shape = (4, 1)

    with pytest.raises(UserPassError, match=r"changed the shape of output 'y': it was \[1, 4\], it is now \[4, 1\]"):
        compiled(tmp_path, reshapes)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("target", [5.0, 5, b"a16"])
def test_a_target_of_another_type_is_refused_in_a_sentence(target: Any, tmp_path: Path) -> None:
    with pytest.raises(autoglmc.UsageError, match="a target is a path, the name of a stock target or a Target, not"):
        autoglmc.compile(save(parse(MODEL), tmp_path), target)

"""The options that watch and steer passes, from the command line: --print-after, --stop-after, --disable, --timings, `rules`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.pipeline.table import PIPELINE
from autoglmc.compiler.watch.print_graph import FEW
from autoglmc.passes.library import every_rule

Screen = pytest.CaptureFixture[str]
BIAS = ",".join(map(str, range(32)))
FORMULA = f"""g (float[4,32] x) => (float[4,32] y)
  <float root = {{1.4142135}}, float one = {{1}}, float half = {{0.5}}, float[32] bias = {{{BIAS}}}>
  {{ s = Add(x, bias) d = Div(s, root) e = Erf(d) f = Add(e, one) g1 = Mul(s, f) i = Identity(g1) y = Mul(i, half) }}"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(parse(FORMULA, opset=20, ir=10), tmp_path)


def run(*words: object) -> int:
    return cli.run([*map(str, words), "--target", "x86_cpu"])


def test_the_graph_after_a_pass_is_printed_and_the_bundle_still_made(model: Path, capsys: Screen) -> None:
    assert run(model, "--print-after", "recover", "--print-after", f"simplify:{model.parent / 'graph.txt'}") == 0
    shown = capsys.readouterr()
    text = shown.err[shown.err.index("// after recover") :]
    assert "y = Gelu" in text and "Erf" not in text and "// after simplify" not in shown.err
    assert "bias" in text and "not printed" in text and FEW < 32, "values of large constants are left out"
    assert "// after" not in shown.out and (model.parent / "model.x86_cpu" / "manifest.json").is_file()
    written = (model.parent / "graph.txt").read_text()
    body = written[written.index("<") : written.rindex("}") + 1]
    assert [node.op_type for node in onnx.parser.parse_model(body).graph.node] == ["Add", "Gelu"]


@pytest.mark.parametrize("name", [row.name for row in PIPELINE])
def test_stopping_after_any_pass_writes_a_model_that_computes_the_same(name: str, model: Path, capsys: Screen) -> None:
    import onnxruntime

    out = model.parent / "stopped.onnx"
    assert run(model, "--stop-after", name, "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(out) and told["after"] == name and list(told["seconds"])[-1] == name
    stopped = onnx.load(out)
    onnx.checker.check_model(stopped, full_check=True)
    assert told["operators"] == len(stopped.graph.node) == 2
    fed = {"x": np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32)}
    before, after = (onnxruntime.InferenceSession(str(path)).run(None, fed)[0] for path in (model, out))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert sorted(path.name for path in model.parent.iterdir()) == ["model.onnx", "stopped.onnx"], "no bundle"


def test_stop_after_names_its_file_and_never_writes_over_the_model(model: Path, capsys: Screen) -> None:
    assert run(model, "--stop-after", "recover") == 0
    assert capsys.readouterr().out.startswith(f"{model.parent / 'model.recover.onnx'}  2 operators, after recover")
    before = model.read_bytes()
    assert run(model, "--stop-after", "recover", "-o", model) == 2 and "is the model itself" in capsys.readouterr().err
    assert run(model, "--stop-after", "recover", "-o", model.parent) == 2 and "is a folder" in capsys.readouterr().err
    mine = model.parent / "mine.hw"
    mine.write_text("hw 1;")
    assert run(model, "--stop-after", "recover", "-o", mine) == 2 and "the graph is written as .onnx" in capsys.readouterr().err
    assert mine.read_text() == "hw 1;"
    assert run(model, "--stop-after", "recover", "-o", model.parent / "no" / "x.onnx") == 2 and "does not exist" in capsys.readouterr().err
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stop-after", "simplfy"], "there is no pass 'simplfy'\n  help: did you mean 'simplify'?"),
        (["--print-after", "xyz"], "there is no pass 'xyz'\n  help: the passes: recover, simplify, fuse-formulas, recover-whole"),
        (["--print-after", "recover:"], "no file name after the colon"),
        (["--disable", "recover_gel"], "there is no rule 'recover_gel'\n  help: did you mean 'recover_gelu'?"),
        (["--disable", "qqqq"], "help: `autoglmc rules` lists them"),
        (["--inputs", "none.npz"], "no such file: none.npz"),
    ],
)
def test_wrong_words_are_usage_errors(words: list[str], message: str, model: Path, capsys: Screen) -> None:
    assert run(model, *words) == 2
    assert message in capsys.readouterr().err
    assert not (model.parent / "model.x86_cpu").exists()


def test_disabled_rules_leave_the_formula_alone(model: Path, capsys: Screen) -> None:
    assert run(model, "--disable", "recover_gelu", "--disable", "remove_identity", "--json") == 0
    recovered = json.loads(capsys.readouterr().out)["operators"]["recovered"]
    assert recovered["Erf"] == 1 and "Gelu" not in recovered


def test_timings_are_shown_and_in_json_anyway(model: Path, capsys: Screen) -> None:
    assert run(model, "--timings", "--verify-each") == 0
    shown = capsys.readouterr().out
    timed = re.findall(r"^([a-z-]+(?: [a-z]+)*) +[\d.]+ (?:us|ms|s)$", shown[shown.index("timings ") :], re.MULTILINE)
    assert {"load", *(row.name for row in PIPELINE), "plan", "verify-each", "all stages"} <= set(timed)
    assert run(model, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {row.name for row in PIPELINE} <= told["seconds"].keys() and told["passes"] == []


def test_rules_are_listed_with_their_contracts(capsys: Screen) -> None:
    assert cli.run(["rules", "--json"]) == 0
    rules = {rule["name"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert rules.keys() == {rule.name for rule in every_rule()}
    assert all(rule["stages"] and rule["summary"] and rule["operators"] for rule in rules.values())
    tanh = rules["tanh"]
    assert (tanh["contract"], tanh["bound"], tanh["over"]) == ("bounded", 2.71e-4, "all reals")
    assert tanh["stages"] == ["realise-placement"] and tanh["families"] == ["tanh", "gelu"]
    assert all((rule["bound"] > 0) == (rule["contract"] == "bounded") for rule in rules.values())
    assert cli.run(["rules"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("recover:\n") and "within 0.000271" in text
    assert all(f"  {name} " in text for name in rules)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--objective", "energy"), "--objective"),
        (("--stop-after", "simplify"), "--stop-after"),
        (("--verify-each",), "--verify-each"),
        (("--print-after", "simplify"), "--print-after"),
        (("--pass", "mine.py:run"), "--pass"),
    ],
)
def test_an_option_that_a_front_would_have_to_ignore_is_refused(
    words: tuple[str, ...], named: str, model: Path, tmp_path: Path, capsys: Screen
) -> None:
    (tmp_path / "mine.py").write_text("def run(graph):\n    pass\n")
    words = tuple(word.replace("mine.py", str(tmp_path / "mine.py")) for word in words)
    assert run(model, "--pareto", "latency,memory", *words) == 2
    assert f"--pareto and {named} exclude each other" in capsys.readouterr().err


def test_the_bundles_of_a_front_are_signed_and_verified_as_asked(model: Path, tmp_path: Path, capsys: Screen) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key, out = tmp_path / "key.pem", tmp_path / "front"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert run(model, "--pareto", "latency,memory", "-o", out, "--sign", key, "--no-verify", "--allow-unverified") == 0
    assert [(folder / "manifest.sig").is_file() for folder in out.iterdir()] == [True]
    assert run(model, "--pareto", "latency,memory", "-o", tmp_path / "other", "--require-verified", "--no-verify") == 2

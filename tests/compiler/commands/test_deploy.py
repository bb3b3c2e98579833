"""`autoglmc --deploy agent.hw`: the same bundle as from the options, and mistakes with the place in the file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from small_agents import LINKS, Agent
from small_decoders import decoder

from autoglmc.compiler import cli
from autoglmc.grammar import analyse_text
from autoglmc.grammar.editor.complete import complete
from autoglmc.grammar.editor.definition import definition, symbols
from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.format import format_text

TEXT = """hw 1;

deploy agent {
  target "x86_cpu";
  model  vision "vision.onnx";
  model  embed "parts/embed.onnx";
  model  decoder "decoder.onnx";
  link   vision "features" -> decoder "inputs_embeds" rows image;
  link   embed "inputs_embeds" -> decoder "inputs_embeds";
  state  "past.*" = "present.*" max 32;
  given  "position_ids";
  shapes {
    prefill: seq 8, 16;
    decode:  seq 1;
  }
}
"""
OPTIONS = [
    *("--target", "x86_cpu", "--state", "past.*=present.*", "--max-length", "32", "--given", "position_ids"),
    *("--bucket", "prefill:seq=8", "--bucket", "prefill:seq=16", "--bucket", "decode:seq=1"),
    *(word for link in LINKS for word in ("--link", link)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("agent")
    (place / "parts").mkdir()
    for name, model in Agent().models().items():
        onnx.save_model(model, place / ("parts" if name == "embed" else "") / f"{name}.onnx")
    onnx.save_model(decoder(Agent().spec), place / "alone.onnx")
    (place / "agent.hw").write_text(TEXT)
    return place


def bytes_of(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_the_same_bundle_as_from_the_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / name) for name in ("vision.onnx", "parts/embed.onnx", "decoder.onnx")]
    assert cli.run([*paths, *OPTIONS, "--no-verify", "--allow-unverified", "-o", str(folder / "plain")]) == 0
    assert cli.run(["--deploy", str(folder / "agent.hw"), "--no-verify", "--allow-unverified", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / "agent.x86_cpu")
    made = bytes_of(folder / "agent.x86_cpu")
    assert made == bytes_of(folder / "plain")
    assert {"segments/prefill-8-00-cpu.onnx", "segments/prefill-16-00-cpu.onnx", "segments/embed-decode-00-cpu.onnx"} <= made.keys()


def test_one_model_is_deployed_too(folder: Path) -> None:
    """A decoder with its entries; and a model at a size, with a target in a file beside."""
    state = 'state "past.*" = "present.*" max 16; shapes { decode: seq 1; }'
    one = f'hw 1; deploy one {{ target "mine.hw"; model decoder "alone.onnx"; {state} }}'
    (folder / "mine.hw").write_text('hw 1;\ninclude "x86_cpu.hw";\ntarget mine extends x86_cpu { }\n')
    (folder / "one.hw").write_text(one)
    table = 'hw 1; deploy t { target "x86_cpu"; model e "parts/embed.onnx"; size batch 1; shapes { all: seq 4; } }'
    (folder / "table.hw").write_text(table)
    quiet = ["--no-verify", "--allow-unverified", "--quiet"]
    assert cli.run(["compile", "--deploy", str(folder / "one.hw"), *quiet]) == 0
    assert cli.run(["compile", "--deploy", str(folder / "table.hw"), *quiet, "-o", str(folder / "table")]) == 0
    plain = [str(folder / "parts" / "embed.onnx"), "--target", "x86_cpu", "--shape", "batch=1,seq=4"]
    assert cli.run([*plain, *quiet, "-o", str(folder / "t")]) == 0
    assert (folder / "one.mine" / "manifest.json").is_file()
    assert bytes_of(folder / "table") == bytes_of(folder / "t")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ('vision "features"', 'vision "feature"', "agent.hw:8:10", "'vision' has no output 'feature'"),
        ('"inputs_embeds" rows', '"embeds" rows', "agent.hw:8:10", "'decoder' has no input 'embeds'"),
        ('"vision.onnx"', '"none.onnx"', "agent.hw:5:17", "there is no file"),
        ("link   vision", "link   visio", "agent.hw:8:10", "no model `visio` to link"),
        ('model  embed "parts/embed.onnx";', "", "agent.hw:9:10", "no model `embed` to link"),
        ("-> decoder", "-> vision", "agent.hw:8:10", "a link from `vision` to itself"),
        ('embed "inputs_embeds" -> decoder', 'decoder "logits" -> vision', "agent.hw:9:30", "`vision` feeds another model"),
        ('decoder "inputs_embeds";', 'decoder "past.0.k";', "agent.hw:9:43", "`past.0.k` is a state"),
        ("max 32", "max 1", "agent.hw:10:37", "a size must be a whole number from 2"),
        ('target "x86_cpu"', 'target "x86_gpu"', "", "there is no target"),
    ],
)
def test_a_mistake_is_shown_where_it_is(
    old: str, new: str, place: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old in TEXT
    wrong = folder / "wrong" / "agent.hw"
    wrong.parent.mkdir(exist_ok=True)
    for name in ("vision.onnx", "decoder.onnx", "parts"):
        if not (wrong.parent / name).exists():
            (wrong.parent / name).symlink_to(folder / name)
    wrong.write_text(TEXT.replace(old, new, 1))
    assert cli.run(["--deploy", str(wrong)]) in (1, 2)
    shown = capsys.readouterr().err
    assert said in shown and place in shown and not (wrong.parent / "agent.x86_cpu").exists()


def test_what_the_file_says_is_not_said_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(folder / "agent.hw")
    for words, said in (
        (["--target", "a16"], "--target and --deploy exclude each other"),
        ([str(folder / "vision.onnx")], "MODEL and --deploy exclude each other"),
        (["--link", LINKS[0]], "--link and --deploy exclude each other"),
    ):
        assert cli.run(["compile", *words, "--deploy", path]) == 2
        assert said in capsys.readouterr().err
    assert cli.run(["compile", "--deploy", str(folder / "none.hw")]) == 2
    assert "there is no deploy file" in capsys.readouterr().err
    (folder / "target.hw").write_text('hw 1;\ninclude "x86_cpu.hw";\ntarget mine extends x86_cpu { }\n')
    assert cli.run(["compile", "--deploy", str(folder / "target.hw")]) == 2
    assert "has no block `deploy name { … }`" in capsys.readouterr().err
    assert cli.run(["compile", str(folder / "vision.onnx"), "--target", path]) == 1
    assert "the file holds the deployment `agent` and no target" in capsys.readouterr().err
    assert cli.run(["compile"]) == 2 and "Missing argument 'MODEL…'" in capsys.readouterr().err


def test_check_fmt_and_show_know_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(folder / "agent.hw")
    assert cli.run(["check", path]) == 0
    assert "deployment 'agent' of vision, embed, decoder" in capsys.readouterr().out
    assert cli.run(["show", path]) == 2
    assert "holds the deployment 'agent' and no target" in capsys.readouterr().err
    assert format_text(TEXT.replace("  model  ", "model ").replace("decode:  ", "decode:")) == TEXT


def test_the_editor_knows_the_words() -> None:
    def labels(text: str) -> list[str]:
        return [item.label for item in complete(text, len(text))]

    begun = TEXT.split("  state")[0]
    assert labels(f"{begun}sta") == ["state"]
    assert labels(f"{begun}link ") == ["rows", "vision", "embed", "decoder"]
    source = Source("agent.hw", TEXT)
    outline = symbols(source)
    assert [(one.name, one.kind) for one in outline] == [("agent", "deploy")]
    assert [one.name for one in outline[0].children if one.kind == "model"] == ["vision", "embed", "decoder"]
    found = definition(source, TEXT.index("decoder", TEXT.index("->")), lambda path, source: "no such file")
    assert found is not None and found.start == TEXT.index("decoder")


def test_a_target_beside_it_stays_what_it_is() -> None:
    target = 'hw 1;\ninclude "x86_cpu.hw";\ntarget mine extends x86_cpu { }\n'
    both = analyse_text(target + TEXT.split("\n", 1)[1], "t.hw")
    alone = analyse_text(target, "t.hw")
    assert both.target is not None and alone.target is not None and both.deployment is not None
    assert both.target.digest == alone.target.digest


def test_what_is_missing_in_the_file_is_named_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "open.hw"
    path.write_text('hw 1; deploy open { target "x86_cpu"; model net "alone.onnx"; }\n')
    assert cli.run(["--deploy", str(path), "-q"]) != 0
    shown = capsys.readouterr().err
    assert "in open.hw `size`, `shapes` and `state` say what these options do" in shown


def test_a_block_of_thousands_of_models_is_one_error() -> None:
    models = "".join(f'model m{k} "a.onnx"; ' for k in range(3000))
    found = analyse_text(f'hw 1; deploy big {{ target "x86_cpu"; {models} }}\n', "big.hw").diagnostics
    assert [one.code for one in found] == ["HW0108"] and "at most 64" in found[0].message

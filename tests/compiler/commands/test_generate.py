"""`autoglmc generate`: the text on stdout as it is made, facts on stderr or as JSON, and a sentence for whatever does not fit."""

from __future__ import annotations

import io
import json
import signal
import sys
from pathlib import Path

import onnx
import pytest
from small_decoders import Decoder, decoder
from small_tokenizers import save_tokenizer

from autoglmc.compiler import cli
from autoglmc.compiler.commands import generate
from autoglmc.compiler.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    onnx.save_model(decoder(Decoder(vocabulary=300)), folder / "m.onnx")
    command = ["compile", str(folder / "m.onnx"), "--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "prefill=8"]
    assert cli.run([*command, "--bucket", "decode", "--max-length", "48", "-o", str(folder / "b"), "--quiet", "--no-verify"]) == 4
    save_tokenizer(folder)
    save_tokenizer(folder / "large", 320)
    return folder


def run(bundle: Path, *options: str, tokenizer: str = "tokenizer.json", prompt: str = "the cat") -> int:
    return cli.run(["generate", str(bundle / "b"), "--tokenizer", str(bundle / tokenizer), "--prompt", prompt, *options])


def facts(bundle: Path, capsys: pytest.CaptureFixture[str], *options: str, prompt: str = "the cat") -> dict[str, object]:
    capsys.readouterr()
    assert run(bundle, "--json", *options, prompt=prompt) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_text_is_on_stdout_and_how_fast_on_stderr(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(bundle, capsys, "--max-tokens", "12")
    tokenizer = Tokenizer(bundle / "tokenizer.json")
    assert found["text"] == tokenizer.decode(found["tokens"]) and len(found["tokens"]) == 12  # type: ignore[arg-type]
    assert (found["prompt_tokens"], found["finish"], found["sampling"]) == (len(tokenizer.encode("the cat")), "limit", None)
    assert run(bundle, "--max-tokens", "12") == 0
    screen = capsys.readouterr()
    assert screen.out == f"{found['text']}\n"
    assert "12 tokens after" in screen.err and "tokens/s; the first after" in screen.err and "--max-tokens was reached" in screen.err
    assert run(bundle, "--max-tokens", "12", "--quiet") == 0
    assert capsys.readouterr() == (f"{found['text']}\n", "")


def test_the_caches_end_a_text(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(bundle, capsys)
    assert found["finish"] == "full" and found["prompt_tokens"] + len(found["tokens"]) == 49  # type: ignore[arg-type, operator]


def test_tokens_and_texts_end_a_text(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = facts(bundle, capsys, "--temperature", "2", "--seed", "5")
    tokens, text = list(whole["tokens"]), str(whole["text"])  # type: ignore[call-overload]
    ended = facts(bundle, capsys, "--temperature", "2", "--seed", "5", "--end", str(tokens[9]))
    assert (ended["tokens"], ended["finish"]) == (tokens[: tokens.index(tokens[9])], "end")
    cut = text[len(text) // 2 : len(text) // 2 + 3]
    stopped = facts(bundle, capsys, "--temperature", "2", "--seed", "5", "--stop", cut)
    assert (stopped["text"], stopped["finish"]) == (text[: text.index(cut)], "stop")


def test_a_seed_is_told_and_draws_the_same_again(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = facts(bundle, capsys, "--top-p", "0.9", "--top-k", "50")
    assert first["sampling"] == {"temperature": 1.0, "top_k": 50, "top_p": 0.9, "seed": first["sampling"]["seed"]}  # type: ignore[index]
    again = facts(bundle, capsys, "--top-p", "0.9", "--top-k", "50", "--seed", str(first["sampling"]["seed"]))  # type: ignore[index]
    assert again["text"] == first["text"]


def test_a_chat_is_written_as_the_template_says(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(bundle, capsys, "--chat", "--max-tokens", "2", prompt="hi")
    assert found["prompt_tokens"] == len(Tokenizer(bundle / "tokenizer.json").encode("<|user|>hi<|assistant|>", special=False)) < 12


def test_ctrl_c_leaves_the_text_that_is_there(bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = str(facts(bundle, capsys, "--temperature", "2", "--seed", "5")["text"]), []

    def show(part: str) -> None:
        parts.append(part)
        if len(parts) == 3:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(generate, "_show", show)
    assert run(bundle, "--temperature", "2", "--seed", "5") == 130
    assert whole.startswith("".join(parts)) and "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--seed", "1"], 2, "--seed means nothing where no token is drawn"),
        (["--greedy", "--top-k", "3"], 2, "--greedy and --top-k exclude each other"),
        (["--stop", ""], 2, "stops nothing"),
        (["--end", "nobody"], 2, "no token 'nobody'"),
        (["--end", "300"], 2, "--end 300: the model knows the tokens 0 to 299"),
        (["--prompt", ""], 2, "an empty prompt"),
        (["--prompt", "a\udcff"], 1, "the prompt is not text in UTF-8 (byte 1)"),
        (["--prompt-file", "prompt.txt"], 2, "--prompt and --prompt-file exclude each other"),
        (["--prompt", "the cat sat on the mat " * 20], 2, "does not fit: the caches hold 48"),
        (["--tokenizer", "large"], 1, "does not fit the model"),
        (["--tokenizer", "m.onnx"], 1, "is not text in UTF-8"),
        (["--tokenizer", "nowhere"], 2, "there is no file"),
        (["--trust", "tokenizer.json"], 2, "tokenizer.json"),
    ],
)
def test_what_does_not_fit_is_named(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(bundle)
    assert run(bundle, *options) == code
    told = capsys.readouterr()
    assert said in told.err and "Traceback" not in told.err and told.out == ""


def test_a_prompt_is_read_from_a_file_and_from_stdin(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the line break at its end. What is no text, or is not there, is named."""
    said = facts(bundle, capsys, "--max-tokens", "5", prompt="décor\n of")
    line = ["generate", str(bundle / "b"), "--tokenizer", str(bundle), "--max-tokens", "5", "--json", "--prompt-file"]
    prompt = "décor\n of\n".encode()
    (tmp_path / "prompt.txt").write_bytes(prompt)
    for file in (str(tmp_path / "prompt.txt"), "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(prompt)))
        assert cli.run([*line, file]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["tokens"], found["prompt_tokens"]) == (said["tokens"], said["prompt_tokens"])
    (tmp_path / "bytes").write_bytes(b"\xff")
    for file, code, problem in (("bytes", 1, "not text in UTF-8"), ("nowhere", 2, "there is no file")):
        assert cli.run([*line, str(tmp_path / file)]) == code
        assert problem in capsys.readouterr().out
    assert cli.run(line[:-1]) == 2
    assert "no prompt is given" in capsys.readouterr().out


def test_a_token_that_begins_a_text_twice_is_told(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.loads((bundle / "tokenizer.json").read_text())
    begin = {"type_id": 0, "id": "<s>"}
    rows = {"single": [{"SpecialToken": begin}, {"Sequence": {"id": "A", "type_id": 0}}]}
    pair = {"pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]}
    special = {"special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}
    text["post_processor"] = {"type": "TemplateProcessing", **rows, **pair, **special}
    (bundle / "begins").mkdir()
    (bundle / "begins" / "tokenizer.json").write_text(json.dumps(text))
    (bundle / "begins" / "tokenizer_config.json").write_text((bundle / "tokenizer_config.json").read_text())
    assert run(bundle, "--max-tokens", "1", tokenizer="begins", prompt="<s>the cat") == 0
    assert "the prompt begins with <s> twice: the tokenizer adds one" in capsys.readouterr().err
    assert run(bundle, "--max-tokens", "1", tokenizer="begins") == 0
    assert "twice" not in capsys.readouterr().err


def test_a_bundle_without_caches_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from small_models import parse

    onnx.save_model(parse("agraph (float[4] x) => (float[4] y) { y = Relu(x) }"), tmp_path / "m.onnx")
    assert cli.run(["compile", str(tmp_path / "m.onnx"), "--target", "x86_cpu", "-o", str(bundle / "plain"), "--quiet"]) == 0
    assert cli.run(["generate", str(bundle / "plain"), "--tokenizer", str(bundle), "--prompt", "x"]) == 2
    assert "keeps no caches" in capsys.readouterr().err

"""`autoglmc generate` of a bundle that sees images: arrays and files, their places in the prompt, and a sentence for what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small_agents import LINKS, Agent, Chain
from small_decoders import Decoder
from small_tokenizers import save_tokenizer

from autoglmc.compiler import cli
from autoglmc.compiler.commands.line.image_options import Pictures
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.text.tokenizer import Tokenizer

ROWS, PIXELS = 4, 24
AGENT = Agent(spec=Decoder(vocabulary=300, embeds=True, positions_input=True, ordered=True), rows=ROWS, pixels=PIXELS, merged=4)
"""16 patches of 2 x 2 pixels, three colours, two frames."""
CONFIG = {
    "size": {"height": 8, "width": 8}, "rescale_factor": 1 / 255, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3,
    "patch_size": 2, "merge_size": 2, "temporal_patch_size": 2,
}  # fmt: skip
PATCHES = np.random.default_rng(1).standard_normal((2, 4 * ROWS, PIXELS)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("agent")
    models = [f"{name}={place / name}.onnx" for name in AGENT.models()]
    for name, model in AGENT.models().items():
        onnx.save_model(model, place / f"{name}.onnx")
    links = [word for link in LINKS for word in ("--link", link)]
    rest = ["--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "48", "--quiet", "--no-verify"]
    assert cli.run(["compile", *models, "--target", "x86_cpu", *links, *rest, "-o", str(place / "b")]) == 4
    save_tokenizer(place)
    (place / "config.json").write_text(json.dumps({"image_token_id": 2}))  # <|user|>
    save_tokenizer(place / "bare")
    for k, patches in enumerate(PATCHES):
        np.save(place / f"{k}.npy", patches)
    np.save(place / "small.npy", PATCHES[0, :3])
    np.save(place / "objects.npy", np.array([{}]), allow_pickle=True)
    return place


def run(folder: Path, *options: str, prompt: str = "a <|user|> cat", bundle: str = "b", tokenizer: str = "") -> int:
    return cli.run(["generate", str(folder / bundle), "--tokenizer", str(folder / tokenizer), "--prompt", prompt, *options])


def facts(folder: Path, capsys: pytest.CaptureFixture[str], *options: str, prompt: str = "a <|user|> cat") -> dict[str, Any]:
    capsys.readouterr()
    assert run(folder, "--json", *options, prompt=prompt) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_tokens_equal_those_of_the_models_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two images, one behind the first run of the prompt."""
    prompt = "the <|user|> sat on <|user|> mat"
    arrays = [word for k in range(2) for word in ("--input", f"patches={folder / str(k)}.npy")]
    found, tokenizer = facts(folder, capsys, *arrays, "--max-tokens", "8", prompt=prompt), Tokenizer(folder)
    ids, images = list[int](), dict[int, np.ndarray]()
    for token in tokenizer.encode(prompt):
        if token == 2:
            images[len(ids)] = PATCHES[len(images)]
        ids += [token] * (ROWS if token == 2 else 1)
    expected, closest = Chain({**AGENT.models()}).greedy(ids, images, 8)
    assert closest > 1e-4 and found["tokens"] == expected and found["prompt_tokens"] == len(ids)
    assert found["text"] == tokenizer.decode(expected) and found["finish"] == "limit"
    assert facts(folder, capsys, *arrays, "--max-tokens", "8", "--release-encoder", prompt=prompt)["tokens"] == expected


def test_an_image_is_the_array_that_it_becomes(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    library = pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    library.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "own.json").write_text(json.dumps(CONFIG))
    by_hand = ((pixels / 255 - 0.5) / 0.5).reshape(2, 2, 2, 2, 2, 2, 3).transpose(0, 3, 1, 4, 6, 2, 5)[:, :, :, :, :, None]
    np.save(tmp_path / "a.npy", by_hand.repeat(2, axis=5).reshape(16, PIXELS).astype(np.float32))
    image = ("--image", str(tmp_path / "a.png"), "--image-config", str(tmp_path / "own.json"))
    options = ("--temperature", "2", "--seed", "4", "--max-tokens", "12")
    found = facts(folder, capsys, *image, *options)
    assert found["tokens"] == facts(folder, capsys, "--input", f"patches={tmp_path / 'a.npy'}", *options)["tokens"]
    assert found["tokens"] != facts(folder, capsys, "--input", f"patches={folder / '0.npy'}", *options)["tokens"]
    assert run(folder, *image, *options) == 0
    screen = capsys.readouterr()
    assert screen.out == f"{found['text']}\n" and f"a.png: 8x8, by {tmp_path / 'own.json'}" in screen.err
    (folder / "preprocessor_config.json").write_text(json.dumps(CONFIG | {"size": {"shortest_edge": 9, "longest_edge": 99}}))
    assert run(folder, "--image", str(tmp_path / "a.png")) == 2
    assert "leaves the size to each image" in capsys.readouterr().err
    assert facts(folder, capsys, *image[:2], "--image-size", "8x8", *options)["tokens"] == found["tokens"]
    (folder / "preprocessor_config.json").unlink()


def test_a_chat_with_images_gets_their_places_from_the_template(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = "{% for p in messages[0].content %}{{ '<|user|>' if p.type == 'image' else p.text }}{% endfor %}<|assistant|>"
    (folder / "chat_template.jinja").write_text(template)
    array = ("--input", f"patches={folder / '0.npy'}", "--max-tokens", "4")
    try:
        chat = facts(folder, capsys, *array, "--chat", prompt="hi")
    finally:
        (folder / "chat_template.jinja").unlink()
    assert chat["tokens"] == facts(folder, capsys, *array, prompt="<|user|>hi<|assistant|>")["tokens"]


def test_text_alone_needs_no_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(folder, capsys, "--end", "<s>", prompt="the cat")
    assert facts(folder, capsys, "--end", "<s>", "--tokenizer", str(folder / "bare"), prompt="the cat")["tokens"] == found["tokens"]
    assert found["finish"] == "full" and found["prompt_tokens"] + len(found["tokens"]) == 49


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--input", "patches=0.npy", "--prompt", "no place"], 2, "the prompt has 0 image tokens (id 2) for 1 image of 4 rows"),
        ([], 2, "the prompt has 1 image token (id 2) for 0 images"),
        (["--input", "patches=0.npy", "--input", "patches=1.npy"], 2, "1 image token (id 2) for 2 images of 4 rows"),
        (["--input", "patches=0.npy", "--prompt", "<|user|>" + "the cat sat " * 20], 2, "does not fit: the caches hold 48"),
        (["--input", "patches=0.npy", "--tokenizer", "bare"], 2, 'no special token has "image" in its name'),
        (["--input", "patches=0.npy", "--image-token", "nobody"], 2, "no token 'nobody'"),
        (["--input", "patches=small.npy"], 2, "image 0: input 'patches' is float32[3, 24], the bundle takes float32[16, 24]"),
        (["--input", "patches=objects.npy"], 2, "not an .npy file of a plain array"),
        (["--input", "patches=config.json"], 2, "not an .npy file of a plain array"),
        (["--input", "patches=none.npy"], 2, "no such file"),
        (["--input", "patchs=0.npy"], 2, "has no input 'patchs'"),
        (["--input", "0.npy"], 2, "cannot read --input '0.npy'"),
        (["--image", "0.npy"], 2, "how an image is resized and normalised is not said"),
        (["--image", "0.npy", "--input", "patches=0.npy"], 2, "--image has no input to fill: --input already gives patches"),
        (["--image-size", "8x8"], 2, "--image-size only applies to --image, which is not given"),
        (["--image-token", "2"], 2, "--image-token only applies to --image"),
        (["--image-size", "8"], 2, "is not a height and a width"),
        (["--image-mean", "1,2,3"], 2, "is not three numbers from 0 to 1"),
        (["--image-std", "0"], 2, "is not three numbers"),
        (["--image", "0.npy", "--image-size", "8x8", "--image-mean", ".5", "--image-std", ".5"], 1, "cannot be read as an image"),
    ],
)
def test_what_does_not_fit_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, said: str
) -> None:
    if code == 1:
        pytest.importorskip("PIL.Image", reason="the extra image is not installed")
    monkeypatch.chdir(folder)
    assert run(folder, *options) == code
    told = capsys.readouterr()
    assert said in " ".join(told.err.split()) and "Traceback" not in told.err and told.out == ""


def test_one_image_for_several_inputs_is_refused() -> None:
    given = Pictures(**dict.fromkeys(Pictures.__dataclass_fields__) | {"images": (Path("a.png"),), "inputs": ()})
    with pytest.raises(UsageError, match="--image fills one input, and 2 are not given by --input: pixels, places"):
        given.read({name: ((4,), np.float32) for name in ("pixels", "places")}, Path(), print)


def test_a_decoder_alone_sees_no_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from small_decoders import decoder

    onnx.save_model(decoder(Decoder(vocabulary=300)), folder / "alone.onnx")
    command = ["compile", str(folder / "alone.onnx"), "--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "decode"]
    assert cli.run([*command, "--max-length", "8", "-o", str(folder / "alone"), "--quiet", "--no-verify"]) == 4
    for option in (("--input", "patches=0.npy", "--image-token", "2"), ("--image", "a.png"), ("--release-encoder",)):
        assert run(folder, *option, bundle="alone") == 2
        assert "no model of the bundle sees images" in capsys.readouterr().err


def test_pillow_is_named_where_it_is_missing(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.chdir(folder)
    assert run(folder, "--image", "0.npy", "--image-size", "8x8", "--image-mean", ".5", "--image-std", ".5") == 1
    told = capsys.readouterr().err
    assert "--image needs" in told and "pip install 'autoglmc[image]'" in told

"""Text comes back from ids as it was, piece by piece; files that are no tokenizers, or do not fit, are refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tokenizers import SPECIAL, save_tokenizer

from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.text.tokenizer import Pieces, Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(save_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def shown(tokenizer: Tokenizer, before: list[int], ids: list[int]) -> str:
    pieces = Pieces(tokenizer, before)
    return "".join([*map(pieces.add, ids), pieces.rest()])


@given(text=st.text(max_size=40), before=st.text(max_size=5))
def test_pieces_make_the_text(tokenizer: Tokenizer, text: str, before: str) -> None:
    assert shown(tokenizer, tokenizer.encode(before), tokenizer.encode(text)) == text


@given(ids=st.lists(st.integers(0, 400), max_size=30))
def test_no_token_stops_the_text(tokenizer: Tokenizer, ids: list[int]) -> None:
    """Whatever a model makes: bytes that are no character, special tokens, ids that the tokenizer does not have."""
    pieces, waiting = Pieces(tokenizer, []), 0
    for token in ids:
        waiting = 0 if pieces.add(token) or token < len(SPECIAL) or token > tokenizer.largest else waiting + 1
        assert waiting < 4


def sentencepiece(folder: Path) -> Tokenizer:
    """As Llama's: words begin with ▁, what has no token of its own is its bytes, and the first space of a text is none."""
    library = pytest.importorskip("tokenizers", reason="the extra text is not installed")
    kinds, decoders = library.normalizers, library.decoders
    tokens = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdetho", "▁t", "he", "▁the", "▁a"]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "a")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = library.Tokenizer(library.models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    made.normalizer = kinds.Sequence([kinds.Prepend("▁"), kinds.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.post_processor = library.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made.add_special_tokens(["<s>"])
    made.save(str(folder / "tokenizer.json"))
    return Tokenizer(folder)


@given(text=st.text(alphabet="the cat dé日🙂", min_size=1, max_size=20), cut=st.integers(0, 30))
def test_pieces_of_words_and_bytes_make_the_text(tmp_path_factory: pytest.TempPathFactory, text: str, cut: int) -> None:
    """Wherever the prompt ends, inside a character too, whose bytes then show as what they are alone."""
    tokenizer = sentencepiece(tmp_path_factory.getbasetemp())
    ids = tokenizer.encode(text)
    before, whole = tokenizer.decode(ids[:cut]), tokenizer.decode(ids)
    assert whole == text
    if whole.startswith(before):
        assert shown(tokenizer, ids[:cut], ids[cut:]) == whole[len(before) :]


def test_a_character_of_several_tokens_is_shown_when_it_is_whole(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("é👌é")
    pieces = Pieces(tokenizer, [])
    parts = [pieces.add(token) for token in ids]
    assert "".join(parts) == "é👌é" and "�" not in "".join(parts) and len(ids) > 3


def test_what_ends_a_text_is_read_from_the_files_beside(tmp_path: Path) -> None:
    file = save_tokenizer(tmp_path)
    assert Tokenizer(tmp_path).ends() == Tokenizer(file).ends() == (1,)
    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    assert Tokenizer(file).ends() == (7, 1)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [3, 1]}')
    assert Tokenizer(file).ends() == (3, 1)
    assert Tokenizer(file).special("bos_token") == "<s>" and Tokenizer(file).special("pad_token") == ""
    assert [Tokenizer(file).id_of(word) for word in ("</s>", "12")] == [1, 12]


def test_the_image_token_is_what_the_files_call_it(tmp_path: Path) -> None:
    """Where none of them does, the one special token of that name."""
    file = save_tokenizer(tmp_path)
    with pytest.raises(UsageError, match='no special token has "image" in its name'):
        Tokenizer(file).image_token()
    file.write_text(file.read_text().replace("<|user|>", "<|Image|>"))
    assert Tokenizer(file).image_token() == 2
    file.write_text(file.read_text().replace("<|assistant|>", "<|end_of_image|>"))
    with pytest.raises(UsageError, match=r"the special tokens <\|Image\|>, <\|end_of_image\|> may be it"):
        Tokenizer(file).image_token()
    (tmp_path / "config.json").write_text('{"image_token_index": 9}')
    assert Tokenizer(file).image_token() == 9
    (tmp_path / "config.json").write_text('{"image_token_id": 8, "image_token_index": 9}')
    assert Tokenizer(file).image_token() == 8
    (tmp_path / "tokenizer_config.json").write_text('{"image_token": "<|Image|>"}')
    assert Tokenizer(file).image_token() == 2


def test_truncation_and_padding_of_the_file_are_left_out(tmp_path: Path) -> None:
    file = save_tokenizer(tmp_path)
    facts = json.loads(file.read_text())
    facts["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(facts))
    assert len(Tokenizer(file).encode("x y z x y z")) > 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "is not a tokenizer"),
        (b"{", "is not a tokenizer"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b'{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}', "is not a tokenizer"),
        (b"[" * 100_000, "is not a tokenizer"),
        (None, "there is no file"),
    ],
)
def test_files_that_are_no_tokenizers_are_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    pytest.importorskip("tokenizers", reason="the extra text is not installed")
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=said) as failure:
        Tokenizer(tmp_path / "tokenizer.json")
    assert failure.value.help or failure.value.where


@pytest.mark.parametrize(
    ("content", "said"), [("[]", "is not a JSON object"), ("{", "is not valid JSON"), ("[" * 100_000, "is not valid JSON")]
)
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, content: str, said: str) -> None:
    file = save_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(UserError, match=f"tokenizer_config.json {said}"):
        Tokenizer(file)


def test_a_tokenizer_has_to_fit(tokenizer: Tokenizer) -> None:
    assert tokenizer.check_fits(300) == ""
    assert tokenizer.check_fits(1000) == "the tokenizer knows 300 of the model's 1000 tokens: the others print nothing"
    with pytest.raises(UserError, match="it has ids up to 299, the model knows 0 to 298"):
        tokenizer.check_fits(299)
    with pytest.raises(UsageError, match="no token '<end>'"):
        tokenizer.id_of("<end>")

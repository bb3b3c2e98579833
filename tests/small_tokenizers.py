"""Tokenizers made here by the tokenizers library: bytes, and some words of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

SPECIAL = ("<s>", "</s>", "<|user|>", "<|assistant|>")
TEXT = ("the cat sat on the mat", "a décor of naïve façades", "größer, schöner, weiter", "日本語のテキスト", "🙂🙂 emoji 👍")
CHAT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def save_tokenizer(folder: Path, size: int = 300, settings: Mapping[str, Any] | None = None) -> Path:
    """tokenizer.json with at most `size` tokens, and tokenizer_config.json beside it; the first is returned."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra text is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    options = {"special_tokens": list(SPECIAL), "initial_alphabet": alphabet, "show_progress": False}
    made.train_from_iterator(TEXT * 4, tokenizers.trainers.BpeTrainer(vocab_size=size, **options))
    folder.mkdir(exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    given = {"eos_token": "</s>", "bos_token": {"content": "<s>"}, "chat_template": CHAT} if settings is None else settings
    (folder / "tokenizer_config.json").write_text(json.dumps(given))
    return folder / "tokenizer.json"

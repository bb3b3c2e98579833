"""The sentence encoder: news articles of five kinds, told by the nearest centroid of their embeddings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .bound import bound
from .packages import CACHE, NEWS
from .task import Arrays, Sample, Task

SEQUENCE, CALIBRATED, LEARNT, SEED = 64, 32, 500, 0


def news() -> Task:
    """MiniLM (all-MiniLM-L6-v2) on the BBC's 2,225 articles, those that occur twice once."""
    encoder, tokenizer = _exported()
    articles = _articles()
    order = np.random.default_rng(SEED).permutation(len(articles))
    samples = [Sample((_tokens(tokenizer, text),), kind) for text, kind in (articles[i] for i in order)]
    shapes = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (1, SEQUENCE))
    return Task(
        name="news",
        metric="articles told right",
        model=bound(encoder, CACHE / "news" / "fp32.onnx", shapes),
        calibration=tuple(s.steps[0] for s in samples[:CALIBRATED]),
        wrong_calibration=tuple(_tokens(tokenizer, "") for _ in range(CALIBRATED)),
        references=tuple(samples[CALIBRATED : CALIBRATED + LEARNT]),
        held_out=tuple(samples[CALIBRATED + LEARNT :]),
        reduce=_embedding,
        score=_nearest,
        least=0.9,
    )


def _exported() -> tuple[Path, Path]:
    folder = CACHE / "minilm"
    if not (folder / "minilm.onnx").exists():
        subprocess.run([sys.executable, str(Path(__file__).with_name("export_minilm.py")), str(folder)], check=True)
    return folder / "minilm.onnx", folder / "tokenizer.json"


def _articles() -> list[tuple[str, str]]:
    """(text, kind), each text once, in the order of their names."""
    found = {}
    for name, content in NEWS.members(".txt").items():
        kind = name.split("/")[-2]
        if "/bbcnews/data/" in name:
            found.setdefault(" ".join(content.decode("utf-8", "replace").split()), kind)
    return list(found.items())


_TOKENIZERS: dict[Path, Any] = {}


def _tokens(path: Path, text: str) -> Arrays:
    if path not in _TOKENIZERS:
        from tokenizers import Tokenizer

        _TOKENIZERS[path] = Tokenizer.from_file(str(path))
        _TOKENIZERS[path].enable_truncation(SEQUENCE)
        _TOKENIZERS[path].enable_padding(length=SEQUENCE)
    coded = _TOKENIZERS[path].encode(text)
    ids, mask = (np.array([row], np.int64) for row in (coded.ids, coded.attention_mask))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _embedding(feeds: Arrays, outputs: Arrays) -> np.ndarray:
    """The mean over the tokens, of length 1, as the model's authors use it."""
    mask = feeds["attention_mask"][0, :, None].astype(np.float64)
    mean = (outputs["out"][0].astype(np.float64) * mask).sum(0) / mask.sum()
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)


def _nearest(known: Sequence[np.ndarray], kinds: Sequence[str], answers: Sequence[np.ndarray], truths: Sequence[str]) -> np.ndarray:
    labels, learnt = np.array(kinds), np.concatenate(known)
    names = sorted(set(kinds))
    centroids = np.stack([learnt[labels == name].mean(0) for name in names])
    centroids /= np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    chosen = (np.concatenate(answers) @ centroids.T).argmax(1)
    return np.array([names[i] == truth for i, truth in zip(chosen, truths, strict=True)], np.float64)

"""Real models: those of shared/models, where that is, and those of benchmarks/fetch_models.py, where they have been fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .subject import Feeds, Subject, image, normal, padded, tokens

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = Path(os.environ.get("AUTOGLMC_SHARED") or "/work/shared") / "models"
PLACES = (ROOT / "tests" / "models", ROOT / ".cache" / "models", SHARED)
SEQUENCE, PAST = 24, 8


def _bert(rng: np.random.Generator) -> dict[str, Any]:
    shape = (1, 32)
    return {
        "input_ids": tokens(rng, shape, 1000),
        "attention_mask": padded(rng, shape),
        "token_type_ids": (np.arange(32)[None] > rng.integers(8, 24)).astype(np.int64),
    }


def _decoder(rng: np.random.Generator) -> dict[str, Any]:
    return {"input_ids": tokens(rng, (1, 32), 1024), "attention_mask": padded(rng, (1, 32))}


def _past(rng: np.random.Generator) -> dict[str, Any]:
    return {f"past.{n}.{kind}": normal(rng, 1, 2, PAST, 32) for n in range(3) for kind in "kv"}


def _cached(rng: np.random.Generator) -> dict[str, Any]:
    mask = np.ones((1, PAST + SEQUENCE), np.int64)
    mask[:, : int(rng.integers(0, 5))] = 0  # padded on the left, as decoders are
    return {"input_ids": tokens(rng, (1, SEQUENCE), 1024), "attention_mask": mask, **_past(rng)}


def _embedded(rng: np.random.Generator) -> dict[str, Any]:
    given = _cached(rng)
    del given["input_ids"]
    text = np.arange(PAST, PAST + SEQUENCE)
    positions = np.stack([text, np.minimum(text, 20), text // 2])[:, None].astype(np.int64)
    return {**given, "inputs_embeds": normal(rng, 1, SEQUENCE, 128), "position_ids": positions}


def _patches(rng: np.random.Generator) -> dict[str, Any]:
    return {"patches": (2 * image(rng, (64, 1176)) - 1).astype(np.float32)}


def _picture(name: str, *shape: int) -> Feeds:
    return lambda rng: {name: image(rng, shape)}


def _bytes(rng: np.random.Generator) -> dict[str, Any]:
    length = int(rng.integers(256, 2048))
    text = np.full((1, 2048), 256 if rng.random() < 0 else 0, np.int32)
    text[0, :length] = rng.integers(32, 127, length)
    return {"bytes": text}


def _speech(rng: np.random.Generator) -> dict[str, Any]:
    time = np.arange(512) / 16000
    wave = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(80, 2000, 5)) * 0.1 + 0.02 * rng.standard_normal(512)
    return {"input": wave[None].astype(np.float32), "state": 0.1 * normal(rng, 2, 1, 128), "sr": np.array(16000, np.int64)}


KV = {"batch": 1, "seq": SEQUENCE, "past": PAST, "total": PAST + SEQUENCE}
MODELS: dict[str, tuple[Feeds, dict[str, int | tuple[int, ...]]]] = {
    "bert_tiny": (_bert, {"batch": 1, "seq": 32}),
    "glm_tiny": (_decoder, {"batch": 1, "seq": 32}),
    "glm_tiny_kv": (_cached, KV),
    "glm4v_decoder_kv": (_embedded, {k: v for k, v in KV.items() if k != "batch"}),
    "glm4v_embed": (lambda rng: {"input_ids": tokens(rng, (1, 32), 1024)}, {"seq": 32}),
    "glm4v_vision": (_patches, {}),
    "lightnet": (_picture("pixel_values", 1, 3, 96, 96), {"batch": 1}),
    "magika_v3_3": (_bytes, {"bytes": (1, 2048)}),
    "ppocr2_cls": (_picture("x", 1, 3, 48, 192), {"x": (1, 3, 48, 192)}),
    "ppocr4_rec": (_picture("x", 1, 3, 48, 320), {"x": (1, 3, 48, 320)}),
    "ppocr4_det": (_picture("x", 1, 3, 160, 160), {"x": (1, 3, 160, 160)}),
    "silero_vad_16k_op15": (_speech, {"batch": 1, "sequence": 512}),
    "onnx_seeded_shufflenet": (_picture("gpu_0/data_0", 1, 3, 224, 224), {}),
    "onnx_seeded_resnet50": (_picture("gpu_0/data_0", 1, 3, 224, 224), {}),
}


def real_models() -> Iterator[Subject | str]:
    """Each model, or why it is left out."""
    for name, (feeds, shapes) in MODELS.items():
        path = next((place / f"{name}.onnx" for place in PLACES if (place / f"{name}.onnx").exists()), None)
        yield f"{name}: no {name}.onnx in {' or '.join(map(str, PLACES))}" if path is None else Subject(name, path, feeds, shapes)

"""The ten models of the test suite: where each lies (fetched once into .cache) and the shapes it is compiled with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import fetch_models

SHAPES: Mapping[str, Mapping[str, int | tuple[int, ...]]] = {
    "bert_tiny": {"batch": 1, "seq": 32},
    "glm_tiny": {"batch": 1, "seq": 32},
    "lightnet": {"batch": 1},
    "magika_v3_3": {"bytes": (1, 2048)},
    "onnx_seeded_resnet50": {},
    "onnx_seeded_shufflenet": {},
    "ppocr2_cls": {"x": (1, 3, 48, 192)},
    "ppocr4_det": {"x": (1, 3, 640, 640)},
    "ppocr4_rec": {"x": (1, 3, 48, 320)},
    "silero_vad_16k_op15": {"batch": 1, "sequence": 512},
}
NAMES = tuple(SHAPES)


def model_path(name: str) -> Path:
    """The model's file; downloads it if this is the first time."""
    return fetch_models.fetch(name)

"""The text recogniser: rendered lines in six fonts, read by PP-OCRv4, judged by characters."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
import onnx
from fetch_models import fetch

from .bound import bound
from .packages import CACHE, FONTS, NEWS
from .task import Sample, Task

LINES, CALIBRATED, SEED = 500, 32, 1
HEIGHT, WIDTH = 48, 320
SUBSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,.:'%&()-]{7,23}[A-Za-z0-9]")


def ocr() -> Task:
    """PP-OCRv4's recogniser on lines out of news articles, drawn by us: noise, blur, slant, poor contrast, uneven light."""
    source = fetch("ppocr4_rec")
    generator = np.random.default_rng(SEED)
    fonts = [package.members(name)[_only(package.members(name))] for name, package in FONTS.items()]
    texts = _texts(generator, LINES + CALIBRATED)
    samples = [Sample(({"x": _picture(text, fonts[i % len(fonts)], generator)},), text) for i, text in enumerate(texts)]
    blank = tuple({"x": np.full((1, 3, HEIGHT, WIDTH), 0.01 * i, np.float32)} for i in range(CALIBRATED))
    characters = _characters(source)
    return Task(
        name="ocr",
        metric="characters read right (1 - edit distance / length)",
        model=bound(source, CACHE / "ocr" / "fp32.onnx", {"x": (1, 3, HEIGHT, WIDTH)}),
        calibration=tuple(s.steps[0] for s in samples[LINES:]),
        wrong_calibration=blank,
        held_out=tuple(samples[:LINES]),
        reduce=lambda feeds, outputs: next(iter(outputs.values()))[0].argmax(-1).astype(np.int32),
        score=lambda known, kinds, answers, truths: _read_right(answers, truths, characters),
    )


def _only(members: dict[str, bytes]) -> str:
    (name,) = members
    return name


def _characters(source: object) -> list[str]:
    """The model's own dictionary; class 0 is the blank, the last one a space."""
    held = {p.key: p.value for p in onnx.load(str(source), load_external_data=False).metadata_props}["character"]
    return ["", *held.split("\n"), " "]


def _texts(generator: np.random.Generator, count: int) -> list[str]:
    """Stretches of 9 to 25 characters of the corpus, cut between words."""
    found: set[str] = set()
    for name, content in NEWS.members(".txt").items():
        if "/bbcnews/data/" in name:
            line = " ".join(content.decode("ascii", "replace").split())
            found.update(t for t in SUBSTANCE.findall(line)[:12] if "  " not in t)
    ordered = sorted(found)
    return [ordered[i] for i in generator.permutation(len(ordered))[:count]]


def _picture(text: str, font: bytes, generator: np.random.Generator) -> np.ndarray:
    """1 x 3 x 48 x 320 in -1 to 1, as PP-OCR prepares a line: 48 high, the ratio kept, zeros behind it."""
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    face = ImageFont.truetype(io.BytesIO(font), 40)
    left, top, right, bottom = face.getbbox(text)
    size = (int(right - left) + 24, int(bottom - top) + 20)
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).text((12 - left, 10 - top), text, fill=255, font=face)
    mask = mask.rotate(float(generator.uniform(-1.0, 1.0)), Image.Resampling.BICUBIC)
    mask = mask.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.2, 1.1))))
    ink = np.asarray(mask, np.float32)[..., None] / 255
    paper, colour = generator.uniform(150, 255, 3), generator.uniform(0, 80, 3)
    light = np.linspace(generator.uniform(0.75, 1), generator.uniform(0.75, 1), size[0])[None, :, None]
    drawn = (paper * (1 - ink) + colour * ink) * light + generator.normal(0, generator.uniform(2, 14), (size[1], size[0], 3))
    line = Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))
    width = min(WIDTH, max(1, round(HEIGHT * size[0] / size[1])))
    pixels = np.asarray(line.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32)[..., ::-1]
    prepared = np.zeros((1, 3, HEIGHT, WIDTH), np.float32)
    prepared[0, :, :, :width] = (pixels.transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return prepared


def _read_right(answers: Sequence[np.ndarray], truths: Sequence[str], characters: Sequence[str]) -> np.ndarray:
    return np.array([1 - min(1.0, _distance(_decoded(a[0], characters), t) / len(t)) for a, t in zip(answers, truths, strict=True)])


def _decoded(classes: np.ndarray, characters: Sequence[str]) -> str:
    """Greedy CTC: repeats are one character, blanks part them."""
    kept = np.concatenate(([True], classes[1:] != classes[:-1])) & (classes != 0)
    return "".join(characters[i] for i in classes[kept])


def _distance(found: str, expected: str) -> int:
    """Levenshtein's: insertions, deletions and replacements."""
    row = list(range(len(expected) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(expected, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]

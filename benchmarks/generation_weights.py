"""A decoder's weights in fewer bits: bytes, tokens, perplexity and seconds of a step, beside the same in fp32; what generation.py
--precision measures.

Texts are the Lee news corpora that gensim ships: weights are fitted on lee_background.cor, perplexity is measured on lee.cor, which has
other articles (24 pieces of 128 tokens, each from an empty cache).
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from precision_tasks.packages import Package

GENSIM = Package(
    "gensim==4.4.0",
    "gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
)
PIECES, TOKENS = 24, 128
CALIBRATING = 40
"""Pieces; of each four, one is held out."""
MOST_PERPLEXITY, MOST_BYTES, LEAST_SPEED, MOST_WEIGHTS = 1.10, 175_000_000, 1.5, 1.01
"""Of fp32's perplexity; of the bundle; times as fast as fp32; of the weights of one entry."""
PROMPTS = ("The national executive of the", "Once upon a time there was", "To sort a list in Python, you")
FOLLOWING = 24
LENGTH = 256
"""Of the past, at which a step is timed."""
ROUNDS, PREFILLS = 31, 5


class Steps(Protocol):
    """generation.Growing, or Fixed."""

    def reset(self) -> None: ...

    def step(self, tokens: Sequence[int], keep: bool = True) -> np.ndarray: ...


def pieces(tokenizer: Any, corpus: str, count: int) -> list[list[int]]:
    text = GENSIM.members(f"/{corpus}")
    ids = tokenizer.encode(next(iter(text.values())).decode("latin-1")).ids
    return [ids[k * TOKENS : (k + 1) * TOKENS] for k in range(count)]


def perplexity(model: Steps, texts: Sequence[Sequence[int]]) -> float:
    total, count = 0.0, 0
    for ids in texts:
        model.reset()
        logits = model.step(ids).astype(np.float64)[:-1]
        top = logits.max(-1)
        total += float((np.log(np.exp(logits - top[:, None]).sum(-1)) + top - logits[np.arange(len(logits)), ids[1:]]).sum())
        count += len(logits)
    return math.exp(total / count)


def bytes_of_entry(folder: Path, entry: str) -> int:
    """Of the weights that one entry reads."""
    found = set[tuple[str, str]]()
    for file in (folder / "segments").glob(f"{entry}-*.onnx"):
        for tensor in onnx.load(file, load_external_data=False).graph.initializer:
            fields = {one.key: one.value for one in tensor.external_data}
            if fields:
                found.add((fields["offset"], fields["length"]))
    return sum(int(length) for _, length in found)


def bundle_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def compared(
    given: argparse.Namespace, folder: Path, entries: Mapping[str, Any], growing: Callable[..., Steps], fixed: Callable[[Any], Steps]
) -> bool:
    """Whether all demands hold, which are printed. What lies in the folder already is not compiled again."""
    from tokenizers import Tokenizer

    from autoglmc.compiler.run.bundle import Bundle

    tokenizer = Tokenizer.from_file(str(given.tokenizer))
    judged = pieces(tokenizer, "lee.cor", PIECES)
    for name in ("small", "float"):
        if not (folder / name / "manifest.json").exists():
            compile_into(folder / name, given, entries, tokenizer)
    small, floats = (Bundle.load(folder / name) for name in ("small", "float"))
    print(f"{'verified' if small.manifest.verification.verified else 'NOT verified'}; operators: {forms(small.manifest)}")
    weights, own = (folder / "small" / "segments" / "weights.bin").stat().st_size, bytes_of_entry(folder / "small", "decode")
    whole = bundle_bytes(folder / "small")
    right = [said(weights <= MOST_WEIGHTS * own, f"weights of all entries {weights:,} B, those of decode {own:,} B")]
    right.append(said(whole <= MOST_BYTES, f"the bundle has {whole:,} B, at most {MOST_BYTES:,}"))
    before, after = fixed(floats), fixed(small)
    right += [said(equal, line) for equal, line in tokens_equal(tokenizer, growing(folder / "saved.onnx", fuse=False), after)]
    right.append(faster(before, after, judged[0] + judged[1] + judged[2]))
    was, became = perplexity(before, judged), perplexity(after, judged)
    line = f"perplexity {was:.2f} in fp32, {became:.2f}: {became / was:.3f}x, at most {MOST_PERPLEXITY}"
    right.append(said(became <= MOST_PERPLEXITY * was, line))
    return all(right)


def compile_into(place: Path, given: argparse.Namespace, entries: Mapping[str, Any], tokenizer: Any) -> None:
    """`float` as it is, `small` in fewer bits and verified, its model saved beside it."""
    from autoglmc.compiler.driver.entries.compile_entries import compile_entries
    from autoglmc.compiler.precision.asked_accuracy import asked_accuracy
    from autoglmc.compiler.precision.request import request_of
    from autoglmc.compiler.state.request import StateRequest

    words: dict[str, Any] = {"state": StateRequest((("past*", "present*"),), given.max_length), "verify": place.name == "small"}
    if place.name == "small":
        samples = [{"input_ids": np.array([ids], np.int64)} for ids in pieces(tokenizer, "lee_background.cor", CALIBRATING)]
        data = None if given.without_data else samples
        words["precision"] = request_of(given.precision, data, save=place.parent / "saved.onnx", weights_method=given.weights_method)
        words["accuracy"] = asked_accuracy(given.accuracy)
    begun = time.perf_counter()
    compile_entries(given.model, "x86_cpu", entries, output=place, **words)
    print(f"compiled '{place.name}' in {time.perf_counter() - begun:.1f} s", flush=True)


def forms(manifest: Any) -> str:
    return ", ".join(f"{len(names)} in {form}" for form, names in manifest.precision.forms.items())


def tokens_equal(tokenizer: Any, growing: Steps, ours: Steps) -> Iterator[tuple[bool, str]]:
    """Beside onnxruntime on the saved model, whose activations stay in floats."""
    for prompt in PROMPTS:
        found = []
        for model in (growing, ours):
            model.reset()
            step, tokens = tokenizer.encode(prompt).ids, []
            for _ in range(FOLLOWING):
                tokens.append(int(model.step(step)[-1].argmax()))
                step = tokens[-1:]
            found.append(tokens)
        same = next((k for k, (a, b) in enumerate(zip(*found, strict=True)) if a != b), FOLLOWING)
        yield same == FOLLOWING, f"{same} of {FOLLOWING} tokens behind '{prompt}' equal those of the saved model"


def faster(floats: Steps, ours: Steps, text: Sequence[int]) -> bool:
    """A token behind LENGTH others is judged; a prefill of TOKENS, which computes more than it reads, is only shown."""
    before, after = paired(floats, ours, text[:TOKENS], 0, PREFILLS)
    print(f"      a prefill of {TOKENS}: {before * 1e3:.1f} ms in fp32, {after * 1e3:.1f} ms: {before / after:.2f}x")
    before, after = paired(floats, ours, text[LENGTH : LENGTH + 1], LENGTH, ROUNDS, text)
    line = f"a token behind {LENGTH}: {before * 1e3:.2f} ms in fp32, {after * 1e3:.2f} ms: {before / after:.2f}x, at least {LEAST_SPEED}"
    return said(before >= LEAST_SPEED * after, line)


def paired(floats: Steps, ours: Steps, step: Sequence[int], length: int, rounds: int, text: Sequence[int] = ()) -> tuple[float, float]:
    """Median seconds of a step of each behind `length` tokens of the text, one after the other, round and round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for model in (floats, ours):
        model.reset()
        if length:
            model.step(text[:length])
    for number in range(rounds + 3):
        for model, kept in zip((floats, ours), seconds, strict=True):
            begun = time.perf_counter()
            model.step(step, keep=False)
            if number >= 3:
                kept.append(time.perf_counter() - begun)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def said(holds: bool, line: str) -> bool:
    print(f"{'ok  ' if holds else 'MISS'}  {line}", flush=True)
    return holds

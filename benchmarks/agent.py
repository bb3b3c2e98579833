"""The phone agent's three files as one bundle beside onnxruntime on each by hand: the same tokens, and what both hold in memory.

    python benchmarks/agent.py [--target x86_cpu] [--tokens 50] [--prefill 32] VISION.onnx EMBED.onnx DECODER.onnx

The encoder has one input and one output, rows of the decoder's `inputs_embeds`; the table of words goes from `input_ids` to those; the
decoder has caches past* that go out as present*. Two prompts: one of one run, and one with two images, the first of which a full run would
end in. Predicted memory is compared with that of four bundles, one for each entry. Then the same models are compiled for a budget that all
of them at once exceed by a byte, so that they take turns. Ends with 1 where a token differs though the two best logits are further apart
than CLOSE, where bytes are copied between models, four bundles take less, or taking turns changes a token or takes as much.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.decoder.linked import Linked
from autoglmc.compiler.state.request import StateRequest

CLOSE = 1e-4
"""Logits that are closer may change places by rounding."""
AT, BEHIND = 3, 5
"""Tokens of the prompt in front of the image and behind it."""
VOCABULARY = 256
"""Ids that the prompt is drawn from."""
PLACEHOLDER = -1
"""Of an image's rows."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs=3, metavar="MODEL")
    parser.add_argument("--target", default="x86_cpu")
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--prefill", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return measured(given, Path(folder))


def measured(given: argparse.Namespace, folder: Path) -> int:
    models = dict(zip(("vision", "embed", "decoder"), given.models, strict=True))
    chain = {name: onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for name, path in models.items()}
    features, image = chain["vision"].get_outputs()[0], chain["vision"].get_inputs()[0]
    rows, draw = features.shape[0], np.random.default_rng(0)
    links = [f"vision.{features.name}=decoder.inputs_embeds@image", f"embed.{chain['embed'].get_outputs()[0].name}=decoder.inputs_embeds"]
    entries = {"prefill": Asked(shapes={}, tokens=given.prefill), "decode": Asked(shapes={}, tokens=1)}
    state, begun = StateRequest((("past*", "present*"),), given.max_length), time.perf_counter()
    common: dict[str, Any] = {"links": links, "entries": entries, "state": state, "emulate": True}
    made = compile_models(models, given.target, output=folder / "whole", **common)
    print(f"compiled in {time.perf_counter() - begun:.1f} s, {'verified' if made.verified else 'NOT verified'}")
    session, equal, prompts = made.bundle.session(emulate=True), True, []
    for places in ([AT], [given.prefill - rows // 2, 2 * given.prefill + rows]):
        ids = draw.integers(0, VOCABULARY, places[-1] + rows + BEHIND).tolist()
        images = {at: draw.standard_normal(image.shape).astype(np.float32) for at in places}
        count = min(given.tokens, given.max_length - len(ids) + 1)
        expected, closest = by_hand(chain, ids, images, count)
        found = in_bundle(session, ids, rows, images, count)
        prompts.append(((ids, rows, images, count), found))
        same = found == expected
        equal = equal and (same or closest < CLOSE)
        said = f"{'equal' if same else 'DIFFER'}; the two best logits were {closest:.2g} apart at the closest"
        print(f"{count} tokens behind {len(ids)}, images at {places}: {said}")
    copied = sum(link.copied for link in made.manifest.links)
    print(f"bytes copied between models: {copied}")
    budget = next(limit for limit in made.manifest.limits if limit.kind == "budget")
    whole = int(budget.value or 0)
    alone = [
        compile_entries(
            models["decoder"], given.target, {name: one}, state=state, output=folder / name, verify=False, emulate=True
        ).results[name]
        for name, one in entries.items()
    ]
    alone.append(compile_model(models["vision"], given.target, output=folder / "vision", verify=False, emulate=True))
    tokens = {"seq": given.prefill}
    alone.append(compile_model(models["embed"], given.target, shapes=tokens, output=folder / "embed", verify=False, emulate=True))
    apart = sum(one.predicted.memory for one in alone)
    print(f"memory predicted: {whole:,} B, of four bundles {apart:,} B ({whole / apart:.2f}x)")
    machine = load_target(given.target)
    memories = tuple(replace(one, budget=whole - 1) if one.name == budget.subject else one for one in machine.memories)
    tight = compile_models(models, replace(machine, memories=memories), output=folder / "tight", **common)
    most = next(int(limit.value or 0) for limit in tight.manifest.limits if limit.kind == "budget")
    print(f"in turn: {most:,} B of {budget.subject} ({most / whole:.2f}x); {tight.manifest.phases}")
    session = tight.bundle.session(emulate=True)
    unchanged = all(in_bundle(session, *prompt) == tokens for prompt, tokens in prompts)
    print(f"tokens in turn: {'the same' if unchanged else 'DIFFER'}")
    good = made.verified and tight.verified and equal and unchanged and not copied
    return 0 if good and most < whole < apart else 1


def in_bundle(agent: Linked, ids: list[int], rows: int, images: dict[int, np.ndarray], count: int) -> list[int]:
    held = {place for at in images for place in range(at, at + rows)}
    prompt = [PLACEHOLDER if place in held else token for place, token in enumerate(ids)]
    agent.reset()
    agent.poison()
    return list(agent.generate(prompt, images=list(images.values()), image_token=PLACEHOLDER, max_tokens=count))


def by_hand(chain: dict[str, Any], prompt: list[int], images: dict[int, np.ndarray], count: int) -> tuple[list[int], float]:
    """Tokens, and how far apart the two best logits were at the closest."""
    decoder, names = chain["decoder"], [value.name for value in chain["decoder"].get_outputs()]
    inputs = {value.name: value.shape for value in decoder.get_inputs()}
    cache = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in inputs.items() if name.startswith("past")}

    def embedded(ids: list[int]) -> np.ndarray:
        made: np.ndarray = chain["embed"].run(None, {"input_ids": np.array([ids])})[0]
        return made

    rows, length, found, closest = embedded(prompt), 0, list[int](), np.inf
    for at, patches in images.items():
        features = chain["vision"].run(None, {chain["vision"].get_inputs()[0].name: patches})[0]
        rows[0, at : at + len(features)] = features
    while len(found) < count:
        end = length + rows.shape[1]
        fed = {"inputs_embeds": rows, "attention_mask": np.ones((1, end), np.int64)}
        if "position_ids" in inputs:
            shape = (*inputs["position_ids"][:-1], end - length)
            fed["position_ids"] = np.ascontiguousarray(np.broadcast_to(np.arange(length, end), shape))
        got = dict(zip(names, decoder.run(None, {**fed, **cache}), strict=True))
        cache, length = {name: got[name.replace("past", "present", 1)] for name in cache}, end
        first, second = np.sort(got["logits"][0, -1])[:-3:-1]
        closest = min(closest, float(first - second))
        found.append(int(got["logits"][0, -1].argmax()))
        rows = embedded(found[-1:])
    return found, closest


if __name__ == "__main__":
    sys.exit(main())

"""A decoder's bundle beside onnxruntime on the export, whose cache grows: the same tokens, and seconds of a step.

    python benchmarks/generation.py [--tokens 200] [--max-length 1024] [--prefill 128] MODEL.onnx
    python benchmarks/generation.py --precision int4 --tokenizer FILE [--without-data] [--accuracy LIMIT] [--keep FOLDER] MODEL.onnx

One thread (the process keeps to one processor), both in one process, their steps alternating at equal lengths of the past; medians. The
model has the inputs input_ids, maybe attention_mask and position_ids, and caches past* that go out as present*. Ends with 1 where a token
differs though the two best logits are further apart than CLOSE, where a cache has two addresses, or memory grows by LEAK over 500 tokens.

With --precision the weights are in fewer bits: generation_weights.py, which ends with 1 where a line says MISS.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from generation_weights import compared

from autoglmc.compiler.devices import ort

PROMPTS = (1, 100, 128, 129, 300)
CLOSE = 1e-4
"""Logits that are closer may change places by rounding."""
LEAK = 1 << 20
"""Bytes."""
LONG = 500
"""Tokens over which memory is watched."""
LENGTHS = (128, 256, 512)
"""Of the past, at which a step is timed."""
ROUNDS = 31


class Growing:
    """onnxruntime on the export."""

    def __init__(self, model: Path, *, fuse: bool = True) -> None:
        """fuse: whether operators may be fused; where weights are in integers, onnxruntime then rounds activations to 8 bits as well."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if not fuse:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = onnxruntime.InferenceSession(str(model), options)
        self._inputs = {value.name: value for value in self._session.get_inputs()}
        self._outputs = [value.name for value in self._session.get_outputs()]
        self.reset()

    def reset(self) -> None:
        self.length = 0
        shapes = {name: value.shape for name, value in self._inputs.items() if name.startswith("past")}
        self.cache: dict[str, Any] = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in shapes.items()}

    def step(self, tokens: Sequence[int], keep: bool = True) -> np.ndarray:
        """Logits [tokens, vocabulary]; keep: whether they are there for the next step."""
        end = self.length + len(tokens)
        fed: dict[str, Any] = {"input_ids": np.array([tokens], np.int64), "attention_mask": np.ones((1, end), np.int64)}
        fed["position_ids"] = np.arange(self.length, end, dtype=np.int64)[None]
        values = self._session.run(None, {name: fed.get(name, self.cache.get(name)) for name in self._inputs})
        got = dict(zip(self._outputs, values, strict=True))
        if keep:
            self.cache, self.length = {name: got[name.replace("past", "present", 1)] for name in self.cache}, end
        return np.asarray(got[self._outputs[0]][0])


class Fixed:
    """The bundle."""

    def __init__(self, bundle: Any) -> None:
        self.decoder = bundle.session()

    def reset(self) -> None:
        self.decoder.reset()
        self.decoder.poison()

    def step(self, tokens: Sequence[int], keep: bool = True) -> np.ndarray:
        length = self.decoder.length
        entry = "decode" if len(tokens) == 1 else "prefill"
        logits = self.decoder.step(entry, {"input_ids": np.array([tokens], np.int64)})["logits"][0]
        if not keep:
            self.decoder.truncate(length)
        return np.asarray(logits)


def greedy(model: Growing | Fixed, prompt: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """The tokens that follow, and the distance of the two best logits at each."""
    model.reset()
    found, gaps, step = [], [], list(prompt)
    for _ in range(count):
        logits = model.step(step)[-1]
        first, second = np.sort(logits)[:-3:-1]
        gaps.append(float(first - second))
        found.append(int(logits.argmax()))
        step = found[-1:]
    return found, gaps


def equal(growing: Growing, fixed: Fixed, prompt: Sequence[int], count: int) -> bool:
    """Whether both give the same tokens, up to the first one that rounding may decide."""
    (expected, gaps), (got, _) = greedy(growing, prompt, count), greedy(fixed, prompt, count)
    first = next((k for k in range(count) if expected[k] != got[k]), None)
    print(
        f"prompt of {len(prompt):>3}: {count if first is None else first} of {count} tokens equal, "
        f"the two best logits {min(gaps):.2g} apart at least"
    )
    return first is None or gaps[first] < CLOSE


def paired(growing: Callable[[], object], fixed: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of each, one after the other, round and round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 3):
        for run, kept in zip((growing, fixed), seconds, strict=True):
            begun = time.perf_counter()
            run()
            if number >= 3:
                kept.append(time.perf_counter() - begun)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def resident() -> int:
    """Private bytes of this process in memory."""
    fields = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in fields if line.startswith("RssAnon"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--prefill", type=int, default=128)
    parser.add_argument("--precision", choices=("int4", "int8", "auto"))
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--without-data", action="store_true", help="round to the nearest step")
    parser.add_argument("--weights-method", choices=("rtn", "gptq"))
    parser.add_argument("--accuracy", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="a folder for the two bundles of --precision: what is there is not compiled again")
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ort.open_session = partial(
        ort.open_session, threads=1
    )  # a session has no option for it; two threads on one processor wait for each other
    with tempfile.TemporaryDirectory() as folder:
        if given.precision:
            from autoglmc.compiler.driver.entries.compile_entries import Asked

            entries = {"prefill": Asked(shapes={}, tokens=given.prefill), "decode": Asked(shapes={}, tokens=1)}
            place = given.keep or Path(folder)
            place.mkdir(parents=True, exist_ok=True)
            return 0 if compared(given, place, entries, Growing, Fixed) else 1
        return measured(given, Path(folder) / "bundle")


def measured(given: argparse.Namespace, place: Path) -> int:
    from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
    from autoglmc.compiler.state.request import StateRequest

    entries = {"prefill": Asked(shapes={}, tokens=given.prefill), "decode": Asked(shapes={}, tokens=1)}
    begun = time.perf_counter()
    made = compile_entries(given.model, "x86_cpu", entries, state=StateRequest((("past*", "present*"),), given.max_length), output=place)
    print(f"compiled in {time.perf_counter() - begun:.1f} s, {'verified' if made.verified else 'NOT verified'}")
    weights, original = made.manifest.files["segments/weights.bin"].size, given.model.stat().st_size
    print(
        f"weights of both entries {weights:,} B, the model {original:,} B; "
        f"cache bytes copied a step: {sum(s.copied for s in made.manifest.states)}"
    )
    fixed, growing = Fixed(made.bundle), Growing(given.model)
    draw = np.random.default_rng(0)
    prompts = [draw.integers(0, 256, length).tolist() for length in PROMPTS if length + given.tokens <= given.max_length]
    right = [made.verified, *(equal(growing, fixed, prompt, given.tokens) for prompt in prompts)]
    right.append(all(len(addresses) == 1 for addresses in fixed.decoder.addresses().values()))
    print(f"past and present of every cache at one address: {'yes' if right[-1] else 'NO'}")
    right.append(steady(fixed, min(LONG, given.max_length - 1)))
    timed(growing, fixed, given, draw)
    return 0 if all(right) else 1


def steady(fixed: Fixed, count: int) -> bool:
    """Whether memory stays what it is while tokens are made, behind the first of them."""
    fixed.reset()
    fixed.step([1])
    before = resident()
    for _ in range(count - 1):
        fixed.step([1])
    grown = resident() - before
    print(f"private memory grew by {grown:,} B over {count} tokens")
    return grown < LEAK


def timed(growing: Growing, fixed: Fixed, given: argparse.Namespace, draw: np.random.Generator) -> None:
    """Prefill from nothing, and a token behind pasts of several lengths."""
    growing.reset()
    fixed.reset()
    chunk = draw.integers(0, 256, given.prefill).tolist()
    print(f"{'':>22} {'onnxruntime':>12} {'bundle':>10}   ratio")
    shown(f"prefill of {given.prefill}", *paired(lambda: growing.step(chunk, keep=False), lambda: fixed.step(chunk, keep=False)))
    for length in (length for length in LENGTHS if length < given.max_length):
        for model in (growing, fixed):
            model.reset()
            model.step(draw.integers(0, 256, length).tolist())
        shown(f"a token behind {length}", *paired(lambda: growing.step([1], keep=False), lambda: fixed.step([1], keep=False)))


def shown(name: str, export: float, bundle: float) -> None:
    print(f"{name:>22} {export * 1e3:>9.3f} ms {bundle * 1e3:>7.3f} ms   {export / bundle:.2f}x")


if __name__ == "__main__":
    sys.exit(main())
